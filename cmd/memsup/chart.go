package main

import (
	"strings"
	"time"

	"github.com/guptarohit/asciigraph"
)

// moment is one look, as plan's chart has it.
type moment struct {
	at           time.Duration
	limit, taken int64 // taken is the limit less what is available
	workers      int
}

// chartWidth is how many columns a chart has for its lines, beside the numbers.
const chartWidth = 64

// chart draws memory and the number of workers over time, for a terminal.
func chart(moments []moment) string {
	begin, end := moments[0].at, moments[len(moments)-1].at
	taken, limit, workers := make([]float64, chartWidth), make([]float64, chartWidth), make([]float64, chartWidth)
	next := 0
	for i := range taken {
		// The most of what falls into the column, else what was last.
		until := begin + (end-begin)*time.Duration(i+1)/chartWidth
		m := moments[max(0, next-1)]
		for first := true; next < len(moments) && moments[next].at <= until; next++ {
			highest := moments[next].taken
			if !first {
				highest = max(highest, m.taken)
			}
			m, first = moments[next], false
			m.taken = highest
		}
		taken[i], limit[i], workers[i] = mebibytes(m.taken), mebibytes(m.limit), float64(m.workers)
	}
	hours := func(seconds float64) string { return span(int64(seconds * 1000)) }
	axis := []asciigraph.Option{
		asciigraph.LowerBound(0), asciigraph.Precision(0),
		asciigraph.XAxisRange(begin.Seconds(), end.Seconds()), asciigraph.XAxisTickCount(5), asciigraph.XAxisValueFormatter(hours),
	}
	memory := asciigraph.PlotMany([][]float64{limit, taken}, append(axis, asciigraph.Height(10))...)
	most := 1.0
	for _, n := range workers {
		most = max(most, n)
	}
	count := asciigraph.Plot(workers, append(axis, asciigraph.Height(int(min(most, 8))))...)
	return "limit, and what is taken of it, MiB\n" + trimmed(memory) + "\nworkers\n" + trimmed(count)
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// trimmed ends each line where its text ends.
func trimmed(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return out.String()
}
