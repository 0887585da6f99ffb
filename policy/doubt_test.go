package policy

import (
	"fmt"
	"math"
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
	oldest  time.Duration // of those that were replaced
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
					w.Phase, x.stopped[w.Index], x.oldest = Stopping, x.now, max(x.oldest, x.now-w.Since)
				}
			}
		}
	}
}

func fills(cache, seconds float64) func(age float64) float64 {
	return func(age float64) float64 { return cache * (1 - math.Exp(-age/seconds)) }
}

// A cache that takes minutes to fill looks like a leak for as long, and all the more where
// nobody is left to become old. It is found out, and nobody is replaced for it for ever.
func TestCacheIsNoLeak(t *testing.T) {
	for _, test := range []struct {
		least, most    int
		limit          float64
		cache, seconds float64
	}{
		{2, 2, 270, 30, 60},
		{2, 2, 270, 40, 90},
		{2, 2, 270, 40, 120},
		{2, 2, 270, 30, 200},
		{2, 2, 270, 40, 200},
		{2, 2, 300, 60, 200},
		{2, 2, 300, 60, 300},
		{2, 4, 420, 60, 400},
		{2, 6, 330, 40, 300},
		{2, 6, 330, 60, 300},
		{1, 6, 330, 60, 300},
	} {
		x := newGrown(test.least, test.most)
		x.run(test.limit, 24*time.Hour, fills(test.cache, test.seconds))
		first := x.counts[Recycle]
		x.run(test.limit, 48*time.Hour, fills(test.cache, test.seconds))
		if second := x.counts[Recycle] - first; first > 24 || second > 2 {
			t.Errorf("%+v: %d replaced in a day, %d in the next", test, first, second)
		}
	}
}

// What leaks fast is doubted as well, and replaced all the same: where one can become old
// to show it, and where memory does not last so long.
func TestLeakIsDoubted(t *testing.T) {
	for _, test := range []struct {
		a         float64 // MiB a second
		old, most time.Duration
	}{{1. / 6, 2 * proof, 3 * proof}, {1. / 3, proof, 2 * proof}} {
		x := newGrown(2, 6)
		x.run(330, 24*time.Hour, func(age float64) float64 { return age * test.a })
		if x.counts[Recycle] < 1000 || x.oldest < test.old || x.oldest > test.most || x.counts[Up]+x.counts[Down] > 4 {
			t.Errorf("%v in a day, the oldest after %v", x.counts, x.oldest)
		}
		if wait := x.s.types[0].doubt.next.wait; wait < 12*time.Hour {
			t.Errorf("doubted again after %v", wait)
		}
		if !strings.Contains(strings.Join(x.reasons, "\n"), "for a moment at once; web.3 grew by") {
			t.Error("nobody was replaced for what others take for a moment")
		}
	}
}
