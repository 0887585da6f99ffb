package policy

import (
	"fmt"
	"time"
)

// renew replaces a worker where the reserve is not free or what workers take for a moment
// has no room, so that one fewer has to run or soon will, and that is enough for what is
// missing: the number of workers stays. It is the one that has come to keep most beside
// what a new one does, if it is old, for a cache fills again, and what an allocator does
// not give back it takes anew; or the one that takes most beside others for a moment,
// again and again, where just that has no room. It does so seldom, and only where nothing
// else is seen to be the cause.
func (s *State) renew(l *look, low, cramped bool) bool {
	room, need := plus(l.free(), l.passing), l.reserve
	if room >= need {
		s.reserveFree = l.now
	}
	switch {
	case !l.o.Limited || l.starting > 0 || l.stopping > 0 || s.recycled.observed || s.often(l.now, 0):
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
	best, keeps := none(), false
	for i := range l.o.Workers {
		w, k := &l.o.Workers[i], &s.tracks[i]
		if !s.has(w.Type) || l.c.Types[w.Type].NoRecycle || w.Phase != Ready || !k.begun {
			continue
		}
		t := &s.types[w.Type]
		if !t.above(t.low) || t.live < t.wanted || t.young || t.outdated(w) || !low && t.stopTakesRest(l) {
			continue
		}
		base := max(t.base(), t.warm.last(), k.fresh)
		gain, worth := k.keeps()-base, max(2*mib, base/16)
		if l.now-k.ready < old || k.stays()-base < max(worth, gain/2) {
			gain = 0
		}
		if spikes := t.beyond(k) - max(0, k.keeps()-t.cost); cramped && !low && spikes >= 2*worth {
			gain = max(gain, spikes)
		}
		if gain > 0 && plus(room, gain) >= need {
			if best.offer(l, i, gain); best.worker == i {
				keeps = gain == k.keeps()-base
			}
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
	s.recycle(l, best.worker, reason+"; "+s.name(l, w)+" "+s.beyond(l, &best, keeps))
	return true
}

// oneMore is what is in the way of one more worker of a type.
type oneMore struct {
	until  backoff       // no worker is replaced for it
	since  time.Duration // memory alone has been in its way; zero is not
	beyond int64         // what workers have beyond others, or new ones, together
	best   candidate     // who has most
	keeps  bool          // beyond new ones
}

// makeRoom replaces, where memory alone is in the way of one more worker, the one of its
// type that takes most beside others for a moment, again and again, or keeps most beside
// what new ones come to: one more may fit when all such were replaced, for together they
// have half of what is missing. After each the next waits twice as long.
func (s *State) makeRoom(l *look) {
	for i := range s.types {
		t := &s.types[i]
		switch t.oneMore.best = none(); {
		case t.block.memory() && t.oneMore.since == 0:
			t.oneMore.since = l.now
		case !t.block.memory() && !t.block.Passing():
			t.oneMore.since = 0
		}
	}
	if len(s.actions) > 0 || !l.o.Limited || l.stopping > 0 || l.total > 0 || s.low > 0 || s.recycled.observed || s.often(l.now, 1) {
		return
	}
	for i := range l.o.Workers {
		w, k := &l.o.Workers[i], &s.tracks[i]
		if !s.has(w.Type) || w.Phase != Ready || !k.warmed || !s.asksRoom(l, w.Type) || s.types[w.Type].outdated(w) {
			continue
		}
		t := &s.types[w.Type]
		o, kept := &t.oneMore, t.warm.mean()
		takes, keeps := t.beyond(k), k.stays()-kept
		if beyond := max(takes, keeps); beyond >= max(2*mib, kept/16) {
			if o.best.worker < 0 {
				o.beyond = 0
			}
			o.beyond = plus(o.beyond, beyond)
			if o.best.offer(l, i, beyond); o.best.worker == i {
				o.keeps = keeps > takes
			}
		}
	}
	for i := range s.types {
		o := &s.types[i].oneMore
		if o.best.worker < 0 {
			continue
		}
		cost, _ := s.Cost(i)
		missing := plus(plus(max(l.reserve, s.surge(i)), plus(cost, l.coming)), -plus(s.spare(l), l.passing))
		if missing <= 0 || 2*o.beyond < missing {
			continue
		}
		o.until.raise(l.now, 10*time.Minute, 24*time.Hour)
		s.replace(l.now)
		s.recycle(l, o.best.worker, fmt.Sprintf("%s missing for one more of %s; %s %s", size(missing),
			l.c.Types[i].Name, s.name(l, &l.o.Workers[o.best.worker]), s.beyond(l, &o.best, o.keeps)))
		return
	}
}

// asksRoom says whether a worker of a type may be replaced so that one more fits.
func (s *State) asksRoom(l *look, kind int) bool {
	t, from := &s.types[kind], &l.c.Types[kind]
	return t.block.memory() && l.now-t.oneMore.since >= 3*lasting && t.oneMore.until.left(l.now) == 0 && !t.young &&
		t.rise.middle == 0 && !from.NoRecycle && !from.Replacing && !t.stopTakesRest(l)
}

// beyond says in words what a worker has too much.
func (s *State) beyond(l *look, b *candidate, keeps bool) string {
	what := "takes %s more than others, after %s"
	if keeps {
		what = "keeps %s more than a new one, after %s"
	}
	return fmt.Sprintf(what, size(b.most), period(l.now-s.tracks[b.worker].ready))
}

const (
	// old is how long a worker must have been ready to be replaced for what it keeps.
	old = 40 * time.Minute
	// each is how often workers are replaced, at the mean, that do not leak fast.
	each = 36 * time.Minute
)

// replace keeps in mind that a worker is replaced, other than for a fast leak, so that the
// number of workers stays: see often.
func (s *State) replace(now time.Duration) {
	copy(s.replaced[:], s.replaced[1:])
	s.replaced[len(s.replaced)-1] = now
}

// often says whether so many were replaced of late that no more should be, or all but so
// many that are left for more urgent reasons.
func (s *State) often(now time.Duration, left int) bool {
	first := s.replaced[left]
	return first > 0 && now-first < time.Duration(len(s.replaced))*each
}
