package main

import (
	"time"

	"github.com/memsup/memsup/sim"
)

// cheaper is uWSGI's cheaper subsystem: once a second it runs more workers or
// fewer, up to a sum of their resident memory. At the soft limit none is added, at
// the hard one the oldest is stopped. reload-on-rss replaces a worker that is
// larger when it has served a request.
// https://uwsgi-docs.readthedocs.io/en/latest/Cheaper.html
type cheaper struct {
	least, most int
	soft, hard  int64
	reload      int64
	algorithm   func() algorithm

	heart
	want int
	need algorithm
}

// algorithm says how many workers to add, or to take away where it is below zero.
// It may not add where may is false.
type algorithm func(c *sim.Container, may bool) int

func (u *cheaper) Begin(*sim.Container) { u.heart, u.want, u.need = heart{}, u.least, u.algorithm() }

func (u *cheaper) Ended(*sim.Container, *sim.Worker, sim.End) {}

func (u *cheaper) Look(c *sim.Container) time.Duration {
	if u.beats(c, time.Second) {
		u.cycle(c)
	}
	for running(c) < u.want && len(c.Workers()) < u.most {
		c.Start(0, 0)
	}
	return u.wait(c)
}

// cycle is the master's, once a second.
func (u *cheaper) cycle(c *sim.Container) {
	var rss int64
	n := 0
	for _, w := range c.Workers() {
		if w.Stopping() {
			continue
		}
		n++
		rss += w.RSS()
		if u.reload > 0 && w.Serving() && w.RSS() > u.reload {
			c.Stop(w)
		}
	}
	may, need := true, 0
	switch {
	case rss >= u.hard && n > 1:
		may, need = false, -1
	case rss >= u.soft:
		may = false
	}
	if need == 0 {
		need = u.need(c, may)
	}
	if need > 0 && !may {
		need = 0
	}
	switch {
	case need > 0:
		u.want = min(u.want+need, u.most)
	case need < 0 && u.want > 1:
		u.want--
		if w := oldest(c); w != nil {
			c.Stop(w)
		}
	}
}

// spare is the default algorithm: one more when all were busy for overload
// seconds; one fewer, so many seconds apart, while more than one is idle.
func spare(least, overload int) algorithm {
	busyFor, idleFor := 0, 0
	return func(c *sim.Container, may bool) int {
		n, busy := 0, 0
		for _, w := range c.Workers() {
			if w.Stopping() {
				continue
			}
			n++
			if !w.Serving() || c.Rand().Float64() < w.Busy() {
				busy++
			}
		}
		if busy == n {
			busyFor++
			idleFor = 0
		} else if busyFor > 0 {
			busyFor--
		}
		switch {
		case may && busyFor > overload:
			busyFor = 0
			return 1
		case busyFor == 0 && n-busy != 1:
			idleFor++
			if n > least && idleFor%overload == 0 {
				return -1
			}
		}
		return 0
	}
}

// busyness is the algorithm of the plugin of that name, with its defaults: one
// more where the mean busyness of a window is above the most, one fewer when it
// was under the least for so many windows, a number that a mistake raises; and at
// once one more where the listen queue is long.
func busyness(least int, window time.Duration) algorithm {
	const low, high, alert, emergency, penalty, first = 0.25, 0.50, 33, 3, 2, 10
	var (
		sum                   float64
		samples               int
		check, cheap, cheaped time.Duration
		multiplier, tolerance = first, 0
		urgent                int
		fell                  bool // the last change was one fewer
	)
	next := func(now time.Duration) {
		times := multiplier
		if urgent > 0 {
			times = emergency
		}
		cheap = now + window*time.Duration(times)
	}
	return func(c *sim.Container, may bool) int {
		now, n := c.Now(), 0
		mean := 0.0
		for _, w := range c.Workers() {
			if !w.Stopping() {
				n++
				mean += w.Busy()
			}
		}
		if n == 0 {
			return 0
		}
		sum += mean / float64(n)
		samples++
		if check == 0 {
			check = now
			next(now)
		}
		backlog := c.Queue(0) > alert && may && n < c.Types()[0].Max
		if backlog && now-check < window {
			multiplier, fell = first, false
			urgent++
			next(now)
			return 1
		}
		if now-check < window {
			return 0
		}
		check = now
		busy := sum / float64(samples)
		sum, samples = 0, 0
		switch {
		case busy > high:
			tolerance = 0
			if !may || n >= c.Types()[0].Max {
				return 0
			}
			if cheaped > 0 && now-cheaped <= window*time.Duration(multiplier) {
				multiplier += penalty
			} else {
				multiplier = max(first, multiplier-1)
			}
			fell = false
			next(now)
			return 1
		case busy < low && n > 1:
			tolerance = 0
			if n <= least || now < cheap {
				return 0
			}
			if fell {
				multiplier = max(first, multiplier-1)
			}
			next(now)
			cheaped, fell = now, true
			urgent = max(0, urgent-1)
			return -1
		case n > 1:
			urgent = max(0, urgent-1)
			if tolerance++; tolerance >= 3 {
				next(now)
			} else {
				cheap += window
			}
		}
		return 0
	}
}
