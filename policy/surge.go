package policy

import (
	"math"
	"time"
)

// spikes is what a type's workers have for a moment, beside what they keep, as a
// distribution over the looks at them and over the turns of a track, which tell the
// highest between looks.
type spikes struct {
	size  int64 // the largest
	since time.Duration
	unit  int64 // bytes that a bin is wide; the first begins above 0
	bins  [16]bin
	looks float64
	turns float64
	at    time.Duration // of the last look
}

// bin is how many looks met spikes of about one size, how many turns had their
// highest there, and the bytes of all of them in sum.
type bin struct{ looks, turns, sum float64 }

// own is a worker's part of its type's spikes: how many looks and turns each bin holds,
// and how many there were.
type own struct {
	bins         [len(spikes{}.bins)]struct{ looks, turns float32 }
	looks, turns float32
	at           time.Duration // of the last look that counted: one a second does
}

// look takes one look at a worker that is ready: what it has beside what it keeps.
func (p *spikes) look(now time.Duration, has int64, k *own) {
	counts := now-k.at >= time.Second
	if counts {
		k.count(now)
	}
	if now-p.since >= 24*time.Hour {
		p.size, p.since = p.size-p.size/8, now
	}
	p.at = now
	if p.looks++; p.looks >= 1<<12 {
		p.looks, p.turns = p.looks/2, p.turns/2
		for i := range p.bins {
			b := &p.bins[i]
			*b = bin{b.looks / 2, b.turns / 2, b.sum / 2}
		}
	}
	if has = min(has, p.size); has >= 256*kib {
		i := (has - 1) / p.unit
		b := &p.bins[i]
		if counts {
			k.bins[i].looks++
		}
		b.looks++
		b.sum += float64(has)
	}
}

// reach makes bins hold what a worker had for a moment, and says how often they became
// twice as wide for it.
func (p *spikes) reach(had int64) (widened int) {
	p.size, p.unit = max(p.size, had), max(p.unit, mib)
	for ; p.size > int64(len(p.bins))*p.unit; widened++ {
		narrow := p.bins
		clear(p.bins[:])
		for i, a := range narrow {
			b := &p.bins[i/2]
			*b = bin{a.looks + b.looks, a.turns + b.turns, a.sum + b.sum}
		}
		p.unit *= 2
	}
	return widened
}

// turn takes the highest that a worker had for a moment in a turn of its track. It is
// reached.
func (p *spikes) turn(had int64, k *own) {
	p.turns++
	k.turns++
	if had >= 256*kib {
		i := (had - 1) / p.unit
		b := &p.bins[i]
		k.bins[i].turns++
		b.turns++
		b.sum += float64(had)
	}
}

// count counts one more look.
func (k *own) count(now time.Duration) {
	k.at = now
	if k.looks++; k.looks >= 1<<10 {
		k.looks, k.turns = k.looks/2, k.turns/2
		for i := range k.bins {
			k.bins[i].looks /= 2
			k.bins[i].turns /= 2
		}
	}
}

// widen follows bins that became twice as wide.
func (k *own) widen() {
	narrow := k.bins
	clear(k.bins[:])
	for i, a := range narrow {
		b := &k.bins[i/2]
		b.looks, b.turns = a.looks+b.looks, a.turns+b.turns
	}
}

// rare is how seldom workers may have more at once than what is left for it, as a
// chance from 0 to 1: a day has a million moments.
const rare = 5e-8

// moment is how long a spike is taken to last, in seconds, that no look met, and hour
// are the turns of a worker's hour: as if one had passed without any.
const moment, hour = 0.1, 240

// again is how long an answer is good for.
const again = 10 * time.Second

// many bounds the numbers of workers that are added up one by one.
const many = 64

// steps is how many parts of a bin sums are told apart by.
const steps = 2

// sums is the chance of each sum, in parts of a bin.
type sums [steps*len(spikes{}.bins)*many + 1]float64

// As many looks at a worker, and turns of its track, count as much as what is known of its
// type: some have larger spikes than others, and go on having them.
const knownLooks, knownTurns = 128, 32

// of adds up what n workers of a type have for a moment at once, those that run by what
// each had, and says how many sums there are. They are taken to know nothing of each
// other.
func (t *sums) of(s *State, kind, n int) int {
	p := &s.types[kind].spikes
	const bins = len(p.bins)
	part := float64(p.unit) / steps
	var one [bins]struct {
		at                   int
		looks, turns, chance float64 // the first two are parts of all
	}
	for i := range p.bins {
		if b := &p.bins[i]; b.sum > 0 {
			one[i].at = int(b.sum/(b.looks+b.turns)/part + 0.5)
			one[i].looks = b.looks / max(p.looks, 1)
			one[i].turns = b.turns / (p.turns + hour)
		}
	}
	var other sums
	last, next := t, &other
	last[0] = 1
	j := 0
	for k := range n {
		for j < len(s.tracks) && !(s.tracks[j].counts && s.tracks[j].kind == kind) {
			j++
		}
		rest := 1.0
		for i := range one {
			o := &one[i]
			looks, turns := o.looks, o.turns
			if j < len(s.tracks) {
				own := &s.tracks[j].own
				b := &own.bins[i]
				looks = (float64(b.looks) + knownLooks*looks) / (float64(own.looks) + knownLooks)
				turns = (float64(b.turns) + knownTurns*turns) / (float64(own.turns) + knownTurns)
			}
			o.chance = looks + turns*moment/shortest.Seconds()
			rest -= o.chance
		}
		j++
		rest = max(0, rest)
		top := steps * bins * k
		clear(next[:top+steps*bins+1])
		for i, a := range last[:top+1] {
			if a > 1e-12 {
				next[i] += a * rest
				for _, o := range one {
					next[i+o.at] += a * o.chance
				}
			}
		}
		last, next = next, last
	}
	if last != t {
		*t = *last
	}
	return steps*bins*n + 1
}

// surged is the last answer of surge.
type surged struct {
	numbers uint64 // a digest of what it is for
	at      time.Duration
	bytes   int64
}

// surge is what all workers may have for a moment at once, with one more of type
// kind, at most but for a rare one.
func (s *State) surge(kind int) int64 {
	if len(s.surges) != len(s.types)+1 {
		s.surges = make([]surged, len(s.types)+1)
	}
	now := surged{numbers: 14695981039346656037}
	var largest, most int64
	for i := range s.types {
		p, n := &s.types[i].spikes, s.number(i, kind)
		if n <= 0 || p.size < mib {
			continue
		}
		now.at = max(now.at, p.at)
		for _, x := range [...]uint64{uint64(i), uint64(n), uint64(p.size)} {
			now.numbers = (now.numbers ^ x) * 1099511628211
		}
		largest, most = max(largest, p.size), plus(most, bytes(int64(n)*p.size))
	}
	if most == 0 {
		return 0
	}
	last := &s.surges[kind+1]
	if last.numbers != now.numbers || now.at-last.at >= again {
		now.bytes = max(largest, min(most, s.together(kind, most)))
		*last = now
	}
	return last.bytes
}

// number is how many workers of a type are wanted, with one more of type kind beside
// those that are to take another's place.
func (s *State) number(i, kind int) int {
	n := s.types[i].wanted
	if kind >= 0 {
		n += s.types[i].extra
	}
	if i == kind {
		n++
	}
	return n
}

// together adds up what the types' workers have at once, of most at the most.
func (s *State) together(kind int, most int64) int64 {
	const parts = 512
	part := float64(256 * kib)
	for part*parts < float64(most) {
		part *= 2 // so that one more worker never takes less
	}
	var all, next [parts + 1]float64
	all[0] = 1
	for i := range s.types {
		p, n := &s.types[i].spikes, s.number(i, kind)
		if n <= 0 || p.size < mib {
			continue
		}
		var own sums
		kinds := own.of(s, i, min(n, many))
		scale := float64(p.unit) / steps * max(1, float64(n)/many) / part
		clear(next[:])
		for j, chance := range own[:kinds] {
			if chance <= 1e-12 {
				continue
			}
			at := int(math.Ceil(float64(j) * scale))
			for k, a := range all {
				next[min(k+at, parts)] += a * chance
			}
		}
		all, next = next, all
	}
	above := 0.0
	for i := parts; i > 0; i-- {
		if above += all[i]; above > rare {
			return bytes(int64(float64(i) * part))
		}
	}
	return 0
}

// passing is what a worker has for a moment just now: part of a surge. What its kind
// leaks in the 15 seconds since it had what it keeps, or more, does not pass.
func (s *State) passing(w *Worker, k *track) int64 {
	if !k.begun || w.Phase != Ready {
		return 0
	}
	t := &s.types[w.Type]
	leaked := bytes(t.rise.middle * int64(shortest.Seconds()))
	return max(0, min(bytes(w.Cost)-k.keeps()-leaked, t.spikes.size))
}

// cramped says whether what workers are known to take for a moment at once has had
// no room for half a minute, or since the limit was lowered.
func (s *State) cramped(l *look) bool {
	if l.surge = s.surge(-1); plus(plus(l.available, l.passing), l.returning) >= l.surge {
		s.fitted = l.now
		return false
	}
	return l.now-s.fitted >= 30*time.Second || s.lowered > s.fitted
}
