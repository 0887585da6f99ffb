package policy

import (
	"fmt"
	"time"
)

// atMinimum helps while nothing runs above its minimum: a worker that grows is
// stopped and started anew; with memory.oom.group one goes below its minimum,
// for one kill would end all; and where memory has been low for two seconds a
// worker is replaced, with doubling waits, and between them memory is short.
func (s *State) atMinimum(l *look, low bool) {
	if s.recycled.observed && (l.stopping == 0 || l.rest(l.total) <= 0) {
		return // one at a time
	}
	i, rate := s.grower(l, low)
	switch {
	case i >= 0 && low:
		s.recycle(l, i, l.lowReason(l.available))
	case i >= 0:
		s.recycle(l, i, l.endReason(rate, warning(&l.o.Workers[i])))
	case l.o.OOMGroup && s.belowMinimum(l, low):
	case low && l.now-s.lowSince >= 2*time.Second:
		if i := s.replaceable(l); i >= 0 {
			s.recycleWait.raise(l.now, 5*time.Second, time.Hour)
			s.recycle(l, i, l.lowReason(l.available)+", everything at its minimum; it gives most back")
			return
		}
		s.short, s.shortRoom, s.shortReserve = l.o.Limited, l.available, l.reserve
	}
}

// candidate is the best worker so far: lowest priority, then most of a measure.
type candidate struct {
	worker, priority int
	most             int64
}

func none() candidate { return candidate{worker: -1} }

func (b *candidate) offer(l *look, i int, measure int64) {
	p := l.c.Types[l.o.Workers[i].Type].Priority
	if b.worker < 0 || p < b.priority || p == b.priority && measure > b.most {
		*b = candidate{i, p, measure}
	}
}

// loading is how long after its start a worker may load yet what it serves with, though
// it said that it is ready, as gunicorn's do. Longer is too long for one that takes all that there is.
const loading = 3 * time.Second

// grower is the worker to recycle because memory goes, and the rate at which it
// does; -1 where none is. A ready worker that is seen to cause it comes first,
// then one that is starting, which is spared until it reaches into the reserve,
// as nobody knows how large it will be. Where nobody is seen to cause it, the one
// goes that grew most since it was new: not because the cause stops fast enough
// to be given more time.
func (s *State) grower(l *look, low bool) (worker int, rate float64) {
	net, total := l.rest(l.net), l.rest(l.total)
	cause := net
	if low {
		cause = total
	}
	growing, starting, grown := none(), none(), none()
	for i := range l.o.Workers {
		w := &l.o.Workers[i]
		if !s.has(w.Type) || w.Phase >= Stopping || l.c.Types[w.Type].NoRecycle {
			continue
		}
		size, least := bytes(w.Cost), s.types[w.Type].least
		expected, _ := s.Cost(w.Type)
		switch {
		case w.Phase == Starting:
			seen := float64(w.Growth) >= total/4
			late := l.available < l.reserve &&
				(l.now-w.Since >= lasting && l.ends(total, warning(w)) || total > 0 && l.bare(total) < l.hard(w))
			switch {
			case total <= 0 || size <= expected:
			case len(l.o.Workers) == 1 && l.now-w.Since < lasting && !l.o.OOMGroup:
				// Nobody else is there to suffer, and it may be as large as it gets.
			case seen && (low || late):
				starting.offer(l, i, w.Growth)
			case low:
				grown.offer(l, i, size-expected)
			}
		case cause <= 0:
		case !low && l.now-w.Since < loading && l.available >= l.reserve:
			// It said that it is ready, and loads yet what it serves with.
		case float64(w.Growth) >= cause/4:
			growing.offer(l, i, w.Growth)
		case l.starting == 0 && size-least >= max(4*mib, least/4):
			grown.offer(l, i, size-least)
		}
	}
	due := func(i int) bool { return low || l.ends(net, warning(&l.o.Workers[i])) }
	switch {
	case growing.worker >= 0 && due(growing.worker):
		return growing.worker, net
	case starting.worker >= 0:
		return starting.worker, total
	case growing.worker < 0 && grown.worker >= 0 && due(grown.worker):
		return grown.worker, net
	default:
		return -1, 0
	}
}

// replaceable is the worker that gives most back, where none is coming or going
// and the wait since the last one is over.
func (s *State) replaceable(l *look) int {
	best := none()
	if !l.o.Limited || l.starting > 0 || l.stopping > 0 || s.recycleWait.left(l.now) > 0 {
		return best.worker
	}
	for i := range l.o.Workers {
		if w := &l.o.Workers[i]; s.has(w.Type) && w.Phase == Ready && !l.c.Types[w.Type].NoRecycle {
			best.offer(l, i, bytes(w.Cost))
		}
	}
	return best.worker
}

// belowMinimum stops a worker below its type's minimum, though never the last.
func (s *State) belowMinimum(l *look, low bool) bool {
	live := 0
	for i := range s.types {
		live += s.types[i].live
	}
	t := s.yields(l.c, s.aboveNothing)
	if t < 0 || live < 2 {
		return false
	}
	i, because := s.pick(l.o, t, s.chosen)
	w := &l.o.Workers[i]
	var reason string
	switch {
	case low:
		reason = l.lowReason(l.available)
	case l.ends(l.rest(l.net), warning(w)):
		reason = l.endReason(l.rest(l.net), warning(w))
	default:
		return false
	}
	s.down(l, i, reason+"; one kill would end all (memory.oom.group), and "+s.goes(l, w, because))
	return true
}

// recycle has worker i stopped and started anew.
func (s *State) recycle(l *look, i int, reason string) {
	w := &l.o.Workers[i]
	s.recycled = lifeOf(w)
	s.stops = append(s.stops, stop{lifeOf(w), l.now, l.available})
	s.actions = append(s.actions, Action{Kind: Recycle, Type: w.Type, Index: w.Index, Reason: reason, First: s.lacks(l, w.Type, false).why == nothing})
	s.atOnce(l, w)
}

// replaceLarge recycles a worker that stayed above its type's size for ten
// seconds, one at a time over all types, while no other of its type is coming
// or going.
func (s *State) replaceLarge(l *look) {
	for i := range s.types {
		s.types[i].over.observed = false
		s.types[i].larger = -1
	}
	for i := range l.o.Workers {
		w := &l.o.Workers[i]
		if !s.has(w.Type) || w.Phase != Ready || l.c.Types[w.Type].NoRecycle {
			continue
		}
		limit, t := l.c.Types[w.Type].Recycle, &s.types[w.Type]
		if limit <= 0 || w.Cost <= limit {
			continue
		}
		if t.over.is(w) {
			t.over.observed = true
			t.larger = i
		} else if !t.over.observed && t.larger < 0 {
			t.larger = i
		}
	}
	busy := len(s.actions) > 0 || l.stopping > 0 || s.recycled.observed ||
		s.recycled.known && s.has(s.recycled.kind) && s.types[s.recycled.kind].starting > 0
	for i := range s.types {
		t := &s.types[i]
		if t.larger < 0 {
			t.over = life{}
			continue
		}
		w := &l.o.Workers[t.larger]
		if !t.over.observed {
			t.over, t.overSince = lifeOf(w), l.now
		}
		if busy || t.starting > 0 || t.live < t.wanted || l.now-t.overSince < lasting {
			continue
		}
		s.recycle(l, t.larger, fmt.Sprintf("%s, above its size of %s for %s",
			size(w.Cost), size(l.c.Types[i].Recycle), period(l.now-t.overSince)))
		busy = true
	}
}
