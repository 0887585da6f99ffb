package policy

import "time"

// trough is the least that was available of late, for five to ten minutes. What
// workers take for a moment shows in it: as much may be taken again at any time.
type trough struct {
	now, before int64
	since       time.Duration
	last        int64 // of the last seconds, not yet in now
	lastSince   time.Duration
	crests      [2]int64 // of what is planned
	crestSince  time.Duration
}

// lag is how old a reading is before it counts as what was before.
const lag = 5 * time.Second

// add takes one look: what is available, and planned, which leaves out what those
// take that start. Of planned it keeps the most of the last quarter to half minute.
func (g *trough) add(now time.Duration, available, planned int64) {
	if now-g.lastSince >= lag {
		g.now = min(g.now, g.last)
		g.last, g.lastSince = available, now
	}
	if now-g.since >= 5*time.Minute {
		g.now, g.before, g.since = g.last, g.now, now
	}
	g.last = min(g.last, available)
	if now-g.crestSince >= shortest {
		g.crests, g.crestSince = [2]int64{planned, g.crests[0]}, now
	}
	g.crests[0] = max(g.crests[0], planned)
}

// begin forgets what was before.
func (g *trough) begin(now time.Duration, available, planned int64) {
	*g = trough{
		now: available, before: available, since: now, last: available, lastSince: now,
		crests: [2]int64{planned, planned}, crestSince: now,
	}
}

// least is the least of all.
func (g *trough) least() int64 { return min(g.now, g.before, g.last) }

// crest is the most of the last quarter to half minute.
func (g *trough) crest() int64 { return max(g.crests[0], g.crests[1]) }

// past is the least before the last seconds.
func (g *trough) past() int64 { return min(g.now, g.before) }

// dips says whether what is missing is used for a moment: it has been as low
// before, and is not under the reserve; or what went since it was last so is no
// more than workers are known to take at once, and that a second ago at most.
func (s *State) dips(l *look) bool {
	g := &s.trough
	if l.available >= max(g.past(), l.reserve) {
		s.dipped = 0
		return true
	}
	if s.dipped == 0 {
		s.dipped = l.now
	}
	return s.surging(l) && l.now-s.dipped < time.Second
}

// spiking says whether memory goes by no more than workers are known to take at
// once, for a second at most since it last was near its crest: no trend.
func (s *State) spiking(l *look) bool {
	if s.trough.crest()-l.planned <= s.surge(-1)/4 {
		s.crested = l.now
	}
	return s.surging(l) && l.now-s.crested < time.Second
}

// surging says whether what went since the last crest is no more than workers are
// known to take at once.
func (s *State) surging(l *look) bool {
	surge := s.surge(-1)
	return surge > 0 && s.trough.crest()-l.planned <= surge
}
