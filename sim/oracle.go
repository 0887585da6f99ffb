package sim

import (
	"slices"
	"time"
)

// Oracle is a controller that knows what others have to guess: how each worker's
// memory will go, how much the peaks take, when the limit changes and what will be
// asked for. It stops a worker just before memory would run out, and starts one
// where it will fit. Search finds its best plan for a scenario.
type Oracle struct {
	// Counts are the workers of each type in each part of the span: the parts
	// are of one length.
	Counts [][]int
	// Margin is what is left free for peaks, in bytes.
	Margin int64
	// Ahead is for how long a worker has to fit to be started.
	Ahead time.Duration
	// Reserve says that the scenario's reserve is kept free, though peaks may take
	// of it.
	Reserve bool
}

// Begin has nothing to forget.
func (o *Oracle) Begin(*Container) {}

// Ended needs no answer.
func (o *Oracle) Ended(*Container, *Worker, End) {}

// Look stops and starts.
func (o *Oracle) Look(c *Container) time.Duration {
	o.start(c)
	o.relieve(c)
	for _, w := range c.live {
		if w.progress < 1 {
			return 100 * time.Millisecond
		}
	}
	return 500 * time.Millisecond
}

// target is how many of a type are to run when a worker started now will serve.
func (o *Oracle) target(c *Container, kind int) int {
	v := &c.services[kind]
	at := c.now + time.Duration(v.start*float64(time.Second))
	part := int(int64(len(o.Counts)) * int64(at) / int64(c.s.Span))
	return max(v.Min, min(o.Counts[min(part, len(o.Counts)-1)][kind], v.Max))
}

// room is what workers may hold over a time from now on, in bytes.
func (o *Oracle) room(c *Container, ahead time.Duration) float64 {
	limit := c.limit
	for _, l := range c.s.Limits[c.limits:] {
		if l.At <= c.now+ahead {
			limit = min(limit, l.Bytes)
		}
	}
	room := limit - o.Margin
	if o.Reserve {
		room = min(room, limit-c.s.Reserve(limit))
	}
	return float64(room)
}

// held is what will be held after a time, in bytes: stopping workers are gone by
// then if they have ended.
func (o *Oracle) held(c *Container, ahead time.Duration) float64 {
	held := float64(c.s.Base)
	for i := range c.services {
		held += c.services[i].master
	}
	for _, w := range c.live {
		if w.ends == 0 || w.ends > c.now+ahead {
			held += o.later(c, w, ahead)
		}
	}
	return held
}

// later is what a worker will hold after a time.
func (o *Oracle) later(c *Container, w *Worker, ahead time.Duration) float64 {
	l := w.life
	if w.ends == 0 {
		l.served += c.each(w.Type) * ahead.Seconds()
	}
	now, _ := w.own()
	l.forward()
	then, _ := l.bytes()
	return max(now, then)
}

// each is how many requests a second a worker of a type serves now, at most what
// it can.
func (c *Container) each(kind int) float64 {
	v := &c.services[kind]
	if v.serving == 0 {
		return v.most
	}
	return min(v.most, v.arrive/float64(v.serving)*1.25)
}

func (o *Oracle) start(c *Container) {
	stopping := 0
	for _, w := range c.live {
		if w.ends > 0 {
			stopping++
		}
	}
	for kind := range c.services {
		live := 0
		for _, w := range c.live {
			if w.Type == kind && w.ends == 0 {
				live++
			}
		}
		for want := o.target(c, kind); live < want; live++ {
			if live >= c.services[kind].Min && !o.fits(c, kind) {
				break
			}
			c.Start(kind, 0)
		}
		for want := o.target(c, kind); live > want && stopping == 0; live-- {
			c.Stop(o.largest(c, kind))
		}
	}
}

// fits says whether one more worker of a type has its place for the time ahead.
func (o *Oracle) fits(c *Container, kind int) bool {
	most := 0.0
	for i := range c.services[kind].courses {
		l := life{course: &c.services[kind].courses[i]}
		own, _ := l.bytes()
		most = max(most, own, l.course.at(c.each(kind)*o.Ahead.Seconds()))
	}
	return o.held(c, o.Ahead)+most <= o.room(c, o.Ahead)
}

// largest is the worker of a type that holds most; of all types where kind is
// below zero, those at their minimum that gain least by starting anew left out.
func (o *Oracle) largest(c *Container, kind int) (best *Worker) {
	gain := 0.0
	for _, w := range c.live {
		if w.ends > 0 || kind >= 0 && w.Type != kind || kind < 0 && w.progress < 1 {
			continue
		}
		own, _ := w.own()
		if kind < 0 {
			own -= w.life.points[0].bytes
			own /= 1 + float64(c.services[w.Type].Priority)
		}
		if best == nil || own > gain {
			best, gain = w, own
		}
	}
	return best
}

// relieve stops as few workers as keep the room: just in time, as it takes to stop.
func (o *Oracle) relieve(c *Container) {
	for range c.live {
		var ahead time.Duration
		for i := range c.services {
			ahead = max(ahead, c.services[i].stop)
		}
		ahead += time.Second
		if o.held(c, ahead) <= o.room(c, ahead) {
			return
		}
		w := o.largest(c, -1)
		if w == nil {
			return
		}
		c.Stop(w)
	}
}

// Search finds the plan of an oracle that does most work, of those that are killed
// least, and what comes of it.
func Search(s *Scenario, reserve bool) (Result, *Oracle) {
	parts := 1
	for i := range s.Types {
		if len(s.Types[i].Load.Points) > 1 || len(s.Limits) > 0 {
			parts = 4
		}
	}
	best := &Oracle{Reserve: reserve, Ahead: time.Minute}
	for range parts {
		counts := make([]int, len(s.Types))
		for k := range counts {
			counts[k] = max(1, s.Types[k].Min)
		}
		best.Counts = append(best.Counts, counts)
	}
	r := Run(s, best, 0)
	margins := s.peaks()
	// try takes over a change where it is better, and says whether nobody was
	// killed.
	try := func(change func(*Oracle)) bool {
		if r.Kills == 0 && r.Lost.All() <= 1e-4*r.Arrived {
			return true
		}
		o := &Oracle{Reserve: reserve, Ahead: best.Ahead, Margin: best.Margin}
		for _, counts := range best.Counts {
			o.Counts = append(o.Counts, slices.Clone(counts))
		}
		change(o)
		next := Run(s, o, 0)
		if better(&next, &r) {
			r, best = next, o
		}
		return next.Kills == 0
	}
	for kind := range s.Types {
		for n := s.Types[kind].Min; n <= s.Types[kind].Max; n++ {
			for _, margin := range margins {
				if try(func(o *Oracle) {
					o.Margin = margin
					for part := range o.Counts {
						o.Counts[part][kind] = n
					}
				}) {
					break
				}
			}
		}
	}
	for _, ahead := range []time.Duration{5 * time.Second, 10 * time.Minute, time.Hour} {
		for _, margin := range margins {
			if try(func(o *Oracle) { o.Ahead, o.Margin = ahead, margin }) {
				break
			}
		}
	}
	for part := range best.Counts {
		for kind := range s.Types {
			for _, by := range []int{-4, -2, -1, 1, 2, 4} {
				try(func(o *Oracle) { o.Counts[part][kind] += by })
			}
		}
	}
	return r, best
}

// better is fewer kills, then more work.
func better(a, b *Result) bool {
	if a.Kills != b.Kills {
		return a.Kills < b.Kills
	}
	return a.Work > b.Work
}

// peaks are sums of the largest peaks of the profiles: none, one, two and four at
// once, in bytes.
func (s *Scenario) peaks() []int64 {
	var most float64
	for i := range s.Types {
		for _, c := range s.Types[i].Profile.courses(s.Types[i].Alone) {
			for _, p := range c.peaks {
				most = max(most, p.extra)
			}
		}
	}
	if most == 0 {
		return []int64{0}
	}
	return []int64{0, int64(most), 2 * int64(most), 4 * int64(most)}
}
