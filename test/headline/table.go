package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// What memsup claims, beside the best of the others that had no kill and no failed
// request.
const (
	leastRate   = 0.95
	longestTail = 1.1
)

// clean is whether nothing was lost.
func (r *result) clean() bool { return r.Kills == 0 && r.Report.failed() == 0 && r.Ended == "" }

// best is the one with the most requests a second among the others that lost
// nothing, or nil.
func best(results []*result) (best *result) {
	for _, r := range results {
		if c, _ := named(r.Name); c.memsup || !r.clean() {
			continue
		}
		if best == nil || r.Report.rate() > best.Report.rate() {
			best = r
		}
	}
	return best
}

// table is what all came to, in Markdown, with what became of memsup's claims.
func table(results []*result) string {
	var b strings.Builder
	if len(results) == 0 {
		return "Nobody was measured.\n"
	}
	fmt.Fprintf(&b, "%g minutes each, %d MiB, %d connections of wrk, %d CPUs, %.10s. ", results[0].Asked/60, limit>>20, connections, runtime.NumCPU(), results[0].Taken)
	to := best(results)
	if to == nil {
		b.WriteString("None of the others went without a kill and a failed request.")
	} else {
		c, _ := named(to.Name)
		fmt.Fprintf(&b, "× is beside %s, the fastest of the others without a kill and a failed request.", c.title)
	}
	b.WriteString("\n\n| | failed requests | OOM kills | requests/s | p99, ms | memory at most, MiB | memsup's claims |\n|---|---|---|---|---|---|---|\n")
	for _, r := range results {
		c, _ := named(r.Name)
		kills := fmt.Sprint(r.Kills)
		if r.Ended != "" {
			kills += ", ended: " + r.Ended
		}
		rate, tail := fmt.Sprintf("%.0f", r.Report.rate()), fmt.Sprintf("%.0f", float64(r.Report.P99)/1e3)
		if to != nil && r != to {
			rate += fmt.Sprintf(" · %.2f ×", r.Report.rate()/to.Report.rate())
			tail += fmt.Sprintf(" · %.2f ×", float64(r.Report.P99)/float64(to.Report.P99))
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s | %d | %s |\n", c.title, r.Report.failed(), kills, rate, tail, r.most()>>20, verdict(r, c, to))
	}
	return b.String()
}

// verdict says which claims a result of memsup's misses.
func verdict(r *result, c contestant, to *result) string {
	if !c.memsup {
		return "–"
	}
	var missed []string
	if r.Kills > 0 || r.Ended != "" {
		missed = append(missed, "no kill")
	}
	if r.Report.failed() > 0 {
		missed = append(missed, "no failed request")
	}
	if to != nil && r.Report.rate() < leastRate*to.Report.rate() {
		missed = append(missed, fmt.Sprintf("%g × the requests", leastRate))
	}
	if to != nil && float64(r.Report.P99) > longestTail*float64(to.Report.P99) {
		missed = append(missed, fmt.Sprintf("%g × the p99", longestTail))
	}
	if len(missed) == 0 {
		return "reached"
	}
	return "**missed**: " + strings.Join(missed, ", ")
}

const begin, end = "<!-- headline:begin -->\n", "<!-- headline:end -->\n"

// between puts the table between the marks of a file, and the chart, if there is
// one, below it.
func between(path, text, chart string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(old, []byte(begin))
	_, after, closed := bytes.Cut(rest, []byte(end))
	if !ok || !closed {
		return fmt.Errorf("%s has no lines %q and %q", path, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	if chart != "" {
		relative, err := filepath.Rel(filepath.Dir(path), chart)
		if err != nil {
			return err
		}
		text += fmt.Sprintf("\n![Memory and requests a second of each, over the time](%s)\n", filepath.ToSlash(relative))
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%s%s%s%s", before, begin, text, end, after)
	return os.WriteFile(path, b.Bytes(), 0o644)
}
