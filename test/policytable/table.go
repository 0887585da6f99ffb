package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/memsup/memsup/sim"
)

// row is how one program did in its best configuration.
type row struct {
	who, config string
	sim.Result
}

// table is one scenario's.
type table struct {
	plan *plan
	// oracle keeps the reserve, as it is asked of all, and reckless does not.
	oracle, reckless row
	memsup           row
	peers            []row
}

func newTable(s *plan) table {
	t := table{plan: s}
	t.memsup = row{who: "memsup", config: "process", Result: sim.Run(&s.Scenario, memsup(s), 0)}
	if memsup(s).Signal {
		t.memsup.config = "signal"
	}
	peers := single
	if len(s.Types) > 1 {
		peers = several
	}
	for i := range peers {
		kept, free := peers[i].best(s)
		t.peers = append(t.peers, kept)
		if !s.keeps(&free.Result) && free.Work > kept.Work {
			free.who += ", reserve unkept"
			t.peers = append(t.peers, free)
		}
	}
	t.oracle = oracle(s, true)
	t.reckless = t.oracle
	t.reckless.who += ", reserve unkept"
	if !s.perfect(&t.oracle.Result) {
		t.reckless = oracle(s, false)
	}
	// An oracle is not behind anybody who is killed as little.
	for _, r := range append([]row{t.memsup}, t.peers...) {
		if s.keeps(&r.Result) && better(s, &r.Result, &t.oracle.Result, true) {
			t.oracle = row{"oracle", "as " + r.who, r.Result}
		}
		if better(s, &r.Result, &t.reckless.Result, false) {
			t.reckless = row{"oracle, reserve unkept", "as " + r.who, r.Result}
		}
	}
	return t
}

func oracle(s *plan, reserve bool) row {
	r, o := sim.Search(&s.Scenario, reserve)
	name := "oracle"
	if !reserve {
		name += ", reserve unkept"
	}
	return row{name, fmt.Sprint(o.Counts), r}
}

func (t *table) print(w io.Writer) {
	s := t.plan
	fmt.Fprintf(w, "%s: %d MiB, %g CPUs, %s", s.Name, s.Limit/mib, s.CPUs, s.Span)
	for i := range s.Types {
		fmt.Fprintf(w, "; a %s worker %.0f MiB, %.0f req/s at most %g", s.Types[i].Name, s.warm[i]/mib,
			s.most(), s.Types[i].Load.Points[len(s.Types[i].Load.Points)-1].Rate)
	}
	fmt.Fprintf(w, "; %d fit\n", s.fit)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\twork\tOOM kills\tlost\tchanges/h\tsettled\tover reserve\tat most\tconfiguration")
	for _, r := range append([]row{t.oracle, t.reckless, t.memsup}, t.peers...) {
		fmt.Fprintf(tw, "%s\t%.1f%%\t%d\t%.1f%%\t%.1f\t%s\t%.1f%%\t%d\t%s\n", r.who, 100*r.Work/t.oracle.Work, r.Kills,
			100*r.Lost.All()/max(r.Arrived, 1), r.Changes(&s.Scenario), r.Settle.Round(time.Second),
			100*float64(r.OverReserve)/float64(s.Span), r.Most, r.config)
	}
	tw.Flush()
	fmt.Fprintln(w)
}

// verdict is one claim over all scenarios, and where it does not hold.
type verdict struct {
	claim string
	fails []string
}

// judge says of each claim where it fails.
func judge(tables []table) []verdict {
	work := verdict{claim: "at least 95% of the oracle's work"}
	kills := verdict{claim: "no OOM kill where the oracle has none"}
	ahead := verdict{claim: "no peer that keeps the reserve is ahead on work by over 1% with as few kills"}
	unkept := verdict{claim: "nor one that does not"}
	calm := verdict{claim: "at most 6 starts and stops an hour in steady load"}
	for i := range tables {
		t := &tables[i]
		s, m := t.plan, &t.memsup
		fail := func(v *verdict, format string, args ...any) {
			v.fails = append(v.fails, s.Name+": "+fmt.Sprintf(format, args...))
		}
		if m.Work < 0.95*t.oracle.Work {
			fail(&work, "%.1f%%", 100*m.Work/t.oracle.Work)
		}
		if m.Kills > 0 && t.oracle.Kills == 0 {
			fail(&kills, "%d", m.Kills)
		}
		for j := range t.peers {
			p := &t.peers[j]
			if p.Kills > m.Kills || p.Work <= 1.01*m.Work {
				continue
			}
			to := &ahead
			if !s.keeps(&p.Result) {
				to = &unkept
			}
			fail(to, "%s by %.1f%%", p.who, 100*(p.Work/m.Work-1))
		}
		if n := m.Changes(&s.Scenario); s.steady && n > 6 {
			fail(&calm, "%.1f, the oracle %.1f", n, t.oracle.Changes(&s.Scenario))
		}
	}
	return []verdict{work, kills, ahead, unkept, calm}
}

func verdicts(w io.Writer, tables []table) {
	for _, v := range judge(tables) {
		if len(v.fails) == 0 {
			fmt.Fprintf(w, "holds: %s\n", v.claim)
			continue
		}
		fmt.Fprintf(w, "fails in %d of %d: %s\n", len(v.fails), len(tables), v.claim)
		for _, f := range v.fails {
			fmt.Fprintf(w, "  %s\n", f)
		}
	}
}
