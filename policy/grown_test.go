package policy

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// grown is memory under workers that grow each by the same rule, and take 70 MiB for a
// second every 40 seconds.
type grown struct {
	c       Config
	s       State
	workers []Worker
	now     time.Duration
	stopped map[int]time.Duration // since when each is stopping, for three seconds
	counts  map[Kind]int
	reasons []string
	over    int // looks in which memory was over the limit
}

func newGrown(least, most int) *grown {
	return &grown{c: Config{Reserve: 40 * mib, Types: []Type{{Name: "web", Min: least, Max: most}}}, stopped: map[int]time.Duration{}, counts: map[Kind]int{}}
}

// run goes on for a while. A worker of some age in seconds has, beside the 60 MiB of
// a new one, so many MiB.
func (x *grown) run(limit float64, until time.Duration, beside func(age float64) float64) {
	for ; x.now < until; x.now += time.Second {
		o := Observation{Now: x.now, Limited: true, Limit: int64(limit * mib), Used: 20 * mib}
		live, taken := 0, map[int]bool{}
		for _, w := range x.workers {
			if taken[w.Index] = true; w.Phase != Stopping {
				live++
			}
		}
		for index := 1; live < x.s.Wanted(0) || x.now == 0 && live < x.c.Types[0].Min; index++ {
			if !taken[index] {
				x.workers = append(x.workers, Worker{Index: index, Since: x.now})
				live++
			}
		}
		for i := range x.workers {
			w := &x.workers[i]
			age := (x.now - w.Since - 3*time.Second).Seconds()
			if age >= 0 && w.Phase == Starting {
				w.Phase = Ready
			}
			has := beside(max(age, 0))
			w.Growth = int64((beside(max(age, 0)+1) - has) * mib)
			w.Cost = int64((60 + has) * mib)
			if age > 40 {
				w.Peak = w.Cost + 70*mib
			}
			if (int(x.now.Seconds())+17*w.Index)%40 == 0 {
				w.Cost += 70 * mib
			}
			o.Used += w.Cost
		}
		o.Workers = x.workers
		o.Available, o.Headroom = o.Limit-o.Used, o.Limit-o.Used
		if o.Available < 0 {
			x.over++
		}
		actions := x.s.Decide(&x.c, &o)
		kept := x.workers[:0]
		for _, w := range x.workers {
			if w.Phase != Stopping || x.now-x.stopped[w.Index] < 3*time.Second {
				kept = append(kept, w)
			}
		}
		x.workers = kept
		for _, a := range actions {
			x.counts[a.Kind]++
			x.reasons = append(x.reasons, fmt.Sprintf("%s %s", a.Kind, a.Reason))
			for i := range x.workers {
				if w := &x.workers[i]; w.Index == a.Index && (a.Kind == Down || a.Kind == Recycle) {
					w.Phase, x.stopped[w.Index] = Stopping, x.now
				}
			}
		}
	}
}

// A cache that takes a minute or two to fill looks like a fast leak for as long, and all
// the more where nobody is left to become old, or where workers fill something at once
// beside it.
func TestCacheIsNoLeak(t *testing.T) {
	for _, test := range []struct {
		least, most           int
		limit                 float64
		atOnce, cache, filled float64 // MiB in the first half minute, MiB, seconds to 63% of it
	}{
		{2, 2, 270, 0, 30, 60},
		{2, 2, 310, 0, 40, 90},
		{2, 2, 320, 0, 40, 120},
		{2, 6, 330, 0, 60, 120},
		{4, 4, 480, 0, 30, 120},
		{4, 4, 760, 30, 50, 300},
		{2, 4, 522, 20, 60, 120},
	} {
		x := newGrown(test.least, test.most)
		x.run(test.limit, 24*time.Hour, func(age float64) float64 {
			return test.atOnce*min(1, age/30) + test.cache*(1-math.Exp(-age/test.filled))
		})
		if x.counts[Recycle] > 6 {
			t.Errorf("%+v: %v in a day", test, x.counts)
		}
	}
}

// What grows as a leak does for two minutes may be taken for one at first, where memory is
// near the reserve as well as where spikes have no room, but not for long.
func TestHintIsTakenBack(t *testing.T) {
	for _, test := range []struct {
		workers     int
		limit       float64
		rate, until float64 // MiB/s, seconds
	}{
		{4, 480, 0.133, 150},
		{4, 576, 0.3, 120},
		{4, 558, 0.3, 150},
		{2, 276, 0.08, 150},
		{2, 303, 0.3, 95},
	} {
		x := newGrown(test.workers, test.workers)
		x.run(test.limit, 24*time.Hour, func(age float64) float64 { return test.rate * min(age, test.until) })
		if x.counts[Recycle] > 60 {
			t.Errorf("%+v: %v in a day", test, x.counts)
		}
	}
}

// What was hinted at of the release before is nothing to spare workers for.
func TestReleaseForgetsHint(t *testing.T) {
	x := newGrown(4, 4)
	leaks := func(age float64) float64 { return age / 4 }
	x.run(2400, 10*time.Minute, leaks)
	if x.s.types[0].hinted == 0 {
		t.Error("nothing is hinted at")
	}
	x.c.Types[0].Release = 1
	for i := range 4 {
		x.workers = slices.DeleteFunc(x.workers, func(w Worker) bool { return w.Index == i+1 && w.Phase != Stopping })
		x.run(2400, x.now+time.Minute, leaks)
	}
	x.run(2400, 20*time.Minute, leaks)
}

// What leaks fast leaves room for what workers take for a moment at once.
func TestFastLeakLeavesRoom(t *testing.T) {
	for _, a := range []float64{1. / 10, 1. / 6} {
		x := newGrown(4, 4)
		x.run(480, 24*time.Hour, func(age float64) float64 { return age * a })
		last := x.reasons[len(x.reasons)-1]
		if x.over > 1 || x.counts[Recycle] > 7500 || !strings.Contains(last, "for a moment at once; web.") {
			t.Errorf("%v in a day, %d s over the limit, the last: %s", x.counts, x.over, last)
		}
	}
}

// A worker that stops, or is not measured just now, teaches nothing.
func TestWhoStopsTeachesNothing(t *testing.T) {
	for _, test := range []struct {
		name  string
		until time.Duration // it is ready and measured
		then  Phase
		cost  int64
	}{
		{"young and stopping", 9 * time.Second, Stopping, 60 * mib},
		{"judged and stopping", 4 * time.Minute, Stopping, 100 * mib},
		{"judged and unmeasured", 4 * time.Minute, Ready, 0},
	} {
		var s State
		c := Config{Types: []Type{{Name: "web", Min: 1, Max: 1}}}
		o := Observation{Limited: true, Limit: gib, Available: gib, Headroom: gib}
		look := func(phase Phase, cost int64) typeState {
			o.Now += time.Second
			o.Workers = []Worker{{Index: 1, Phase: phase, Cost: cost}}
			s.Decide(&c, &o)
			return s.types[0]
		}
		var known typeState
		for o.Now < loading+test.until {
			known = look(Ready, 60*mib+int64(o.Now.Seconds())*mib/4)
		}
		var after typeState
		for range 60 {
			after = look(test.then, test.cost)
		}
		if after.fresh.n != known.fresh.n || after.filled.n != known.filled.n || after.rise.n != known.rise.n || after.proved.n != known.proved.n {
			t.Errorf("%s: fresh %d, then %d; filled %d, then %d; rise %d, then %d; proved %d, then %d", test.name,
				known.fresh.n, after.fresh.n, known.filled.n, after.filled.n, known.rise.n, after.rise.n, known.proved.n, after.proved.n)
		}
	}
}
