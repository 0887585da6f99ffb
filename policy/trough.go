package policy

import "time"

// trough is the least that was available of late, for five to ten minutes. What
// workers take for a moment shows in it: as much may be taken again at any time.
type trough struct {
	now, before int64
	since       time.Duration
	last        int64 // of the last seconds, not yet in now
	lastSince   time.Duration
}

// lag is how old a reading is before it counts as what was before.
const lag = 5 * time.Second

// add takes one look.
func (g *trough) add(now time.Duration, available int64) {
	if now-g.lastSince >= lag {
		g.now = min(g.now, g.last)
		g.last, g.lastSince = available, now
	}
	if now-g.since >= 5*time.Minute {
		g.now, g.before, g.since = g.last, g.now, now
	}
	g.last = min(g.last, available)
}

// begin forgets what was before.
func (g *trough) begin(now time.Duration, available int64) {
	*g = trough{available, available, now, available, now}
}

// least is the least of all.
func (g *trough) least() int64 { return min(g.now, g.before, g.last) }

// past is the least before the last seconds.
func (g *trough) past() int64 { return min(g.now, g.before) }
