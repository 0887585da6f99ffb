package policy

import (
	"fmt"
	"time"
)

// renew replaces the worker that has come to keep most beside what a new one does,
// where one fewer would have to run otherwise or the reserve is not free, and that is
// enough: the number of workers stays. A cache fills again and what its allocator's holes
// take comes back, so that it does so seldom, and only with those that are old.
func (s *State) renew(l *look, low, cramped bool) bool {
	room, need := plus(l.free(), l.passing), l.reserve
	switch {
	case l.starting > 0 || l.stopping > 0 || s.recycled.observed || l.free() < 0 || s.often(l.now) || s.justReplaced(l.now):
		return false
	case cramped:
		need = max(need, l.surge)
	case !low && room >= need:
		return false
	}
	best := none()
	for i := range l.o.Workers {
		w, k := &l.o.Workers[i], &s.tracks[i]
		if !s.has(w.Type) || l.c.Types[w.Type].NoRecycle || w.Phase != Ready || !k.begun || l.now-k.ready < old {
			continue
		}
		t := &s.types[w.Type]
		base := max(t.base(), k.fresh)
		gain := k.keeps() - base
		if t.above(t.low) && t.live >= t.wanted && gain >= max(2*mib, base/16) && plus(room, gain) >= need {
			best.offer(l, i, gain)
		}
	}
	if best.worker < 0 {
		return false
	}
	reason := fmt.Sprintf("%s available, under the reserve of %s", size(room), size(l.reserve))
	switch {
	case low:
		reason = l.lowReason(l.free())
	case cramped:
		reason = l.crampedReason()
		s.fitted = l.now
	}
	w := &l.o.Workers[best.worker]
	s.recycle(l, best.worker, fmt.Sprintf("%s; %s keeps %s more than a new one, after %s",
		reason, s.name(l, w), size(best.most), period(l.now-s.tracks[best.worker].ready)))
	return true
}

const (
	// old is how long a worker must have been ready to be replaced for what it keeps.
	old = 40 * time.Minute
	// each is how often workers are replaced, at the mean, that nobody proved to leak.
	each = 24 * time.Minute
)

// often says whether so many workers were replaced of late that no more should be where
// it can be helped.
func (s *State) often(now time.Duration) bool {
	first := s.replaced[0]
	return first > 0 && now-first < time.Duration(len(s.replaced))*each
}

// justReplaced says whether the last worker that was replaced may not be warm yet: what
// that brings is not known before.
func (s *State) justReplaced(now time.Duration) bool {
	last := s.replaced[len(s.replaced)-1]
	return last > 0 && now-last < warm
}
