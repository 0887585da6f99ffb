package policy

import (
	"fmt"
	"slices"
	"time"
)

// stop is a worker that is stopping, and when that was decided or first seen.
type stop struct {
	life
	at time.Duration
}

// grace is what a stopping worker is left before SIGKILL.
const grace = 250 * time.Millisecond

// followStops keeps for each stopping worker since when it does. While none
// comes or goes each is found where the one before it was left.
func (s *State) followStops(o *Observation) {
	for i := range s.stops {
		s.stops[i].observed = false
	}
	known, next := len(s.stops), 0
	for i := range o.Workers {
		w := &o.Workers[i]
		if w.Phase != Stopping || !s.has(w.Type) {
			continue
		}
		if j := s.findStop(w, known, next); j >= 0 {
			s.stops[j].observed, next = true, j+1
			continue
		}
		s.stops = append(s.stops, stop{lifeOf(w), o.Now})
		s.stops[len(s.stops)-1].observed = true
	}
	s.stops = slices.DeleteFunc(s.stops, func(x stop) bool { return !x.observed })
}

// findStop is the index of a worker among the first n stops, from the one at
// next on; -1 where it is none of them.
func (s *State) findStop(w *Worker, n, next int) int {
	for k := range n {
		if j := (next + k) % n; s.stops[j].is(w) {
			return j
		}
	}
	return -1
}

// finish kills the largest stopping worker when memory ends before it would
// have stopped by itself. What went before its stop says nothing about that: the
// rate is that of three samples since, and it has its grace, unless a quarter of
// the reserve is all that is left.
func (s *State) finish(l *look) {
	h := &s.history
	if l.stopping == 0 || l.total <= 0 || s.finished.observed || h.n < 3 {
		return
	}
	latest := h.samples[h.n-3].at
	if l.available > l.reserve/4 {
		latest = min(latest, l.now-grace)
	}
	best, since, next := -1, l.now, 0
	for i := range l.o.Workers {
		w := &l.o.Workers[i]
		if w.Phase != Stopping || !s.has(w.Type) {
			continue
		}
		j := s.findStop(w, len(s.stops), next)
		next = j + 1
		if at := s.stops[j].at; at <= latest && (best < 0 || w.Cost > l.o.Workers[best].Cost) {
			best, since = i, at
		}
	}
	if best < 0 {
		return
	}
	rate := h.fall(false, since)
	left := time.Duration(min(float64(max(0, l.available))/rate, 1e6) * float64(time.Second))
	if rate <= 0 || left >= 300*time.Millisecond {
		return
	}
	w := &l.o.Workers[best]
	s.finished = lifeOf(w)
	s.actions = append(s.actions, Action{Kind: Kill, Type: w.Type, Index: w.Index, Reason: fmt.Sprintf(
		"%s available and going at %s/s: %s left, and it is still stopping", size(l.available), size(int64(rate)), period(left))})
}
