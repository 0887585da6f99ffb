package policy

import (
	"math"
	"time"
)

// track is what is remembered of one worker while it lives. A worker's cost
// goes up and down with what it does: the least of a while tells what it keeps.
type track struct {
	life
	begun   bool  // was seen ready and measured
	settled bool  // fresh is what it is
	filled  bool  // was ready for filling
	warmed  bool  // was warm
	leaky   bool  // kept growing when that could be said last
	judged  bool  // which was just now
	shown   bool  // it was, when it was ready for proof
	spike   int64 // what it took for a moment, if that was just seen to be over
	ready   time.Duration
	fresh   int64    // the least of its first seconds
	peak    int64    // the most
	told    int64    // Worker.Peak, as last seen
	lows    [2]int64 // the least of the last seconds, and of as many before
	highs   [2]int64 // the most, likewise
	lowsAt  time.Duration

	counts bool  // it is ready, and of its type's release
	high   int64 // the most of a turn in bytes, at the mean of the last minutes
	own    own   // of its type's spikes

	floors [4]int64 // the least in each of the last periods, oldest first
	n      int
	period time.Duration
	since  time.Duration // the begin of the present period
	least  int64         // in it
}

const (
	// warm is how long a worker that is ready fills its caches: what it keeps by
	// then is what one more worker comes to. The most of it is filled early.
	warm, filling = 5 * time.Minute, time.Minute
	// briefest is the shortest life of a worker that is replaced for its leak: those of
	// all ages live twice as long.
	briefest = 5 * time.Minute
	// proof is how long a worker must have been ready to show a leak, and not a cache
	// that fills, by each of four periods.
	proof = 4 * time.Minute
	// hasty is the shortest life of one that grows by a third in less than the
	// briefest, and hastiest that of one whose kind was proved to leak so fast: more
	// workers fit, and a start is a small part of it.
	hasty, hastiest = 2 * time.Minute, 30 * time.Second
	// A worker's periods double with its age, between these.
	shortest, longest = 15 * time.Second, 15 * time.Minute
)

// follow takes one look at a worker.
func (k *track) follow(w *Worker, now time.Duration) {
	cost := bytes(w.Cost)
	k.judged, k.spike = false, 0
	if w.Phase != Ready || cost == 0 {
		return
	}
	if loaded := w.Since + loading; !k.begun || k.ready < loaded && now >= loaded {
		// Begun before it had loaded what it serves with, it begins anew: that is
		// part of what it keeps, and no growth.
		had := k.peak
		if w.Peak > k.told {
			had = max(had, bytes(w.Peak))
		}
		*k = track{
			life: k.life, ready: now, since: now, fresh: cost, peak: had, told: w.Peak, least: cost, period: shortest,
			lows: [2]int64{cost, cost}, lowsAt: now,
		}
		// Another one will take as much when it starts.
		k.spike = max(0, had-cost)
	}
	k.begun = true
	if now-k.lowsAt >= shortest {
		// What has not come to stay was a spike.
		k.spike = max(0, k.highs[1]-max(k.lows[0], k.lows[1]))
		if k.high == 0 {
			k.high = k.highs[0]
		}
		k.high += (k.highs[0] - k.high) / 16
		k.lows, k.highs, k.lowsAt = [2]int64{cost, k.lows[0]}, [2]int64{cost, k.highs[0]}, now
	}
	k.lows[0] = min(k.lows[0], cost)
	if now-k.ready < shortest {
		k.fresh = k.lows[0]
	}
	k.highs[0] = max(k.highs[0], cost)
	if w.Peak > k.told {
		k.highs[0], k.told = max(k.highs[0], bytes(w.Peak)), w.Peak
	}
	k.peak = max(k.peak, k.highs[0])
	k.least = min(k.least, cost)
	if now-k.since < k.period {
		return
	}
	if k.n == len(k.floors) && k.period < longest {
		f := &k.floors
		f[0], f[1] = min(f[0], f[1]), min(f[2], f[3])
		k.n, k.period = 2, 2*k.period
		if now-k.since < k.period {
			return
		}
	}
	if k.n == len(k.floors) {
		copy(k.floors[:], k.floors[1:])
		k.n--
	}
	k.floors[k.n] = k.least
	k.n++
	k.since, k.least = now, cost
	if k.n < 3 {
		return
	}
	// Three floors may tell of a leak, and of none only four: what a worker fills at
	// once in its first period hides one.
	grows := k.keepsGrowing()
	if k.judged = grows || k.n == len(k.floors); k.judged {
		k.leaky = grows
	}
}

// keepsGrowing says whether the least of each period is clearly above the one
// before, and the last step is no smaller than two thirds of the mean one, or than
// five sixths of the one before: a cache that fills up slows down, and what is
// given back was no leak. The second rule is for one that fills and leaks.
func (k *track) keepsGrowing() bool {
	last := k.n - 1
	for i := range last {
		if k.floors[i+1]-k.floors[i] <= max(64*kib, k.floors[i]/512) {
			return false
		}
	}
	step := k.floors[last] - k.floors[last-1]
	if 3*int64(last)*step >= 2*(k.floors[last]-k.floors[0]) {
		return true
	}
	return k.n == len(k.floors) && 6*step >= 5*(k.floors[last-1]-k.floors[last-2])
}

// rise is how fast the least of a period has been growing, in bytes a second. The
// first step of four is left out: it may be what a worker fills at once.
func (k *track) rise() float64 {
	if k.n < 2 {
		return 0
	}
	first, last := 0, k.n-1
	if k.n == len(k.floors) {
		first = 1
	}
	return max(0, float64(k.floors[last]-k.floors[first])/(float64(last-first)*k.period.Seconds()))
}

// leak is rise where that goes on, else 0.
func (k *track) leak() int64 {
	if !k.leaky {
		return 0
	}
	return int64(k.rise())
}

// keeps is what the worker kept in the last half minute, in bytes: what it had
// for a moment alone is left out.
func (k *track) keeps() int64 { return min(k.lows[0], k.lows[1]) }

// stays is what the worker kept for minutes, the last period of at least one: what a long
// request has it gives back.
func (k *track) stays() int64 {
	kept := min(k.keeps(), k.least)
	if k.n > 0 {
		kept = min(kept, k.floors[k.n-1])
	}
	return kept
}

// recent is the last few of a measure.
type recent struct {
	values [8]int64
	n, at  int
	middle int64 // their upper median, 0 where there is none
}

func (r *recent) add(v int64) {
	r.values[r.at] = v
	r.at = (r.at + 1) % len(r.values)
	r.n = min(r.n+1, len(r.values))
	sorted := r.values
	r.middle = middle(sorted[:r.n])
}

// last is the newest, 0 where there is none.
func (r *recent) last() int64 { return r.values[(r.at+len(r.values)-1)%len(r.values)] }

// mean is that of all, 0 where there is none.
func (r *recent) mean() (sum int64) {
	for _, v := range r.values[:r.n] {
		sum += v / int64(r.n)
	}
	return sum
}

// followWorkers keeps a track of each worker, at the worker's place in the
// observation, and learns from them what a worker of their type costs. It says
// whether one of them ended.
func (s *State) followWorkers(o *Observation) (ended bool) {
	for i := range o.Workers {
		w := &o.Workers[i]
		if j := s.findTrack(w, i); j < 0 {
			s.tracks = append(s.tracks, track{life: lifeOf(w)})
			last := len(s.tracks) - 1
			s.tracks[i], s.tracks[last] = s.tracks[last], s.tracks[i]
		} else if j > i {
			s.tracks[i], s.tracks[j] = s.tracks[j], s.tracks[i]
		}
		k := &s.tracks[i]
		k.counts = false
		if !s.has(w.Type) || s.types[w.Type].outdated(w) {
			continue
		}
		t := &s.types[w.Type]
		before := k.begun
		k.follow(w, o.Now)
		if !k.begun {
			continue
		}
		if !before {
			if t.away.n == 0 {
				t.met = o.Now
			}
			t.away.add(int64(min(max(o.Now-w.Since, 0), warm) + min(max(w.StopTime, 0), warm)))
		}
		k.counts = w.Phase == Ready
		if !k.counts || o.Now-w.Since < loading {
			continue
		}
		if !k.shown {
			t.elders[1] = min(t.elders[1], max(t.elders[0], k.ready))
			t.elders[0] = min(t.elders[0], k.ready)
		}
		if !k.settled && o.Now-k.ready >= shortest {
			k.settled = true
			t.fresh.add(k.fresh)
		}
		if !k.filled && o.Now-k.ready >= filling {
			k.filled = true
			t.filled.add(k.keeps() - k.fresh)
		}
		if !k.warmed && o.Now-k.ready >= warm {
			k.warmed = true
			t.warm.add(k.keeps())
		}
		t.peak = max(t.peak, k.peak)
		if k.lowsAt == o.Now {
			for range t.spikes.reach(k.spike) {
				for j := range s.tracks {
					if other := &s.tracks[j]; other.kind == w.Type {
						other.own.widen()
					}
				}
			}
			t.spikes.turn(k.spike, &k.own)
		}
		t.spikes.look(o.Now, bytes(w.Cost)-k.keeps(), &k.own)
		if k.judged {
			t.rise.add(k.leak())
			switch age := o.Now - k.ready; {
			case age >= proof:
				k.shown = true
				t.proved.add(k.leak())
			case t.proved.n == 0 && k.n == len(k.floors) && k.period == 2*shortest && age <= 10*shortest:
				t.hint(k, o.Now)
			}
		}
	}
	ended = len(s.tracks) > len(o.Workers)
	s.tracks = s.tracks[:len(o.Workers)]
	return ended
}

// findTrack is the place of a worker's track, from place i on; -1 where it has
// none.
func (s *State) findTrack(w *Worker, i int) int {
	for j := i; j < len(s.tracks); j++ {
		if s.tracks[j].is(w) {
			return j
		}
	}
	return -1
}

// coming is what a worker that is ready is expected to take beside what it has.
// One that is not warm comes to what others came to, or where none was warm yet
// grows once more as much as since it was ready. A warm one that leaks goes on for ten
// minutes, and where most do it is replaced in between; what grew otherwise is no promise.
func (s *State) coming(w *Worker, k *track) int64 {
	t := &s.types[w.Type]
	switch expected, known := t.expected(); {
	case !k.begun || w.Phase != Ready:
		return 0
	case t.rise.middle > 0, known && !k.warmed:
		return max(0, expected-k.keeps())
	case k.warmed:
		return bytes(k.leak() * int64((2 * warm).Seconds()))
	default:
		return max(0, k.keeps()-k.fresh)
	}
}

// filling is what a worker may take beyond that in its first minute, while none of its
// type was warm: as much as others took in theirs, and where it is one of the first,
// half of what it was. Who adds one after the other before they have grown has too many.
func (s *State) filling(w *Worker, k *track, now time.Duration) int64 {
	t := &s.types[w.Type]
	if !k.begun || w.Phase != Ready || now-w.Since >= filling {
		return 0
	}
	return max(0, t.fills(k.fresh)-2*max(0, k.keeps()-k.fresh))
}

// fills is what a worker takes in its first minute beside what it had when it was ready.
func (t *typeState) fills(fresh int64) int64 {
	switch {
	case t.warm.n > 0 || t.rise.middle > 0:
		return 0
	case t.filled.n > 0:
		return t.filled.middle
	}
	return fresh / 2
}

// expected is what a worker comes to: what others kept that were warm, or where
// they go on growing what they have at the mean before they are replaced.
func (t *typeState) expected() (cost int64, known bool) {
	if t.rise.middle == 0 {
		return t.warm.middle, t.warm.n > 0
	}
	base := t.base()
	return plus(base, t.worth(base)), true
}

// base is what a worker that leaks has beside its leak: when it was ready, or after a
// minute, or five, without what it leaks in that time.
func (t *typeState) base() int64 {
	leaked := func(in time.Duration) int64 { return bytes(t.rise.middle * int64(in.Seconds())) }
	return bytes(max(t.fresh.middle, t.fresh.middle+t.filled.middle-leaked(filling), t.warm.middle-leaked(warm)))
}

// fast says whether workers grow by a third in the briefest life, as most of those
// showed that were old enough to.
func (t *typeState) fast() bool { return t.third(t.proved.middle) }

// seemsFast says it also where most of those that were judged last do so, young ones
// too, and few were replaced of late.
func (t *typeState) seemsFast(often bool) bool {
	return t.fast() || !often && t.third(t.rise.middle)
}

// third says whether a pace, in bytes a second, is a third of a new worker's size in the
// briefest life.
func (t *typeState) third(pace int64) bool {
	return pace > 0 && pace*int64(briefest.Seconds()) >= t.base()/3
}

// worth is how much a worker must have grown by to be replaced for it: a sixteenth,
// at least 2 MiB, and what it grows by in the shortest life.
func (t *typeState) worth(base int64) int64 {
	return max(2*mib, base/16, bytes(t.rise.middle*int64(t.shortestLife(base).Seconds())))
}

// shortestLife is that of a worker which is replaced for its leak. A worker of size B
// that leaks L and is away for c when it is replaced leaves room for most work if it
// lives for the root of 2cB/L, where starts cost as much as growth.
func (t *typeState) shortestLife(base int64) time.Duration {
	if t.rise.middle <= 0 {
		return briefest
	}
	doubles, least := float64(base)/float64(t.rise.middle), hasty // B/L in seconds
	life := doubles / 3
	if t.fast() {
		away := max(time.Duration(t.away.middle), time.Second).Seconds()
		life, least = math.Sqrt(away*doubles/2), hastiest
	}
	return max(least, time.Duration(min(life, briefest.Seconds())*float64(time.Second)))
}

// Costs is what is known of a type's cost in bytes, zero where nothing is: of a
// worker that was just ready, and of one that was so for five minutes, the upper
// median of the last eight; and the most that one was seen to have.
func (s *State) Costs(t int) (start, warm, peak int64) {
	if !s.has(t) {
		return 0, 0, 0
	}
	x := &s.types[t]
	return x.fresh.middle, x.warm.middle, x.peak
}
