package policy

import "time"

// trough is the least that was available of late: since a worker came or went,
// and for five to ten minutes.
type trough struct {
	now, before int64
	since       time.Duration
}

// add takes one look. A change of who runs begins anew.
func (g *trough) add(now time.Duration, available int64, anew bool) {
	switch {
	case anew || now < g.since:
		*g = trough{available, most, now}
	case now-g.since >= 5*time.Minute:
		*g = trough{available, g.now, now}
	}
	g.now = min(g.now, available)
}

func (g *trough) least() int64 { return min(g.now, g.before) }
