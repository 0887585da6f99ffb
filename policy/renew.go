package policy

import (
	"fmt"
	"time"
)

// renew replaces the worker that has come to keep most beside what a new one does,
// where the reserve is not free or what workers take for a moment has no room, so that
// one fewer has to run or soon will, and that is enough for what is missing: the number
// of workers stays. A cache fills again, and what an allocator does not give back it
// takes anew, so that it does so seldom, only with those that are old, and only where
// nothing else is seen to be the cause.
func (s *State) renew(l *look, low, cramped bool) bool {
	room, need := plus(l.free(), l.passing), l.reserve
	if room >= need {
		s.reserveFree = l.now
	}
	switch {
	case !l.o.Limited || l.starting > 0 || l.stopping > 0 || s.recycled.observed || s.often(l.now):
		return false
	case l.free() < 0 || l.rest(l.total) > 0:
		return false
	case low:
		room = l.free() // what lasts is no spike
	}
	if cramped {
		need = max(need, l.surge)
	} else if !low && l.now-s.reserveFree < lasting {
		return false
	}
	best := none()
	for i := range l.o.Workers {
		w, k := &l.o.Workers[i], &s.tracks[i]
		if !s.has(w.Type) || l.c.Types[w.Type].NoRecycle || w.Phase != Ready || !k.begun || l.now-k.ready < old {
			continue
		}
		t := &s.types[w.Type]
		if !t.above(t.low) || t.live < t.wanted || t.young || t.outdated(w) || !low && t.stopTakesRest(l) {
			continue
		}
		base := max(t.base(), t.warm.last(), k.fresh)
		gain, worth := k.keeps()-base, max(2*mib, base/16)
		if k.stays()-base >= max(worth, gain/2) && plus(room, gain) >= need {
			best.offer(l, i, gain)
		}
	}
	if best.worker < 0 {
		return false
	}
	reason := fmt.Sprintf("%s available, under the reserve of %s", size(room), size(l.reserve))
	switch {
	case low:
		reason = l.lowReason(room)
	case cramped:
		reason = l.crampedReason()
	}
	if cramped {
		s.fitted = l.now
	}
	s.replace(l.now)
	w := &l.o.Workers[best.worker]
	s.recycle(l, best.worker, fmt.Sprintf("%s; %s keeps %s more than a new one, after %s",
		reason, s.name(l, w), size(best.most), period(l.now-s.tracks[best.worker].ready)))
	return true
}

const (
	// old is how long a worker must have been ready to be replaced for what it keeps.
	old = 40 * time.Minute
	// each is how often workers are replaced, at the mean, that do not leak fast.
	each = 24 * time.Minute
)

// replace keeps in mind that a worker is replaced, other than for a fast leak, so that the
// number of workers stays: see often.
func (s *State) replace(now time.Duration) {
	copy(s.replaced[:], s.replaced[1:])
	s.replaced[len(s.replaced)-1] = now
}

// often says whether so many were replaced of late that no more should be where one
// fewer may run.
func (s *State) often(now time.Duration) bool {
	first := s.replaced[0]
	return first > 0 && now-first < time.Duration(len(s.replaced))*each
}
