package sim

import (
	"math"
	"math/rand/v2"
	"time"
)

// What a Controller may do to a container and ask of it.

// Start starts a worker of a type, under a number of the controller's.
func (c *Container) Start(kind, index int) *Worker {
	var w *Worker
	if n := len(c.spare); n > 0 {
		w, c.spare = c.spare[n-1], c.spare[:n-1]
	} else {
		w = new(Worker)
	}
	courses := c.services[kind].courses
	*w = Worker{Type: kind, Index: index, Since: c.now, life: begin(&courses[c.rand.IntN(len(courses))], c.rand)}
	w.hold()
	c.live = append(c.live, w)
	c.started(kind)
	c.r.Most = max(c.r.Most, len(c.live))
	return w
}

// Stop sends a worker its stop signal: it takes no more requests, and ends when it
// has served those it has.
func (c *Container) Stop(w *Worker) {
	if w.ends == 0 {
		w.serving, w.ends, w.end = false, c.now+max(c.services[w.Type].stop, time.Millisecond), Stopped
	}
}

// Kill sends a worker SIGKILL.
func (c *Container) Kill(w *Worker) {
	if w.end != Killed {
		c.lose(w)
		w.serving, w.ends, w.end = false, c.now+killTakes, Killed
	}
}

// Own says how much memory the controller has itself, in bytes.
func (c *Container) Own(bytes int64) { c.own = float64(bytes) }

// Now is the time since the simulation began.
func (c *Container) Now() time.Duration { return c.now }

// Limit is the memory limit in bytes.
func (c *Container) Limit() int64 { return c.limit }

// CPUs is the CPU limit.
func (c *Container) CPUs() float64 { return c.s.CPUs }

// Types are the process types.
func (c *Container) Types() []Type { return c.s.Types }

// Workers are all that are alive, stopping ones too, oldest first. They are valid
// until the next step.
func (c *Container) Workers() []*Worker { return c.live }

// Queue is how many requests of a type wait to be accepted.
func (c *Container) Queue(kind int) float64 { return c.services[kind].queue }

// Rand is the simulation's source of chance.
func (c *Container) Rand() *rand.Rand { return c.rand }

// Anon is the anonymous memory that is held, peaks included, in bytes.
func (c *Container) Anon() int64 {
	anon := c.anon
	for _, w := range c.live {
		anon += w.extra
	}
	return int64(anon)
}

// Cache is the page cache in bytes, and how much of it is in use again and again.
func (c *Container) Cache() (all, active int64) {
	all = max(0, min(c.s.Cache, c.limit-c.Anon()))
	return all, min(c.s.Active, all)
}

// Pressure is the share of time lost to memory, from 0 to 1: half of what the
// cache lacks to hold the files that are in use.
func (c *Container) Pressure() float64 {
	if c.s.Active == 0 {
		return 0
	}
	_, active := c.Cache()
	return math.Max(0, 1-float64(active)/float64(c.s.Active)) / 2
}
