package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// total is one program over all scenarios.
type total struct {
	who       string
	scenarios int
	work      float64 // sum of the parts of the oracle's
	least     float64
	kills     int
	killed    int // scenarios with a kill
	broke     int // scenarios in which it keeps the rules in no configuration
}

// summary prints, as Markdown, what each program comes to over all scenarios. The
// others are tuned for each scenario with hindsight, memsup is as it comes.
func summary(w io.Writer, tables []table) {
	var all []*total
	add := func(t *table, r *row) {
		if strings.Contains(r.who, unruled) {
			return
		}
		i := slices.IndexFunc(all, func(x *total) bool { return x.who == r.who })
		if i < 0 {
			i = len(all)
			all = append(all, &total{who: r.who, least: 1e9})
		}
		x := all[i]
		part := 100 * r.Work / t.oracle.Work
		x.scenarios++
		x.work += part
		x.least = min(x.least, part)
		x.kills += r.Kills
		if r.Kills > 0 {
			x.killed++
		}
		rules := t.plan.rules()
		if !rules.Keep(&t.plan.Scenario, &r.Result) {
			x.broke++
		}
	}
	for i := range tables {
		add(&tables[i], &tables[i].memsup)
		for j := range tables[i].peers {
			add(&tables[i], &tables[i].peers[j])
		}
	}
	slices.SortStableFunc(all, func(a, b *total) int { return cmp.Compare(a.killed*b.scenarios, b.killed*a.scenarios) })
	fmt.Fprintf(w, "| program | scenarios | OOM kills | in so many scenarios | rules not kept in | work, mean | least |\n|---|---|---|---|---|---|---|\n")
	for _, x := range all {
		fmt.Fprintf(w, "| %s | %d | %d | %d | %d | %.0f%% | %.0f%% |\n", x.who, x.scenarios, x.kills, x.killed, x.broke, x.work/float64(x.scenarios), x.least)
	}
	fmt.Fprintln(w)
}
