package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

const begin, end = "<!-- truth:begin -->\n", "<!-- truth:end -->"

// table reads what measure printed from standard input, anything before TRUTH on a
// line left out, and puts the table between the marks of a file.
func table(args []string) error {
	if len(args) != 1 {
		return errors.New("it takes the file with the marks")
	}
	var rows []row
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		_, text, ok := strings.Cut(lines.Text(), "TRUTH ")
		if !ok {
			continue
		}
		var r row
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return fmt.Errorf("%q: %w", text, err)
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		return errors.New("no row was measured")
	}
	slices.SortStableFunc(rows, func(a, b row) int { return strings.Compare(a.Layer, b.Layer) })
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s has no line %s with %s after it", args[0], strings.TrimSpace(begin), end)
	}
	return os.WriteFile(args[0], []byte(before+begin+format(rows)+end+after), 0o644)
}

func format(rows []row) string {
	var b strings.Builder
	layer := ""
	for _, r := range rows {
		if r.Layer != layer {
			layer = r.Layer
			fmt.Fprintf(&b, "\n%s, MiB:\n\n| | limit | got | MEM_AVAILABLE | headroom | %s |\n|---|---|---|---|---|%s\n",
				layer, strings.Join(others, " | "), strings.Repeat("---|", len(others)))
		}
		near, honest, nearest := r.verdicts()
		told := mib(r.Told)
		switch {
		case !near:
			told += " (far)"
		case !honest:
			told += " (too much)"
		case !nearest:
			told += " (others are nearer)"
		default:
			told = "**" + told + "**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |", r.Place, mib(r.Limit), mib(r.Got), told, mib(r.Head))
		for _, name := range others {
			fmt.Fprintf(&b, " %s |", mib(r.Others[name]))
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return b.String()
}

func mib(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }
