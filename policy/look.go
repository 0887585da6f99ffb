package policy

import (
	"math"
	"time"
)

// look is one observation, summed up and with the learned ceiling applied.
type look struct {
	c   *Config
	o   *Observation
	now time.Duration

	limit, available, headroom, reserve int64
	planned                             int64 // available, less what those will take that start

	starting, stopping int
	first              *Worker // a starting one
	loading            *Worker // a ready one that may load yet, of a type in its first minute
	unknown            bool    // a starting worker's cost is not known
	promised           int64   // to starting workers
	fresh              int64   // of it, to those started since the look before
	owed               int64   // promised and not yet taken
	coming             int64   // to ready workers that grow
	filling            int64   // that young ones, and those that start, may take beyond
	passing            int64   // what workers have for a moment
	surge              int64   // what they may have at once
	dips               bool    // memory is used for a moment, and does not end
	returning          int64   // what stopping workers give back
	costs              int64   // of all workers
	growth             float64 // of leaking workers, bytes a second, less what others give back, half of it at most
	leaving            float64 // growth of stopping workers, bytes a second

	net, total float64 // how fast memory goes, see history.fall
}

// observe sums the observation up and learns from it: costs, the ceiling, the
// trend.
func (s *State) observe(c *Config, o *Observation) look {
	l := look{c: c, o: o, now: o.Now}
	s.learnCeiling(o)
	l.limit, l.available, l.headroom = s.room(o)
	l.reserve = c.ReserveFor(l.limit)

	s.count(o)
	ended := s.followWorkers(o)
	s.learnCosts(o)
	s.recycled.observed, s.finished.observed = false, false
	s.followStops(o, l.available)
	often, grown := s.often(o.Now, 0), 0.0
	for i := range o.Workers {
		w := &o.Workers[i]
		if !s.has(w.Type) {
			continue
		}
		l.costs = plus(l.costs, bytes(w.Cost))
		s.recycled.observed = s.recycled.observed || s.recycled.is(w)
		s.finished.observed = s.finished.observed || s.finished.is(w)
		switch w.Phase {
		case Starting:
			l.starting++
			if l.first == nil {
				l.first = w
			}
			cost, known := s.Cost(w.Type)
			if !known {
				l.unknown = true
				continue
			}
			l.promised = plus(l.promised, cost)
			l.owed = plus(l.owed, max(0, cost-bytes(w.Cost)))
			l.filling = plus(l.filling, s.types[w.Type].fills(cost))
			if s.looks == 0 || w.Since >= s.now {
				l.fresh = plus(l.fresh, cost)
			}
		case Ready:
			t := &s.types[w.Type]
			t.coming = plus(t.coming, s.coming(w, &s.tracks[i]))
			t.grown = plus(t.grown, max(0, s.tracks[i].keeps()-max(t.base(), s.tracks[i].fresh)))
			if gain := s.gain(w, &s.tracks[i], l.now, false); gain > 0 && !c.Types[w.Type].NoRecycle && (!often || t.sure(gain)) {
				// It is replaced, and makes up for one that has not grown yet.
				t.coming = plus(t.coming, t.worth(t.base())-gain)
			}
			t.young = t.young || !s.tracks[i].warmed && !t.outdated(w)
			l.filling = plus(l.filling, s.filling(w, &s.tracks[i], l.now))
			l.passing = plus(l.passing, s.passing(w, &s.tracks[i]))
			if l.loading == nil && l.now-w.Since < loading && l.now-t.met < filling {
				l.loading, s.loaded = w, w.Since+loading
			}
			if k := &s.tracks[i]; k.warmed && !t.outdated(w) {
				t.highs, t.warmed = plus(t.highs, k.high), t.warmed+1
			}
			if leaks(w, l.now) {
				l.growth += float64(bytes(w.Growth))
			}
			grown += float64(signed(w.Growth))
		case Stopping:
			l.stopping++
			l.returning = plus(l.returning, bytes(w.Cost))
			l.leaving += float64(bytes(w.Growth))
		}
	}
	l.growth = min(l.growth, max(grown, l.growth/2))
	for i := range s.types {
		l.coming = plus(l.coming, max(0, s.types[i].coming))
	}
	l.planned = plus(l.available, -plus(l.owed, s.missing()))
	if ended || s.looks == 0 || l.limit != s.history.limit {
		s.trough.begin(l.now, l.available, l.planned)
	}
	s.trough.add(l.now, l.available, l.planned)
	s.remember(&l)
	return l
}

// room returns limit, available memory and headroom, which is a part of it, under
// the learned ceiling.
func (s *State) room(o *Observation) (limit, available, headroom int64) {
	limit = bytes(o.Limit)
	available = signed(o.Available)
	headroom = min(signed(o.Headroom), available)
	if s.capped && s.ceiling < limit {
		available = plus(available, s.ceiling-limit)
		headroom = plus(headroom, s.ceiling-limit)
		limit = s.ceiling
	}
	return limit, available, headroom
}

// remember adds a sample, and sets apart in it what starting workers took of
// what they had been promised. Their own measure may lag behind, so what goes is
// theirs until the promise is used up.
func (s *State) remember(l *look) {
	s.promise = min(plus(s.promise, l.fresh), l.promised)
	s.history.under(l.limit)
	var taken int64
	if h := &s.history; h.n > 0 {
		gone := max(0, h.samples[h.n-1].available-l.available)
		taken = min(gone, s.promise)
		s.promise -= taken
		if l.unknown {
			taken = gone
		}
	}
	s.history.add(sample{at: l.now, used: bytes(l.o.Used), available: l.available, taken: taken})
	if l.dips = s.dips(l); s.spiking(l) || l.dips {
		return
	}
	l.total = s.history.fall(false, 0)
	// Promises hide no leak of a worker that is ready and seen growing.
	l.net = max(s.history.fall(true, 0), min(l.total, l.growth))
	// What goes once a worker stops may be what stopping takes: it says nothing
	// of the others, for a while.
	if stopping := len(s.stops) > 0 && l.now-s.stops[0].at < lasting; stopping {
		l.net = min(l.net, s.before)
	} else {
		s.before = l.net
	}
}

// learnCeiling keeps the use at which something unseen killed: the kernel
// counted a kill and the limit that is seen was not reached (memory.events'
// oom_kill and max, on v1 oom_kill and failcnt). The two counts may be told one
// after the other, so that max must stand still from ten seconds before the kill
// to a moment after it. Where the highest use came up to the limit nothing is
// learned: Linux 6.18 counts no failcnt for a kill on v1.
func (s *State) learnCeiling(o *Observation) {
	s.killed = s.looks > 0 && o.OOMKills > s.oomKills
	if s.looks > 0 && o.MaxEvents != s.maxEvents || o.LimitReached {
		s.reached, s.reachedAt = true, o.Now
	}
	s.oomKills, s.maxEvents = o.OOMKills, o.MaxEvents
	if s.killed {
		used := s.history.highest(o.Now)
		s.suspect, s.suspectAt = used-max(used/32, 4*mib), o.Now
	}
	if s.suspect > 0 && o.Now-s.suspectAt >= 100*time.Millisecond {
		unseen := !s.reached || s.suspectAt-s.reachedAt > lasting
		if unseen && (!s.capped || s.suspect < s.ceiling) {
			s.ceiling, s.capped = s.suspect, true
			for i := range s.types { // a limit that is known asks for no caution beside
				mourning := &s.types[i].mourning
				mourning.until = min(mourning.until, o.Now)
			}
		}
		s.suspect = 0
	}
	if s.capped && bytes(o.Limit) <= s.ceiling {
		s.capped = false
	}
}

// count counts the workers of each type.
func (s *State) count(o *Observation) {
	for i := range s.types {
		t := &s.types[i]
		t.live, t.ready, t.starting, t.stopping, t.extra, t.lowest, t.coming, t.grown, t.young = 0, 0, 0, 0, 0, 0, 0, 0, false
		t.highs, t.warmed = 0, 0
		t.elders = [2]time.Duration{math.MaxInt64, math.MaxInt64}
	}
	for i := range o.Workers {
		w := &o.Workers[i]
		if !s.has(w.Type) {
			continue
		}
		t := &s.types[w.Type]
		if w.Phase >= Stopping {
			t.stopping++
			continue
		}
		if w.Extra {
			t.extra++
		} else {
			t.live++
		}
		if w.Phase == Ready {
			t.ready++
		} else {
			t.starting++
			if t.lowest == 0 || w.Index < t.lowest {
				t.lowest = w.Index
			}
		}
	}
}
