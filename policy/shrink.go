package policy

import (
	"fmt"
	"slices"
	"time"
)

// Lasting pressure is this share of time lost, in thousandths, over ten
// seconds; half of it already keeps types from growing.
const hardSome, hardFull, lasting = 100, 50, 10 * time.Second

// shrink stops workers before the kernel kills them.
func (s *State) shrink(l *look, unexplained bool) {
	low := s.isLow(l)
	hard, cramped := s.isHard(l), s.cramped(l)
	s.chosen = s.chosen[:0]
	if s.recycleLeak(l, low, cramped) || !unexplained && !hard && s.renew(l, low, cramped) {
		return
	}
	free := l.free()
	for many := free < 0; ; {
		low = low && free+l.returning < l.reserve/2
		t := s.yields(l.c, s.runsExtra)
		if t < 0 {
			t = s.yields(l.c, s.aboveMinimum)
		}
		if t < 0 {
			if low || len(s.actions) == 0 {
				s.atMinimum(l, low)
			}
			return
		}
		i, because := s.pick(l.o, t, s.chosen)
		w := &l.o.Workers[i]
		var reason string
		var wait time.Duration // for the next up, at least, unless workers leak
		switch {
		case low:
			reason = l.lowReason(free)
		case len(s.actions) > 0:
			return
		case l.ends(l.rest(l.net), warning(w)):
			reason = l.endReason(l.rest(l.net), warning(w))
		case cramped:
			reason = l.crampedReason()
			s.fitted, wait = l.now, 5*time.Minute // how much that is goes up and down
			i, because = s.swollen(l, i, because)
			w = &l.o.Workers[i]
		case unexplained:
			reason = "the kernel killed for memory, and no worker's end explains it"
		case hard:
			reason = fmt.Sprintf("pressure some %.1f%%, full %.1f%% for %s, headroom %s under the reserve of %s",
				float64(l.o.PressureSome)/10, float64(l.o.PressureFull)/10, period(l.now-s.hardSince), size(l.headroom), size(l.reserve))
			s.hard, s.relief = 0, min(2*s.relief, time.Hour)
		default:
			return
		}
		if s.exchanges(l, w, because) {
			s.replace(l.now)
			s.recycle(l, i, reason+"; "+s.name(l, w)+" "+because+", and its master would choose another to go")
			return
		}
		s.down(l, i, reason+"; "+s.goes(l, w, because))
		if wait > 0 && !w.Extra {
			s.types[t].eased = l.now + wait
		}
		if !many {
			return
		}
	}
}

// down has worker i stopped for memory and one fewer of its type run.
func (s *State) down(l *look, i int, reason string) {
	s.drop(l, i, reason)
	if w := &l.o.Workers[i]; !w.Extra {
		s.takeBack(&s.types[w.Type], l.now)
	}
}

// drop has worker i stopped and one fewer of its type run, unless it is one that is
// to take another's place.
func (s *State) drop(l *look, i int, reason string) {
	w := &l.o.Workers[i]
	if len(s.chosen) == 0 {
		s.chosen = slices.Grow(s.chosen, len(l.o.Workers))[:len(l.o.Workers)]
		clear(s.chosen)
	}
	s.chosen[i] = true
	t := &s.types[w.Type]
	if w.Extra {
		t.extra--
	} else {
		t.wanted--
		t.live--
	}
	t.stopping++
	t.below = max(0, t.low-t.wanted)
	s.stops = append(s.stops, stop{lifeOf(w), l.now, l.available})
	back := bytes(w.Cost)
	if w.Phase == Ready && back == 0 {
		back, _ = s.Cost(w.Type)
	}
	l.returning = plus(l.returning, back)
	s.actions = append(s.actions, Action{Kind: Down, Type: w.Type, Index: w.Index, Reason: reason})
	s.atOnce(l, w)
}

// isLow says whether what is available, with what stopping workers give back,
// stays under half the reserve. A single look does not decide it, unless memory
// is seen going or the limit was just lowered.
func (s *State) isLow(l *look) bool {
	if l.available >= l.reserve/4*3 {
		s.short = false
	}
	if plus(l.free(), l.returning) >= l.reserve/2 || l.dips {
		s.low = 0
		return false
	}
	if s.low == 0 {
		s.lowSince = l.now
	}
	s.low = min(s.low+1, 1<<20)
	return l.now > s.lowSince || l.total > 0 || s.lowered > 0 && s.lowered == l.now
}

// isHard says whether pressure lasts while headroom is under the reserve. A
// worker that went without relief doubles the time to the next.
func (s *State) isHard(l *look) bool {
	some, full := l.o.PressureSome, l.o.PressureFull
	if some < hardSome/2 && full < hardFull/2 {
		s.relief = 0
	}
	if some < hardSome && full < hardFull || l.headroom >= l.reserve {
		s.hard = 0
		return false
	}
	if s.hard == 0 {
		s.hardSince = l.now
		if s.relief == 0 {
			s.reclaim = l.reserve
		}
	}
	s.hard = min(s.hard+1, 1<<20)
	s.relief = max(s.relief, lasting)
	return s.hard >= 3 && l.now-s.hardSince >= s.relief
}

// Reclaim is how many bytes of cache the kernel should be asked to take back now,
// before the pressure that just began lasts and a worker goes for it: the reserve,
// because what is taken is first what headroom counts already. It is asked for
// once until pressure was quiet again; mostly it is zero. Where what is available
// is low it is no help: cache counts there.
func (s *State) Reclaim() int64 { return s.reclaim }

// free is what is available, and below zero what is missing to the limit. What
// is available does not tell how much is missing: headroom does, except that it
// calls active cache used, and the workers' own sizes bound that.
func (l *look) free() int64 {
	if l.available > 0 {
		return l.available
	}
	return min(l.available, -max(0, min(-l.headroom, plus(l.costs, -l.limit))))
}

// rest is the part of a rate that does not end with the stopping workers.
func (l *look) rest(rate float64) float64 {
	if rest := rate - l.leaving; rest >= rate/4 {
		return rest
	}
	return 0
}

// left is the time until nothing is available at a rate, counting what stopping
// workers give back, and what starting ones are owed, to half of what is
// available, as gone.
func (l *look) left(rate float64) time.Duration {
	room := l.available - min(l.owed, max(0, l.available/2)) + l.returning
	return time.Duration(min(float64(max(0, room))/rate, 1e6) * float64(time.Second))
}

func (l *look) ends(rate float64, within time.Duration) bool {
	return rate > 0 && l.left(rate) < within
}

func (l *look) lowReason(free int64) string {
	free = plus(free, l.returning)
	if free < 0 {
		return fmt.Sprintf("%s over the limit of %s", size(-free), size(l.limit))
	}
	return fmt.Sprintf("%s available, under half the reserve of %s", size(free), size(l.reserve))
}

func (l *look) crampedReason() string {
	return fmt.Sprintf("%s available, and workers take up to %s for a moment at once", size(plus(l.available, l.passing)), size(l.surge))
}

func (l *look) endReason(rate float64, within time.Duration) string {
	return fmt.Sprintf("%s available and going at %s/s: %s left, and stopping is given %s",
		size(l.available), size(int64(rate)), period(l.left(rate)), period(within))
}

func (s *State) name(l *look, w *Worker) string {
	return fmt.Sprintf("%s.%d", l.c.Types[w.Type].Name, w.Index)
}

// exchanges says whether a worker is recycled where one fewer should run: one that
// leaks or keeps growing, of a master that would end another, where that gives
// back for good a quarter of what one more takes, and 8 MiB. One at a time: where
// it does not help, there is one fewer.
func (s *State) exchanges(l *look, w *Worker, because string) bool {
	if !l.c.Types[w.Type].MasterChooses || because != growsFastest && because != keepsGrowing {
		return false
	}
	cost, _ := s.Cost(w.Type)
	return bytes(w.Cost)-cost >= max(8*mib, cost/4) && len(s.actions) == 0 && !s.recycled.observed &&
		(!s.often(l.now, 0) || because == growsFastest && l.ends(l.rest(l.net), warning(w)))
}

// goes says in words who goes and why it is that one.
func (s *State) goes(l *look, w *Worker, because string) string {
	if t := &l.c.Types[w.Type]; t.MasterChooses {
		return "the master of " + t.Name + " chooses who goes"
	}
	return s.name(l, w) + " " + because
}
