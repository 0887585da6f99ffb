package policy

import (
	"fmt"
	"time"
)

// recycleLeak replaces a worker that has grown beyond what it was when it was
// warm, and keeps growing, once what is available comes within a quarter of the
// reserve to it: all the others stay, and the number of workers as well. It is one
// at a time, and the next goes when the one before is ready and memory is near the
// reserve again, so that workers that were started together do not go together.
// Where memory is low, three quarters of the reserve have to be free with what it
// gives back, and where memory ends sooner, it has to be half the reserve at least:
// else one worker too many runs.
func (s *State) recycleLeak(l *look, low bool) bool {
	if l.starting > 0 || l.stopping > 0 || s.recycled.observed || plus(l.free(), l.passing) >= l.reserve/4*5 || l.free() < 0 {
		return false
	}
	best := none()
	for i := range l.o.Workers {
		w := &l.o.Workers[i]
		if w.Phase != Ready || !s.has(w.Type) || l.c.Types[w.Type].NoRecycle {
			continue
		}
		if gain := s.gain(w, &s.tracks[i], l.now, low); gain > 0 {
			best.offer(l, i, gain)
		}
	}
	i := best.worker
	if i < 0 {
		return false
	}
	w, k := &l.o.Workers[i], &s.tracks[i]
	if t := &s.types[w.Type]; t.live < t.wanted {
		return false
	}
	switch {
	case low && plus(l.free(), best.most) < l.reserve/4*3:
		return false
	case l.ends(l.rest(l.net), 2*warning(w)) && best.most < l.reserve/2:
		return false
	}
	s.recycle(l, i, fmt.Sprintf("%s available, near the reserve of %s; %s grew by %s since it was warm, lately %s an hour, for %s",
		size(l.free()), size(l.reserve), s.name(l, w), size(best.most), size(int64(k.rise()*3600)), period(l.now-k.ready)))
	return true
}

// gain is what replacing a worker that keeps growing gives back in bytes, 0 where that
// is not worth it: what after half an hour grows by much less than it did before fills
// a cache, or its allocator's holes, and another one would grow as fast. Where memory is
// low, so that one fewer would run, half as much is worth it, in half the time.
func (s *State) gain(w *Worker, k *track, now time.Duration, low bool) int64 {
	t := &s.types[w.Type]
	base := max(t.base(), k.fresh)
	least, worth, gain := t.shortestLife(base), t.worth(base), k.keeps()-base
	if low {
		least, worth = least/2, worth/2
	}
	if !k.leaky || now-k.ready < least {
		return 0
	}
	slows := now-k.ready >= 30*time.Minute && k.rise()*(now-k.ready).Seconds() < float64(gain)*2/3
	if gain < worth || slows {
		return 0
	}
	return gain
}
