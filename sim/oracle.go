package sim

import (
	"math"
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
			return 200 * time.Millisecond
		}
	}
	return time.Second
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
		room = min(room, limit-c.s.Reserve(limit)-c.s.Active)
	}
	return float64(room)
}

// held is what will be held after a time, in bytes: stopping workers are gone by
// then if they have ended.
func (o *Oracle) held(c *Container, ahead time.Duration) float64 {
	held := float64(c.s.Base) + c.own
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
	l.forward()
	then, _ := l.bytes()
	return max(w.own, then)
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
		own := w.own
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
		ahead += 2 * time.Second // until this has been seen
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

// Rules are what is asked of a controller besides work.
type Rules struct {
	// Reserve says that the scenario's reserve is kept free, but for a hundredth
	// of the time.
	Reserve bool
	// Changes are the most starts and stops an hour, six of them of workers that take
	// another one's place. Where workers leak those do not count, if workers live for
	// five minutes at the mean.
	Changes float64
	Leaks   bool
}

// Calm says whether there are no more starts and stops than by the rules.
func (u Rules) Calm(s *Scenario, r *Result) bool {
	replacing := r.Changes(s) - r.Scaled(s)
	if u.Leaks {
		return r.Scaled(s) <= u.Changes && replacing/2 <= 12*float64(r.Most)
	}
	return r.Changes(s) <= u.Changes && replacing <= 6
}

// Keep says whether a result keeps the rules.
func (u Rules) Keep(s *Scenario, r *Result) bool {
	return u.Calm(s, r) && (!u.Reserve || r.Over(s) <= 0.01)
}

// Better says whether a result is better than another one: fewer are killed, else it
// keeps the rules, else more work is done.
func (u Rules) Better(s *Scenario, a, b *Result) bool {
	if a.Kills != b.Kills {
		return a.Kills < b.Kills
	}
	if x, y := u.Keep(s, a), u.Keep(s, b); x != y {
		return x
	}
	return a.Work > b.Work
}

// Perfect says whether nothing is left to be better at.
func (u Rules) Perfect(s *Scenario, r *Result) bool {
	return r.Kills == 0 && u.Keep(s, r) && r.Lost.All() <= 1e-4*r.Arrived
}

// Search finds the best plan of an oracle by some rules, and what comes of it.
func Search(s *Scenario, rules Rules) (Result, *Oracle) {
	parts := 1
	for i := range s.Types {
		if len(s.Types[i].Load.Points) > 1 || len(s.Limits) > 0 {
			parts = 4
		}
	}
	best := &Oracle{Reserve: rules.Reserve, Ahead: time.Minute}
	for range parts {
		counts := make([]int, len(s.Types))
		for k := range counts {
			counts[k] = max(1, s.Types[k].Min)
		}
		best.Counts = append(best.Counts, counts)
	}
	r := RunSeeds(s, best, math.MaxInt)
	margins := s.peaks()
	// try takes over a change where it is better, and says whether it was, and
	// whether nobody was killed.
	try := func(change func(*Oracle)) (gained, lives bool) {
		if rules.Perfect(s, &r) {
			return false, true
		}
		o := &Oracle{Reserve: rules.Reserve, Ahead: best.Ahead, Margin: best.Margin}
		for _, counts := range best.Counts {
			o.Counts = append(o.Counts, slices.Clone(counts))
		}
		change(o)
		next := RunSeeds(s, o, r.Kills)
		if gained = rules.Better(s, &next, &r); gained {
			r, best = next, o
		}
		return gained, next.Kills == 0
	}
	for _, ahead := range []time.Duration{time.Minute, 5 * time.Second} {
		for kind := range s.Types {
			for n, vain := s.Types[kind].Min+1, 0; n <= s.Types[kind].Max && vain < 5; n++ {
				vain++
				for _, margin := range margins {
					gained, lives := try(func(o *Oracle) {
						o.Margin, o.Ahead = margin, ahead
						for part := range o.Counts {
							o.Counts[part][kind] = n
						}
					})
					if gained {
						vain = 0
					}
					if lives {
						break
					}
				}
			}
		}
		if !rules.Leaks {
			break
		}
	}
	for _, ahead := range []time.Duration{10 * time.Minute, time.Hour, s.Span} {
		for _, margin := range margins {
			if _, lives := try(func(o *Oracle) { o.Ahead, o.Margin = ahead, margin }); lives {
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
