package policy

import (
	"fmt"
	"slices"
	"time"
)

// stop is a worker that is stopping, when that was decided or first seen, and
// what was available then.
type stop struct {
	life
	at        time.Duration
	available int64
}

// grace is what a stopping worker is left before SIGKILL.
const grace = 250 * time.Millisecond

// followStops keeps for each stopping worker since when it does. While none
// comes or goes each is found where the one before it was left.
func (s *State) followStops(o *Observation, available int64) {
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
			if t := &s.types[w.Type]; known == 1 && s.before <= 0 {
				t.stopTakes = max(t.stopTakes, min(s.stops[j].available-available, bytes(w.Cost)))
			}
			continue
		}
		s.stops = append(s.stops, stop{lifeOf(w), o.Now, available})
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
// the reserve is all that is left. Stopping may itself take memory, faster than
// samples tell: where only an eighth is left since, one look is enough.
func (s *State) finish(l *look) {
	if l.stopping == 0 || s.finished.observed {
		return
	}
	scarce, last := l.available <= l.reserve/4, l.available <= l.reserve/8*l.earlier()
	h := &s.history
	seen := l.total > 0 && h.n >= 3
	var latest time.Duration
	if seen {
		latest = h.samples[h.n-3].at
		if !scarce {
			latest = min(latest, l.now-grace)
		}
	}
	best, next := -1, 0
	var stopped stop
	for i := range l.o.Workers {
		w := &l.o.Workers[i]
		if w.Phase != Stopping || !s.has(w.Type) {
			continue
		}
		j := s.findStop(w, len(s.stops), next)
		next = j + 1
		st := s.stops[j]
		if !(seen && st.at <= latest) && !(last && st.fell(l)) {
			continue
		}
		if best < 0 || w.Cost > l.o.Workers[best].Cost {
			best, stopped = i, st
		}
	}
	if best < 0 {
		return
	}
	w := &l.o.Workers[best]
	var reason string
	if rate := h.fall(false, stopped.at); seen && stopped.at <= latest && rate > 0 {
		left := l.bare(rate)
		if left < time.Duration(l.earlier())*300*time.Millisecond {
			reason = fmt.Sprintf("%s available and going at %s/s: %s left, and it is still stopping", size(l.available), size(int64(rate)), period(left))
		}
	}
	if reason == "" && last && stopped.fell(l) {
		reason = fmt.Sprintf("%s available, from %s since it was told to stop %s ago", size(l.available), size(stopped.available), period(l.now-stopped.at))
	}
	if reason == "" {
		return
	}
	s.finished = lifeOf(w)
	s.actions = append(s.actions, Action{Kind: Kill, Type: w.Type, Index: w.Index, Reason: reason})
}

// atOnce has a worker that was just told to stop killed where memory ends before
// it can have stopped, or does not hold what stopping took of it before. Where
// others are stopping already, finish kills one of these. What workers are known to
// take for a moment is given back: it ends no memory, and is no reason for a kill,
// which loses a request, unless the kernel's would take everything.
func (s *State) atOnce(l *look, w *Worker) {
	if l.stopping > 0 {
		return
	}
	if t := &s.types[w.Type]; t.stopTakesRest(l) {
		s.finished = lifeOf(w)
		s.actions = append(s.actions, Action{Kind: Kill, Type: w.Type, Index: w.Index, Reason: fmt.Sprintf(
			"%s available, and stopping took %s before", size(l.available), size(t.stopTakes))})
		return
	}
	if within := l.hard(w); l.total > 0 && l.bare(l.total) < within && (l.o.OOMGroup || !s.surging(l)) {
		s.finished = lifeOf(w)
		s.actions = append(s.actions, Action{Kind: Kill, Type: w.Type, Index: w.Index, Reason: fmt.Sprintf(
			"%s available and going at %s/s: %s left, and stopping takes %s",
			size(l.available), size(int64(l.total)), period(l.bare(l.total)), period(within))})
	}
}

// stopTakesRest says whether what is available does not hold what stopping one of a
// type's workers took before.
func (t *typeState) stopTakesRest(l *look) bool {
	return t.stopTakes > l.reserve/8 && l.available-t.stopTakes < l.reserve/8*l.earlier()
}

// hard is how little time must be left for a worker to be killed rather than told
// to stop: what stopping was measured to take, within reason.
func (l *look) hard(w *Worker) time.Duration {
	stop := w.StopTime
	if stop <= 0 {
		stop = 250 * time.Millisecond
	}
	return time.Duration(l.earlier()) * min(stop, time.Second)
}

// bare is the time until nothing is available at a rate, if nobody gives any
// memory back.
func (l *look) bare(rate float64) time.Duration {
	return time.Duration(min(float64(max(0, l.available))/rate, 1e6) * float64(time.Second))
}

// earlier is how many times as early the last resorts come: one kill by the
// kernel ends everything with memory.oom.group.
func (l *look) earlier() int64 {
	if l.o.OOMGroup {
		return 2
	}
	return 1
}

// fell says whether an eighth of the reserve has gone since the stop.
func (x *stop) fell(l *look) bool {
	return l.now > x.at && x.available-l.available >= l.reserve/8
}
