package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// size prints bytes for people: 512 B, 1.5 KiB, 256.0 MiB.
func size(n int64) string {
	value, unit := float64(n), 0
	for (value >= 1024 || value <= -1024) && unit < 4 {
		value /= 1024
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", value, [...]string{"", "KiB", "MiB", "GiB", "TiB"}[unit])
}

// optional prints a number that may not be known.
func optional[T any](n *T, print func(T) string) string {
	if n == nil {
		return "-"
	}
	return print(*n)
}

// span prints how long something has been, in the two largest units.
func span(ms int64) string {
	d := (time.Duration(ms) * time.Millisecond).Truncate(time.Second)
	if days := d / (24 * time.Hour); days > 0 {
		return fmt.Sprintf("%dd%dh", days, d%(24*time.Hour)/time.Hour)
	}
	if d >= time.Hour {
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return d.String()
}

func percent(p float64) string { return strconv.FormatFloat(p, 'f', 1, 64) + "%" }

func cpus(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// table prints rows in columns, without blanks at the ends of lines.
type table struct{ rows [][]string }

func (t *table) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = strings.Map(printable, cell)
	}
	t.rows = append(t.rows, cells)
}

func (t *table) String() string {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var out strings.Builder
	for _, row := range t.rows {
		line := ""
		for i, cell := range row {
			line += cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
		}
		out.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return out.String()
}
