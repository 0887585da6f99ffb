package policy

import (
	"fmt"
	"time"
)

// recycleLeak replaces a worker that has grown beyond what it was when it was
// warm, and keeps growing, once what is available comes within a quarter of the
// reserve to it, or as near as the others leak in the meantime: all the others stay,
// and the number of workers as well. It does so before that where one more would fit
// beside younger ones, and the others do not leak as fast as they are replaced. It is one
// at a time, and the next goes when the one before is ready and memory is near the
// reserve again, so that workers that were started together do not go together.
// Where memory is low, three quarters of the reserve have to be free with what it
// gives back, and where memory ends sooner, it has to be half the reserve at least:
// else one worker too many runs. Where spikes have had no room (cramped), and would if
// nobody had grown, it is judged as where memory is low.
func (s *State) recycleLeak(l *look, low, cramped bool) bool {
	if l.starting > 0 || l.stopping > 0 || s.recycled.observed || l.free() < 0 {
		return false
	}
	best, often := none(), s.often(l.now, 0)
	for i := range l.o.Workers {
		w := &l.o.Workers[i]
		if !s.has(w.Type) || l.c.Types[w.Type].NoRecycle {
			continue
		}
		t := &s.types[w.Type]
		gain := s.gain(w, &s.tracks[i], l.now, low || cramped && t.takesRoom(l))
		full := t.block.why == noRoom || t.block.why == surges
		if gain > 0 && (!often || t.sure(gain)) && (t.near(l, often) || t.fast() && full) {
			best.offer(l, i, gain)
		}
	}
	i := best.worker
	if i < 0 {
		return false
	}
	w, k := &l.o.Workers[i], &s.tracks[i]
	t := &s.types[w.Type]
	switch {
	case t.live < t.wanted:
		return false
	case low && plus(l.free(), best.most) < l.reserve/4*3:
		return false
	case l.ends(l.rest(l.net), 2*warning(w)) && best.most < l.reserve/2:
		return false
	case !t.near(l, often) && (best.most <= t.meanwhile() || !s.fitsYounger(l, w.Type)):
		return false
	}
	because := t.block.String() + " for one more"
	switch {
	case t.nearReserve(l):
		because = fmt.Sprintf("%s available, near the reserve of %s", size(l.free()), size(l.reserve))
	case t.near(l, often):
		because = l.crampedReason()
	}
	if !t.fast() {
		s.replace(l.now)
	}
	s.recycle(l, i, fmt.Sprintf("%s; %s grew by %s since it was warm, lately %s an hour, for %s",
		because, s.name(l, w), size(best.most), size(int64(k.rise()*3600)), period(l.now-k.ready)))
	return true
}

// sure says whether a worker may be replaced for its leak however often workers were: one
// fewer may not run, or most workers that were old enough leak, by a third in five minutes
// or this one by a quarter of what a new one has, or it has grown by half.
func (t *typeState) sure(gain int64) bool {
	base := t.base()
	return !t.above(t.low) || t.fast() || t.proved.middle > 0 && gain >= base/4 || gain >= base/2
}

// fitsYounger says whether one more worker of a type would fit, and what all take for a
// moment at once beside it, if those that have grown enough to be replaced for it were as
// large as their kind is at the mean.
func (s *State) fitsYounger(l *look, kind int) bool {
	t := &s.types[kind]
	cost, _ := s.Cost(kind)
	room := plus(s.spare(l), -plus(l.coming-max(0, t.coming), t.coming))
	return room >= plus(cost, max(l.reserve, s.surge(kind)-l.passing))
}

// near says whether a worker of a type that leaks is replaced for what is available.
func (t *typeState) near(l *look, often bool) bool { return t.nearReserve(l) || t.crowds(l, often) }

// crowds says whether workers of a type leak fast, and what workers take for a moment at
// once has no room; where they only seem to, for what they have grown by.
func (t *typeState) crowds(l *look, often bool) bool {
	return plus(l.free(), l.passing) < l.surge && (t.fast() || t.seemsFast(often) && t.takesRoom(l))
}

// takesRoom says whether there were room for what workers take for a moment at once if
// those of a type had not grown.
func (t *typeState) takesRoom(l *look) bool {
	return plus(plus(l.free(), l.passing), t.grown) >= l.surge
}

// nearReserve says whether memory is near the reserve, as far as workers of a type go: by a
// quarter of it, or by what they leak while one is replaced, up to half of it.
func (t *typeState) nearReserve(l *look) bool {
	return plus(l.free(), l.passing) < plus(l.reserve, max(l.reserve/4, min(l.reserve/2, t.meanwhile())))
}

// meanwhile is what the workers of a type leak while one of them is replaced.
func (t *typeState) meanwhile() int64 {
	return int64(min(float64(t.rise.middle)*float64(t.ready)*time.Duration(t.away.middle).Seconds(), most))
}

// gain is what replacing a worker that keeps growing gives back in bytes, 0 where that
// is not worth it: what after half an hour grows by much less than it did before fills
// a cache, or its allocator's holes, and another one would grow as fast. Where one fewer
// would run otherwise, half as much is worth it, in half the time. Who is spared to show
// what it keeps gives nothing back.
func (s *State) gain(w *Worker, k *track, now time.Duration, fewer bool) int64 {
	if w.Phase != Ready || !s.has(w.Type) {
		return 0
	}
	t, age := &s.types[w.Type], now-k.ready
	if leaky := k.leaky || age < proof && t.fast(); !leaky { // a young one as an older one did
		return 0
	}
	base := max(t.base(), k.fresh)
	least, worth, gain := t.shortestLife(base), t.worth(base), k.keeps()-base
	if fewer {
		least, worth = least/2, worth/2
	}
	if age < least || t.spares(k, now) {
		return 0
	}
	slows := age >= 30*time.Minute && k.rise()*age.Seconds() < float64(gain)*2/3
	if gain < worth || slows {
		return 0
	}
	return gain
}

// several is how many workers can hint at a leak together.
const several = 4

// hint takes what a worker grew by from the 30th second after it was ready to the 60th, and
// from there to the 90th, where none was ready for proof yet. Where both tell of a fast leak,
// by the medians of several workers, and the second is four fifths of the first at least,
// that counts as proved by one: those that were started together may all be replaced
// before they are old enough.
func (t *typeState) hint(k *track, now time.Duration) {
	t.before.add(k.floors[2] - k.floors[1])
	t.lately.add(k.floors[3] - k.floors[2])
	before, lately := t.before.middle, t.lately.middle
	pace := min(before, lately) / int64(k.period.Seconds())
	if t.lately.n >= several && 5*lately >= 4*before && t.third(pace) {
		t.proved.add(pace)
		t.hinted = now
	}
}

// spares says whether a worker is left to become ready for proof, until two more entries of
// proved say what a hint is worth: by their upper median it stands where one of them shows a
// leak, and is taken back where neither does. That begins five minutes after it, when not
// all of a new container's workers are as old, with the two oldest.
func (t *typeState) spares(k *track, now time.Duration) bool {
	missing := 3 - t.proved.n
	return t.hinted > 0 && now-t.hinted >= briefest && missing > 0 && !k.shown && k.ready <= t.elders[missing-1]
}
