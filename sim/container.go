package sim

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Container is the state of a simulated container. Controllers read it, and start
// and stop workers in it.
type Container struct {
	s       *Scenario
	control Controller
	rand    *rand.Rand

	now      time.Duration
	limit    int64
	limits   int           // of Scenario.Limits, how many have come
	look     time.Duration // when the controller is asked next
	warm     bool          // the start is over: what is done counts
	down     time.Duration // until when the container is starting anew
	services []service
	live     []*Worker
	spare    []*Worker

	anon    float64 // bytes, peaks left out
	own     float64 // of it, what the controller has itself
	growth  float64 // of it in the last step, bytes a second
	slowed  float64 // the part of the CPU time asked for that was had, from 0 to 1
	peaks   []peak
	kills   int64
	reached int64 // times that cache had to make room

	record   time.Duration
	recorded time.Duration
	counts   []uint16
	r        Result
}

// service is a type and the state of its queue.
type service struct {
	*Type
	courses []course
	threads float64
	wall    float64 // seconds that a request takes, waiting included
	cpu     float64 // seconds of CPU of it
	most    float64 // requests a second that one worker can serve
	start   float64 // seconds
	stop    time.Duration
	peak    time.Duration // how long a peak of memory lasts: half of a long request
	master  float64       // bytes
	weight  float64

	serving int
	desired float64 // requests a second that the workers would serve with all the CPU
	rate    float64 // and what they do
	arrive  float64
	queue   float64
	stalled time.Duration // since when nobody serves the queue
	vacant  int           // places of workers that ended, the last of them at left
	left    time.Duration
}

type peak struct {
	w    *Worker
	from time.Duration
	to   time.Duration
	size float64
}

const (
	longestStep  = 2 * time.Second
	shortestStep = 10 * time.Millisecond
	killTakes    = 50 * time.Millisecond
	anew         = 10 * time.Second // from the end of a container to its next start
	counted      = 5 * time.Second  // how often workers are counted
	inPlace      = 15 * time.Second // from an end to a start that takes its place
)

// Run simulates a scenario under a controller. The same arguments give the same
// result. Where record is above zero the result holds a picture of the container
// that often, and each decision.
func Run(s *Scenario, control Controller, record time.Duration) Result {
	return run(s, control, record, math.MaxInt)
}

// run ends before its time where more than so many were killed.
func run(s *Scenario, control Controller, record time.Duration, kills int) Result {
	c := newContainer(s, control, record)
	control.Begin(c)
	for c.now < s.Span && c.r.Kills <= kills {
		if c.now >= s.Warm && !c.warm {
			c.begin()
		}
		if c.down > 0 {
			c.wait()
			continue
		}
		if c.now >= c.look {
			c.look = never
			c.look = c.now + max(control.Look(c), shortestStep)
		}
		c.picture()
		c.step(c.choose())
		c.endings()
	}
	c.finish()
	return c.r
}

func newContainer(s *Scenario, control Controller, record time.Duration) *Container {
	c := &Container{
		s: s, control: control, limit: s.Limit, slowed: 1, record: record,
		rand:   rand.New(rand.NewPCG(s.Seed, 0x6d656d737570)),
		counts: make([]uint16, 0, s.Span/counted+1),
	}
	c.r.Runs, c.r.Served = 1, make([]float64, len(s.Types))
	for i := range s.Types {
		t := &s.Types[i]
		p := t.Profile
		v := service{
			Type: t, courses: p.courses(t.Alone), threads: float64(p.Threads), weight: t.Weight,
			wall: (p.Service + t.Wait).Seconds(), cpu: p.CPU.Seconds(), start: p.Start.Seconds(),
			stop: max(p.Stop, t.Stop) + p.Service + t.Wait, peak: (max(p.P99, p.Service) + t.Wait) / 2,
			master: float64(max(p.Base, p.Shared)),
		}
		if t.Alone {
			v.master = float64(p.Base - min(p.Shared, p.Base))
		}
		if v.weight == 0 {
			v.weight = 1
		}
		v.most = v.threads / v.wall
		if v.cpu > 0 {
			v.most = min(v.most, 1/v.cpu)
		}
		c.services = append(c.services, v)
	}
	c.measure()
	return c
}

// begin counts from here on. Kills are counted from the start.
func (c *Container) begin() {
	c.warm = true
	kills, most := c.r.Kills, c.r.Most
	r := Result{Runs: 1, Served: c.r.Served, Kills: kills, Most: most, Timeline: c.r.Timeline, Decisions: c.r.Decisions}
	clear(r.Served)
	c.r = r
}

// wait lets time pass while the container starts anew: every request is lost.
func (c *Container) wait() {
	until := min(c.down, c.s.Span)
	if !c.warm {
		until = min(until, max(c.s.Warm, c.now+time.Millisecond))
	}
	for i := range c.services {
		v := &c.services[i]
		rate, _ := v.Load.at(c.now)
		c.r.Lost.Waited += rate * (until - c.now).Seconds()
	}
	c.now = until
	c.takeLimit()
	if c.now < c.down {
		return
	}
	c.down, c.look = 0, c.now
	c.measure()
	c.control.Begin(c)
}

// choose is the length of the next step: to the next thing that happens, and
// short where memory goes fast.
func (c *Container) choose() time.Duration {
	next := min(c.look, c.s.Span)
	if !c.warm {
		next = min(next, c.s.Warm)
	}
	if c.limits < len(c.s.Limits) {
		next = min(next, c.s.Limits[c.limits].At)
	}
	for i := range c.services {
		_, until := c.services[i].Load.at(c.now)
		next = min(next, until)
	}
	for _, w := range c.live {
		if w.ends > 0 {
			next = min(next, w.ends)
		} else if w.progress < 1 {
			rest := (1 - w.progress) * c.services[w.Type].start / c.slowed
			next = min(next, c.now+max(shortestStep, time.Duration(rest*float64(time.Second))))
		}
	}
	step := min(next-c.now, longestStep)
	if c.growth > 0 {
		if left := (float64(c.limit) - c.anon) / 2 / c.growth; left < step.Seconds() {
			step = min(step, max(shortestStep, time.Duration(left*float64(time.Second))))
		}
	}
	return max(step, time.Millisecond)
}

// step lets a time pass.
func (c *Container) step(d time.Duration) {
	c.flow(d)
	from := c.now
	c.now += d
	c.takeLimit()
	c.peaks = c.peaks[:0]
	seconds := d.Seconds()
	for _, w := range c.live {
		v := &c.services[w.Type]
		if w.until > 0 && w.until <= from {
			w.extra, w.until = 0, 0
		}
		if w.until > 0 {
			c.peaks = append(c.peaks, peak{w, from, w.until, w.extra})
		}
		switch {
		case w.progress < 1 && w.ends == 0:
			w.used += seconds * c.slowed
			w.progress = min(1, w.progress+seconds*c.slowed/max(v.start, 1e-3))
			if w.progress > 1-1e-9 {
				w.progress, w.serving = 1, true
				c.peaked(w, w.life.peaks[0].extra, c.now)
			}
		case w.serving && v.rate > 0:
			each := v.rate / float64(v.serving) * seconds
			w.used += each * v.cpu
			w.life.serve(each, c.rand, func(extra, part float64) {
				c.peaked(w, extra, from+time.Duration(part*float64(d)))
			})
		}
	}
	before := c.anon
	c.measure()
	c.growth = (c.anon - before) / seconds
	if c.s.Cache > 0 && c.growth > 0 && c.anon+float64(c.s.Cache) > float64(c.limit) {
		c.reached++
	}
	if c.anon+float64(c.s.Active) > float64(c.limit-c.s.Reserve(c.limit)) {
		c.r.OverReserve += d
	}
	c.killWhereFull()
	// A peak that ended within the step was judged, and is over.
	for _, w := range c.live {
		if w.until > 0 && w.until <= c.now {
			w.extra, w.until = 0, 0
		}
	}
}

// peaked begins a worker's peak. Where two of one worker meet it has the larger one,
// as what was measured is what it had in all.
func (c *Container) peaked(w *Worker, extra float64, at time.Duration) {
	until := at + c.services[w.Type].peak
	if n := len(c.peaks); n > 0 && c.peaks[n-1].w == w && c.peaks[n-1].to > at {
		if last := &c.peaks[n-1]; last.size < extra {
			last.to = at
		} else {
			at = last.to
		}
	}
	if extra <= 0 || until <= at {
		return
	}
	w.extra, w.until = extra, until
	c.peaks = append(c.peaks, peak{w, at, until, extra})
}

// measure sums up what is held, peaks left out.
func (c *Container) measure() {
	anon := float64(c.s.Base) + c.own
	for i := range c.services {
		anon += c.services[i].master
	}
	for _, w := range c.live {
		w.hold()
		anon += w.own
	}
	c.anon = anon
}

// endings lets go of the workers whose time to stop is over.
func (c *Container) endings() {
	for i := 0; i < len(c.live); {
		if w := c.live[i]; w.ends > 0 && w.ends <= c.now {
			c.remove(w, w.end)
			c.measure()
		} else {
			i++
		}
	}
}

func (c *Container) remove(w *Worker, how End) {
	if how != Stopped && w.end != Killed {
		c.lose(w)
	}
	i := slices.Index(c.live, w)
	c.live = slices.Delete(c.live, i, i+1)
	c.stopped(w)
	c.control.Ended(c, w, how)
	c.spare = append(c.spare, w)
	c.look = c.now
}

// stopped counts a worker's end, and that its place is free: for a while somebody
// who starts there takes its place.
func (c *Container) stopped(w *Worker) {
	c.r.Stops++
	v := &c.services[w.Type]
	if c.now-v.left > inPlace {
		v.vacant = 0
	}
	v.vacant++
	v.left = c.now
}

func (c *Container) started(kind int) {
	c.r.Starts++
	if v := &c.services[kind]; v.vacant > 0 && c.now-v.left <= inPlace {
		v.vacant--
		c.r.Replaced++
	}
}

func (c *Container) takeLimit() {
	for c.limits < len(c.s.Limits) && c.s.Limits[c.limits].At <= c.now {
		c.limit = c.s.Limits[c.limits].Bytes
		c.limits++
		c.look = c.now
	}
}
