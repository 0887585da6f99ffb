package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/memsup/memsup/supervisor"
)

// topOrder is what top's rows are sorted by.
type topOrder struct {
	key  rune // that chooses it
	name string
	less func(a, b *supervisor.Worker) int
}

var topOrders = [...]topOrder{
	{'m', "memory", func(a, b *supervisor.Worker) int { return cmp.Compare(known(b.Memory), known(a.Memory)) }},
	{'c', "CPU", func(a, b *supervisor.Worker) int { return cmp.Compare(known(b.CPU), known(a.CPU)) }},
	{'n', "name", func(*supervisor.Worker, *supervisor.Worker) int { return 0 }},
}

// known is a number, and less than any where it is not known.
func known[T int64 | float64](n *T) T {
	if n == nil {
		return -1
	}
	return *n
}

// topRows is one row a worker, and the table's head. Workers that are equal are
// in the order of their names, web.2 before web.10.
func topRows(s *supervisor.Status, order *topOrder) (head string, rows []string) {
	workers := slices.Clone(s.Workers)
	slices.SortStableFunc(workers, func(a, b supervisor.Worker) int {
		return cmp.Or(order.less(&a, &b), cmp.Compare(a.Type, b.Type), cmp.Compare(len(a.Name), len(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	t := &table{}
	t.row("WORKER", "STATE", "UP", "MEMORY", "CPU", "RESTARTS")
	for _, w := range workers {
		t.row(w.Name, w.State, span(w.UptimeMS), optional(w.Memory, size), optional(w.CPU, percent), strconv.Itoa(w.Restarts))
	}
	lines := strings.Split(strings.TrimSuffix(t.String(), "\n"), "\n")
	return lines[0], lines[1:]
}

// topFacts are the container's numbers, in as many lines of a width as they need.
func topFacts(s *supervisor.Status, width int) []string {
	c := &s.Container
	facts := []string{
		"limit " + optional(c.Limit, size), "used " + optional(c.Used, size),
		"available " + optional(c.Available, size), "headroom " + optional(c.Headroom, size),
		"reserve " + optional(c.Reserve, size),
		"pressure " + optional(c.Pressure, someAndFull),
		"CPU limit " + optional(c.CPULimit, cpus),
	}
	var lines []string
	line := ""
	for _, fact := range facts {
		if line != "" && utf8.RuneCountInString(line)+2+utf8.RuneCountInString(fact) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += "  "
		}
		line += fact
	}
	return append(lines, line)
}

// topText is the screen as plain text, with every worker.
func topText(s *supervisor.Status) string {
	const width = 80
	head, rows := topRows(s, &topOrders[0])
	lines := append([]string{statusLine(s)}, topFacts(s, width)...)
	lines = append(lines, "", head)
	return strings.Join(append(lines, rows...), "\n") + "\n"
}

// topLine is one line of the screen.
type topLine struct {
	text string
	bar  bool // shown in reverse
}

// topFrame is the screen, height lines of at most width characters: facts in a
// third of it, workers and the keys. Where the workers have no room the last row
// says how many there are besides.
func topFrame(s *supervisor.Status, order *topOrder, width, height int) []topLine {
	frame := []topLine{{text: statusLine(s)}}
	facts := topFacts(s, width)
	for _, fact := range facts[:min(len(facts), height/3)] {
		frame = append(frame, topLine{text: fact})
	}
	head, rows := topRows(s, order)
	frame = append(frame, topLine{}, topLine{head + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(head))), true})
	if room := max(0, height-len(frame)-1); len(rows) > room {
		shown := max(0, room-1)
		rows = append(rows[:shown:shown], fmt.Sprintf("and %d more", len(rows)-shown))[:min(room, shown+1)]
	}
	for _, row := range rows {
		frame = append(frame, topLine{text: row})
	}
	for len(frame) < height-1 {
		frame = append(frame, topLine{})
	}
	frame = append(frame, topLine{text: "sorted by " + order.name + "  q quit  m memory  c CPU  n name"})
	frame = frame[:min(len(frame), height)]
	for i := range frame {
		frame[i].text = clip(frame[i].text, width)
	}
	return frame
}

// clip cuts text to a width. What would not be shown as a character, as in what a
// program's error says, is shown as one.
func clip(text string, width int) string {
	n := 0
	return strings.Map(func(r rune) rune {
		if n++; n > width {
			return -1
		}
		return printable(r)
	}, text)
}

// printable keeps what a program's name or its error may hold from the terminal.
func printable(r rune) rune {
	if !unicode.IsPrint(r) {
		return '?'
	}
	return r
}
