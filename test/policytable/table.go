package main

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
	"time"

	"github.com/memsup/memsup/sim"
)

// row is how one program did in its best configuration.
type row struct {
	who, config string
	control     sim.Controller
	sim.Result
}

// table is one scenario's. The first oracle keeps the rules that everybody is asked
// to keep, the second one none.
type table struct {
	plan         *plan
	oracle, free row
	memsup       row
	peers        []row
	// others are what those peers do that are ahead, and memsup, over other seeds than
	// those by which the peers were configured.
	others map[string]sim.Result
}

const unruled = ", without rules"

func newTable(s *plan, peers []peer) table {
	t := table{
		plan: s, others: map[string]sim.Result{},
		memsup: row{who: "memsup", config: "signal", control: memsup(s), Result: sim.RunSeeds(&s.Scenario, memsup(s), math.MaxInt)},
	}
	if s.Types[0].Alone {
		t.memsup.config = "process"
	}
	rules := s.rules()
	for i := range peers {
		ruled, any := peers[i].best(s)
		t.peers = append(t.peers, ruled)
		if !rules.Keep(&s.Scenario, &any.Result) && any.Work > ruled.Work {
			any.who += unruled
			t.peers = append(t.peers, any)
		}
	}
	t.oracle = oracle(s, "oracle", rules)
	t.free = t.oracle
	t.free.who += unruled
	if !rules.Perfect(&s.Scenario, &t.oracle.Result) {
		t.free = oracle(s, "oracle"+unruled, free)
	}
	for i := range t.peers {
		if p := &t.peers[i]; s.ahead(&p.Result, &t.memsup.Result) && rules.Keep(&s.Scenario, &p.Result) {
			t.others[p.who] = s.onOthers(p.control)
			if _, known := t.others[t.memsup.who]; !known {
				t.others[t.memsup.who] = s.onOthers(t.memsup.control)
			}
		}
	}
	// An oracle is not behind anybody.
	for _, r := range append([]row{t.memsup, t.oracle}, t.peers...) {
		if rules.Better(&s.Scenario, &r.Result, &t.oracle.Result) {
			t.oracle = row{t.oracle.who, "as " + r.who, r.control, r.Result}
		}
		if free.Better(&s.Scenario, &r.Result, &t.free.Result) {
			t.free = row{t.free.who, "as " + r.who, r.control, r.Result}
		}
	}
	return t
}

func oracle(s *plan, name string, rules sim.Rules) row {
	r, o := sim.Search(&s.Scenario, rules)
	return row{name, fmt.Sprint(o.Counts), o, r}
}

// ahead says whether a does over 1% more work than b with as few kills.
func (s *plan) ahead(a, b *sim.Result) bool { return a.Kills <= b.Kills && a.Work > 1.01*b.Work }

// onOthers runs a program in fifty more runs of a scenario: what chance brings in those
// by which a peer was configured it knows by hindsight, as nobody does for real.
func (s *plan) onOthers(control sim.Controller) sim.Result {
	other := s.Scenario
	other.Seed, other.Seeds = 1001, nil
	for seed := other.Seed + 1; len(other.Seeds) < 49; seed++ {
		other.Seeds = append(other.Seeds, seed)
	}
	return sim.RunSeeds(&other, control, math.MaxInt)
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
	fmt.Fprintln(tw, "\twork\tOOM kills\tlost\tscaled/h\treplaced/h\tnot serving\tsettled\tover reserve\tat most\tconfiguration")
	for _, r := range append([]row{t.oracle, t.free, t.memsup}, t.peers...) {
		scaled := r.Scaled(&s.Scenario)
		fmt.Fprintf(tw, "%s\t%.1f%%\t%d\t%.1f%%\t%.1f\t%.1f\t%.1f%%\t%s\t%.1f%%\t%d\t%s\n", r.who, 100*r.Work/t.oracle.Work, r.Kills,
			100*r.Lost.All()/max(r.Arrived, 1), scaled, (r.Changes(&s.Scenario)-scaled)/2,
			100*(1-r.Serving/max(r.Alive, 1)), r.Settle.Round(time.Second),
			100*r.Over(&s.Scenario), r.Most, r.config)
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
	work := verdict{claim: "at least 95% of the work of the oracle that keeps the rules"}
	kills := verdict{claim: "no OOM kill where that oracle has none"}
	ahead := verdict{claim: "no peer that keeps the rules is ahead on work by over 1% with as few kills, in other runs too than those that it was configured by"}
	calm := verdict{claim: "at most 6 starts and stops an hour in steady load, replacements of workers that leak not counted"}
	chance := verdict{claim: "nor in those alone"}
	unruly := verdict{claim: "no peer is ahead on work by over 1% with as few kills, whatever rules it breaks"}
	for i := range tables {
		t := &tables[i]
		s, m := t.plan, &t.memsup
		rules := s.rules()
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
			if !s.ahead(&p.Result, &m.Result) {
				continue
			}
			of, own := p.Result, m.Result
			to := &unruly
			if rules.Keep(&s.Scenario, &p.Result) {
				to, of, own = &ahead, t.others[p.who], t.others[m.who]
				if !s.ahead(&of, &own) || !rules.Keep(&s.Scenario, &of) {
					to, of, own = &chance, p.Result, m.Result
				}
			}
			fail(to, "%s by %.1f%%", p.who, 100*(of.Work/own.Work-1))
		}
		if all, scaled := m.Changes(&s.Scenario), m.Scaled(&s.Scenario); s.steady && !rules.Calm(&s.Scenario, &m.Result) {
			fail(&calm, "%.1f, and %.1f workers replaced; the oracle replaced %.1f", scaled, (all-scaled)/2,
				(t.oracle.Changes(&s.Scenario)-t.oracle.Scaled(&s.Scenario))/2)
		}
	}
	return []verdict{work, kills, ahead, chance, calm, unruly}
}

func verdicts(w io.Writer, tables []table) {
	for _, v := range judge(tables) {
		if len(v.fails) == 0 {
			fmt.Fprintf(w, "holds: %s\n", v.claim)
			continue
		}
		fmt.Fprintf(w, "fails, %d in %d scenarios: %s\n", len(v.fails), len(tables), v.claim)
		for _, f := range v.fails {
			fmt.Fprintf(w, "  %s\n", f)
		}
	}
}
