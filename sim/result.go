package sim

import (
	"slices"
	"time"
)

// Result is what a simulation came to. All but the kills is counted after
// Scenario.Warm.
type Result struct {
	Runs int // that it sums up
	// Work is the time that served requests took, weighted, in seconds.
	Work float64
	// Served are the requests of each type that were served, Arrived all that came.
	Served  []float64
	Arrived float64
	Lost    Losses
	Kills   int // by the kernel for memory
	// Starts and Stops are those of workers. Replaced are the starts, and as many
	// stops, by which a worker took another one's place.
	Starts, Stops, Replaced int
	// Alive is the time that workers lived, and Serving the part of it in which they
	// took requests, in seconds.
	Alive, Serving float64
	// Settle is when nine tenths of the workers of the second half were serving.
	Settle time.Duration
	// OverReserve is how long less than the reserve was free, beside the files in use.
	OverReserve time.Duration
	Most        int // workers at once

	Timeline  []Instant
	Decisions []Decision
}

// Losses are requests that were not served.
type Losses struct {
	Full   float64 // found the queue full
	Waited float64 // longer than a client waits
	Killed float64 // were being served by a worker that was killed
}

// All is their sum.
func (l *Losses) All() float64 { return l.Full + l.Waited + l.Killed }

// RunSeeds runs a scenario with its seed and with each of its further ones, and sums
// the results up: kills and requests of all of them, and of instants and numbers of
// workers the latest and the most. It ends before its time where more than so many
// were killed.
func RunSeeds(s *Scenario, control Controller, kills int) Result {
	sum := run(s, control, 0, kills)
	one := *s
	for _, one.Seed = range s.Seeds {
		if sum.Kills > kills {
			break
		}
		r := run(&one, control, 0, kills-sum.Kills)
		sum.Runs++
		sum.Work += r.Work
		for i := range r.Served {
			sum.Served[i] += r.Served[i]
		}
		sum.Arrived += r.Arrived
		sum.Lost.Full += r.Lost.Full
		sum.Lost.Waited += r.Lost.Waited
		sum.Lost.Killed += r.Lost.Killed
		sum.Kills += r.Kills
		sum.Starts += r.Starts
		sum.Stops += r.Stops
		sum.Replaced += r.Replaced
		sum.Alive += r.Alive
		sum.Serving += r.Serving
		sum.OverReserve += r.OverReserve
		sum.Settle = max(sum.Settle, r.Settle)
		sum.Most = max(sum.Most, r.Most)
	}
	return sum
}

// Changes are the starts and stops an hour; Scaled are those of them by which there
// were more workers or fewer, and no worker took another one's place.
func (r *Result) Changes(s *Scenario) float64 { return r.hourly(s, r.Starts+r.Stops) }

// Scaled is explained at Changes.
func (r *Result) Scaled(s *Scenario) float64 {
	return r.hourly(s, max(0, r.Starts+r.Stops-2*r.Replaced))
}

func (r *Result) hourly(s *Scenario, n int) float64 {
	return float64(n) / float64(r.Runs) / (s.Span - s.Warm).Hours()
}

// Over is the part of the time that less than the reserve was free, from 0 to 1.
func (r *Result) Over(s *Scenario) float64 {
	return float64(r.OverReserve) / float64(r.Runs) / float64(s.Span-s.Warm)
}

// Instant is a picture of the container.
type Instant struct {
	At                     time.Duration
	Limit, Used, Available int64
	// Types are the workers of each type.
	Types []Count
	// Queued are the requests that wait.
	Queued float64
}

// Count is a number of workers by what they do.
type Count struct{ Starting, Serving, Stopping int }

// Decision is what a controller did, and why.
type Decision struct {
	At     time.Duration
	Action string
	Worker string
	Reason string
}

// Note keeps a decision where the simulation is recorded.
func (c *Container) Note(action, worker, reason string) {
	if c.record > 0 {
		c.r.Decisions = append(c.r.Decisions, Decision{c.now, action, worker, reason})
	}
}

// Recording says whether decisions are kept.
func (c *Container) Recording() bool { return c.record > 0 }

// picture keeps what is asked for: counts of workers, and the timeline.
func (c *Container) picture() {
	for time.Duration(len(c.counts))*counted <= c.now {
		n := 0
		for _, w := range c.live {
			if w.serving {
				n++
			}
		}
		c.counts = append(c.counts, uint16(n))
	}
	if c.record <= 0 || c.now < c.recorded {
		return
	}
	c.recorded = c.now + c.record
	i := Instant{At: c.now, Limit: c.limit, Used: c.Anon(), Types: make([]Count, len(c.services))}
	i.Available = i.Limit - i.Used
	cache, _ := c.Cache()
	i.Used += cache
	for _, w := range c.live {
		t := &i.Types[w.Type]
		switch {
		case w.Stopping():
			t.Stopping++
		case w.serving:
			t.Serving++
		default:
			t.Starting++
		}
	}
	for k := range c.services {
		i.Queued += c.services[k].queue
	}
	c.r.Timeline = append(c.r.Timeline, i)
}

// finish finds out when the number of workers had settled.
func (c *Container) finish() {
	half := slices.Clone(c.counts[len(c.counts)/2:])
	slices.Sort(half)
	if len(half) == 0 {
		return
	}
	enough := (int(half[len(half)/2])*9 + 9) / 10
	for i, n := range c.counts {
		if int(n) >= enough {
			c.r.Settle = time.Duration(i) * counted
			return
		}
	}
	c.r.Settle = c.s.Span
}
