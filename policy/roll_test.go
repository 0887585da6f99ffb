package policy

import (
	"testing"
	"time"
)

// rolling is a rolling restart of eight workers on a clock of the test's. Whoever starts
// takes its memory in ten looks and is measured a look late; whoever stops gives its own
// back after four.
type rolling struct {
	t       *testing.T
	c       Config
	o       Observation
	s       State
	takes   int64 // a new worker
	stops   map[int]int
	pending []int // workers to be replaced, by index
	done    int
	index   int // the last that was given
}

const rollReserve = 50 * mib

func newRolling(t *testing.T, inPlace bool, free, had, takes int64) *rolling {
	r := &rolling{t: t, takes: takes, stops: map[int]int{}, index: 8}
	r.c = Config{Reserve: rollReserve, Types: []Type{{Name: "web", Min: 8, Max: 8, Replacing: true, InPlace: inPlace}}}
	r.o = Observation{Now: 10 * time.Minute, Limit: gib, Limited: true, Available: free, Headroom: free, Used: gib - free}
	for i := range 8 {
		r.o.Workers = append(r.o.Workers, Worker{Index: i + 1, Phase: Ready, Cost: had})
		r.pending = append(r.pending, i+1)
	}
	for until := r.o.Now + warm; r.o.Now <= until; r.o.Now += shortest {
		r.s.Decide(&r.c, &r.o)
	}
	if takes != had { // the next release, and the user has said what it takes
		r.c.Types[0].Release, r.c.Types[0].Memory = 1, takes
	}
	return r
}

func (r *rolling) free(by int64) { r.o.Available, r.o.Headroom = r.o.Available+by, r.o.Headroom+by }

func (r *rolling) start(extra bool) {
	r.index++
	r.o.Workers = append(r.o.Workers, Worker{Index: r.index, Phase: Starting, Since: r.o.Now, Extra: extra})
}

// stop tells the next one to stop that is to be replaced.
func (r *rolling) stop() {
	for i := range r.o.Workers {
		if w := &r.o.Workers[i]; w.Index == r.pending[0] {
			w.Phase, r.stops[w.Index] = Stopping, 4
		}
	}
	r.pending = r.pending[1:]
}

// look lets a quarter of a second pass, and says how many start and stop then.
func (r *rolling) look() (starting, stopping int) {
	r.o.Now += 250 * time.Millisecond
	took := map[int]int64{} // is seen with the next look
	for i := 0; i < len(r.o.Workers); i++ {
		w := &r.o.Workers[i]
		switch {
		case w.Phase == Stopping && r.stops[w.Index] > 1:
			r.stops[w.Index]--
		case w.Phase == Stopping:
			r.free(w.Cost)
			r.o.Workers = append(r.o.Workers[:i], r.o.Workers[i+1:]...)
			i--
			if r.c.Types[0].InPlace {
				r.start(false)
			}
		case w.Phase == Starting && w.Cost >= r.takes:
			w.Phase = Ready
			r.done++
			if w.Extra {
				w.Extra = false
				r.stop()
			}
		case w.Phase == Starting && w.Since < r.o.Now:
			took[w.Index] = min(r.takes/10+1, r.takes-w.Cost)
			r.free(-took[w.Index])
		}
	}
	if actions := r.s.Decide(&r.c, &r.o); len(actions) > 0 {
		r.t.Fatalf("at %s: %v", r.o.Now, actions)
	}
	for i := range r.o.Workers {
		w := &r.o.Workers[i]
		w.Cost += took[w.Index]
		switch w.Phase {
		case Starting:
			starting++
		case Stopping:
			stopping++
		}
	}
	return starting, stopping
}

// TestRollKeepsReserve: as many workers are replaced at once as memory holds beside the
// reserve, and no more, whether the new one starts first or the old one stops first.
func TestRollKeepsReserve(t *testing.T) {
	for _, test := range []struct {
		inPlace          bool
		free, had, takes int64 // in MiB
		once, all        int   // are replaced
	}{
		{false, 250, 60, 60, 3, 8},
		{false, 229, 60, 60, 2, 8},
		{false, 110, 60, 60, 1, 8},
		{false, 109, 60, 60, 0, 0},
		{false, 500, 60, 100, 3, 8},
		{true, 100, 60, 60, 8, 8},
		{true, 49, 60, 60, 0, 0},
		{true, 149, 60, 80, 2, 4},
	} {
		r := newRolling(t, test.inPlace, test.free*mib, test.had*mib, test.takes*mib)
		most, least := 0, r.o.Available
		for r.done < 8 && r.o.Now < time.Hour {
			starting, stopping := r.look()
			if test.inPlace {
				starting += stopping
			}
			most, least = max(most, starting), min(least, r.o.Available)
			if holds, _ := r.s.Holds(0); !holds {
				continue
			}
			switch {
			case test.inPlace && len(r.pending) > 0:
				r.stop()
			case !test.inPlace && len(r.pending) > starting:
				r.start(true)
			}
		}
		_, why := r.s.Holds(0)
		if most != test.once || r.done != test.all || least < min(rollReserve, test.free*mib) {
			t.Errorf("%+v: %d at once, %d in all, %s free at the least; %v", test, most, r.done, size(least), why)
		}
	}
}
