package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// table has a row for each thing measured and a column for each program.
type table struct {
	peers []string
	rows  []*row
}

func newTable(peers ...string) *table { return &table{peers: peers} }

// row holds the figures of each program, in the order of the pairs.
type row struct {
	what    string
	target  target
	figures map[string][]float64
}

func (t *table) row(what string, to target) *row {
	r := &row{what: what, target: to, figures: map[string][]float64{}}
	t.rows = append(t.rows, r)
	return r
}

func (r *row) add(program string, values ...float64) {
	r.figures[program] = append(r.figures[program], values...)
}

func (r *row) scaled(program string, values []float64, by float64) {
	for _, v := range values {
		r.add(program, v*by)
	}
}

// ratios are memsup's figures divided by the peer's, pair by pair; none where
// the peer has a zero.
func (r *row) ratios(peer string) []float64 {
	var all []float64
	ours, theirs := r.figures["memsup"], r.figures[peer]
	for i := range min(len(ours), len(theirs)) {
		if theirs[i] == 0 {
			return nil
		}
		all = append(all, ours[i]/theirs[i])
	}
	return all
}

// target is the most that memsup may have: a figure, or a multiple of a peer's.
// The zero target is none.
type target struct {
	set    bool
	most   float64
	of     string
	beyond bool // missed only where the pairs show it beyond chance
}

func atMost(most float64) target                  { return target{set: true, most: most} }
func fractionOf(peer string, most float64) target { return target{set: true, most: most, of: peer} }

// noSlowerThan is for programs that do the same: the median of two equals is
// above 1 every other time, so it is missed where all of the median's confidence
// interval is above 1.
func noSlowerThan(peer string) target { return within(peer, 1) }

// within is the same for a difference that is smaller than those between two runs.
func within(peer string, most float64) target {
	return target{set: true, most: most, of: peer, beyond: true}
}

// words are the target and what became of it. The median is judged, as it is
// printed.
func (r *row) words() string {
	to := r.target
	if !to.set {
		return "–"
	}
	text, values := "at most "+number(to.most), r.figures["memsup"]
	if to.of != "" {
		text, values = text+" × "+to.of, r.ratios(to.of)
	}
	switch {
	case len(values) == 0:
		return text + ": not measured"
	case to.beyond:
		low, high := interval(values)
		if to.most == 1 {
			text = "no slower than " + to.of
		}
		became := "reached"
		if low > to.most {
			became = "**missed**"
		}
		return fmt.Sprintf("%s: %s (95%% sure of %s..%s ×)", text, became, number(low), number(high))
	case rounded(quantile(values, 0.5)) <= to.most:
		return text + ": reached"
	}
	return text + ": **missed**"
}

func (t *table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| | memsup | target | %s |\n|---|---|---|%s\n", strings.Join(t.peers, " | "), strings.Repeat("---|", len(t.peers)))
	for _, r := range t.rows {
		fmt.Fprintf(&b, "| %s | %s | %s |", r.what, spread(r.figures["memsup"]), r.words())
		for _, peer := range t.peers {
			cell := "–"
			if figures := r.figures[peer]; len(figures) > 0 {
				cell = number(quantile(figures, 0.5))
				if ratios := r.ratios(peer); len(ratios) > 0 {
					cell += " · " + spread(ratios) + " ×"
				}
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// spread is the median and the 10th and 90th percentiles.
func spread(values []float64) string {
	if len(values) == 0 {
		return "–"
	}
	median, low, high := number(quantile(values, 0.5)), number(quantile(values, 0.1)), number(quantile(values, 0.9))
	if low == high {
		return median
	}
	return fmt.Sprintf("%s (%s..%s)", median, low, high)
}

// interval is the 95% confidence interval of the median, by the sign test: as many
// values are left out at either end as are there by chance in 1 of 40 runs at most.
func interval(values []float64) (low, high float64) {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	out, chance, sum := 0, math.Pow(0.5, float64(n)), 0.0 // chance: that just out values are below the median
	for {
		sum += chance
		chance *= float64(n-out) / float64(out+1)
		if sum+chance > 0.025 {
			break
		}
		out++
	}
	return sorted[out], sorted[n-1-out]
}

// quantile is the value that the fraction q of all lies below or at.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(math.Round(q*float64(len(sorted)-1)))]
}

// rounded keeps the digits that are worth reading.
func rounded(v float64) float64 {
	switch {
	case math.Abs(v) >= 100:
		return math.Round(v)
	case math.Abs(v) >= 10:
		return math.Round(v*10) / 10
	case math.Abs(v) >= 0.1:
		return math.Round(v*100) / 100
	}
	return math.Round(v*1000) / 1000
}

func number(v float64) string { return fmt.Sprint(rounded(v)) }
