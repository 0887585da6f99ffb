package sim

import (
	"math"
	"testing"
	"time"
)

// TestCalm: six starts and stops an hour may replace workers that do not leak.
func TestCalm(t *testing.T) {
	s := &Scenario{Span: 2 * time.Hour, Warm: time.Hour}
	for _, test := range []struct {
		starts, stops, replaced int
		calm                    bool
	}{{20, 20, 3, true}, {20, 20, 4, false}, {21, 20, 3, false}} {
		r := &Result{Runs: 1, Starts: test.starts, Stops: test.stops, Replaced: test.replaced}
		if got := (Rules{Changes: 40}).Calm(s, r); got != test.calm {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// TestOracle: its plan is no worse than the best fixed number, without a kill, and
// keeps the reserve where it is told to.
func TestOracle(t *testing.T) {
	for _, name := range []string{"plateau", "leak"} {
		kind := Type{
			Name: "web", Profile: profile(t, "testdata/"+name+".txt"), Min: 1, Max: 12,
			Wait: 40 * time.Millisecond, Load: Steady(300), Queue: 100, Timeout: 30 * time.Second,
		}
		s := container(512*mib, kind)
		s.Span = time.Hour
		free := Rules{Changes: math.Inf(1)}
		var best Result
		for n := 1; n <= 12; n++ {
			if r := Run(s, &keep{counts: []int{n}}, 0); n == 1 || free.Better(s, &r, &best) {
				best = r
			}
		}
		any, _ := Search(s, free)
		kept, _ := Search(s, Rules{Reserve: true, Changes: math.Inf(1)})
		if any.Kills > 0 || kept.Kills > 0 {
			t.Errorf("%s: an oracle's worker is killed", name)
		}
		if any.Work < best.Work || any.Work < kept.Work {
			t.Errorf("%s: work %.0f, with the reserve kept %.0f, of the best number %.0f", name, any.Work, kept.Work, best.Work)
		}
		if kept.Over(s) > 0.01 {
			t.Errorf("%s: over the reserve for %.3f of the time", name, kept.Over(s))
		}
	}
}
