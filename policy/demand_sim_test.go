package policy

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// server is a type under load: requests come at random, wait in one queue and
// are served one at a time by each worker, which is busy on a CPU while it does.
type server struct {
	c      Config
	s      State
	o      Observation
	random *rand.Rand
	rate   func(time.Duration) float64 // requests a second
	serve  time.Duration               // mean

	queue   []time.Duration // when they came
	workers []*serving

	served     int
	wait       time.Duration // of all requests
	workerTime time.Duration
	changes    []string // decisions
}

// serving is a worker and its request.
type serving struct {
	Worker
	until time.Duration // busy
	busy  time.Duration // since the last measurement
}

func newServer(demand Demand) *server {
	return &server{
		c:      Config{Reserve: 64 * mib, Types: []Type{{Name: "web", Min: 1, Max: 12, Memory: 30 * mib, Demand: demand}}},
		o:      Observation{Limit: gib, Limited: true, Used: 100 * mib, Available: 900 * mib, Headroom: 900 * mib, CPULimit: 16000},
		random: rand.New(rand.NewPCG(7, 7)), serve: 200 * time.Millisecond,
	}
}

func (x *server) run(from, to time.Duration) {
	const tick = 10 * time.Millisecond
	next, measured := from, from
	for now := from; now < to; now += tick {
		if x.random.Float64() < x.rate(now)*tick.Seconds() && len(x.queue) < 128 {
			x.queue = append(x.queue, now)
		}
		kept := x.workers[:0]
		for _, w := range x.workers {
			if w.Phase == Starting && now-w.Since >= 12*time.Second {
				w.Phase = Ready
			}
			if w.until <= now && w.Phase == Stopping {
				continue
			}
			kept = append(kept, w)
			accepts := w.Phase == Ready || w.Phase == Starting && now-w.Since >= 2*time.Second
			if accepts && w.until <= now && len(x.queue) > 0 {
				x.served++
				x.wait += now - x.queue[0]
				x.queue = x.queue[1:]
				w.until = now + time.Duration(x.random.ExpFloat64()*float64(x.serve))
			}
			if w.until > now {
				w.busy += tick
			}
		}
		x.workers = kept
		x.workerTime += time.Duration(len(kept)) * tick
		if now >= next {
			x.look(now, &measured)
			next = now + x.s.NextLook(&x.o)
		}
	}
}

func (x *server) look(now time.Duration, measured *time.Duration) {
	o := &x.o
	o.Now = now
	o.Workers = o.Workers[:0]
	m := Measure{Waiting: len(x.queue), Room: 128}
	if len(o.Demand) > 0 {
		m.Busy, m.At = o.Demand[0].Busy, o.Demand[0].At
	}
	if dt := now - *measured; dt >= 5*time.Second {
		var busy float64
		ready := 0
		for _, w := range x.workers {
			if w.Phase == Ready {
				busy += w.busy.Seconds() / dt.Seconds()
				ready++
			}
			w.busy = 0
		}
		m.Busy, m.At, *measured = int64(busy*1000)/int64(max(1, ready)), now, now
		o.CPUUsed = int64(busy * 1000)
	}
	o.Demand = []Measure{m}
	for _, w := range x.workers {
		o.Workers = append(o.Workers, w.Worker)
	}
	for _, a := range x.s.Decide(&x.c, o) {
		x.changes = append(x.changes, fmt.Sprintf("%v %v web.%d: %s", now, a.Kind, a.Index, a.Reason))
		if a.Kind == Down {
			for _, w := range x.workers {
				if w.Index == a.Index {
					w.Phase = Stopping
				}
			}
		}
	}
	running := 0
	for _, w := range x.workers {
		if w.Phase != Stopping {
			running++
		}
	}
	for index := 1; running < x.s.Wanted(0); index++ {
		free := true
		for _, w := range x.workers {
			free = free && w.Index != index
		}
		if free {
			x.workers = append(x.workers, &serving{Worker: Worker{Index: index, Since: now, Cost: 30 * mib}})
			running++
		}
	}
}

// TestDemandSteady: a load that does not change is served without much waiting by
// no more workers than that takes, and hardly any comes or goes. When it is over
// the type goes back to its minimum.
func TestDemandSteady(t *testing.T) {
	for _, demand := range []Demand{Backlog, Busyness} {
		for _, load := range []float64{0.7, 2.5, 6} { // in workers
			t.Run(fmt.Sprint(demand, load), func(t *testing.T) {
				x := newServer(demand)
				x.rate = func(now time.Duration) float64 {
					if now >= 3*time.Hour {
						return 0
					}
					return load / x.serve.Seconds()
				}
				x.run(0, time.Hour)
				x.served, x.wait, x.workerTime, x.changes = 0, 0, 0, nil
				x.run(time.Hour, 3*time.Hour)
				if n := len(x.changes); n > 2*6 {
					t.Errorf("%d starts and stops in two hours: %v", n, x.changes)
				}
				if mean := x.wait / time.Duration(max(1, x.served)); x.served == 0 || mean > x.serve/4 {
					t.Errorf("requests wait for %v before %v of service", mean, x.serve)
				}
				if mean := x.workerTime.Hours() / 2; mean > load/0.6+2 {
					t.Errorf("%.1f workers for the work of %v", mean, load)
				}
				x.run(3*time.Hour, 3*time.Hour+90*time.Minute)
				if n := x.s.Wanted(0); n != 1 {
					t.Errorf("%d workers without any work: %v", n, x.s.Blocked(0))
				}
			})
		}
	}
}
