package sim

import (
	"math"
	"testing"
	"time"
)

// keep is a controller that keeps numbers of workers.
type keep struct {
	counts []int
	ended  []End
}

func (k *keep) Begin(*Container) {}

func (k *keep) Ended(_ *Container, _ *Worker, how End) { k.ended = append(k.ended, how) }

func (k *keep) Look(c *Container) time.Duration {
	for kind, want := range k.counts {
		for n := 0; n < want; {
			n = 0
			for _, w := range c.Workers() {
				if w.Type == kind {
					n++
				}
			}
			if n < want {
				c.Start(kind, n+1)
			}
		}
	}
	return time.Hour
}

func near(t *testing.T, what string, got, want, part float64) {
	t.Helper()
	if math.Abs(got-want) > part*math.Abs(want) {
		t.Errorf("%s %g, want %g", what, got, want)
	}
}

// web are workers of 20 MiB that serve ten requests a second each, of 20 ms CPU.
func web(load Load) Type {
	p := Constant(20*mib, 0)
	p.Start, p.CPU = time.Second, 20*time.Millisecond
	return Type{Name: "web", Profile: p, Min: 1, Max: 32, Load: load, Queue: 100, Timeout: 30 * time.Second}
}

// TestThroughput: workers serve what they can, the CPUs bound it, and what cannot
// be served waits and is lost.
func TestThroughput(t *testing.T) {
	for _, test := range []struct {
		name    string
		workers int
		cpus    float64
		load    float64
		serves  float64 // requests a second
	}{
		{"little to do", 4, 2, 15, 15},
		{"too few workers", 4, 2, 100, 40},
		{"too few CPUs", 16, 2, 400, 100},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := container(1<<30, web(Steady(test.load)))
			s.Span, s.CPUs = time.Hour, test.cpus
			r := Run(s, &keep{counts: []int{test.workers}}, 0)
			near(t, "served", r.Served[0], test.serves*3600, 0.01)
			near(t, "arrived", r.Arrived, test.load*3600, 0.001)
			near(t, "served, lost and waiting", r.Served[0]+r.Lost.All()+min(100, r.Arrived-r.Served[0]), r.Arrived, 0.001)
		})
	}
}

// TestTimeout: clients wait no longer than they do, however long the queue is.
func TestTimeout(t *testing.T) {
	kind := web(Steady(11))
	kind.Queue, kind.Timeout = 1e6, 5*time.Second
	r := Run(container(1<<30, kind), &keep{counts: []int{1}}, 0)
	near(t, "lost to waiting", r.Lost.Waited, 1200-50, 0.1)
	if r.Lost.Full > 0 {
		t.Errorf("%g found the queue full", r.Lost.Full)
	}
}

// TestKernel: the largest is killed where memory ends, its requests are lost, and
// with memory.oom.group everything ends and starts anew.
func TestKernel(t *testing.T) {
	for _, group := range []bool{false, true} {
		kind := leak(2*mib, 0, time.Second)
		kind.Queue, kind.Timeout = 100, 10*time.Second
		s := container(128*mib, kind, still("clock", 20*mib))
		s.OOMGroup = group
		k := &keep{counts: []int{1, 1}}
		r := Run(s, k, 0)
		// From 10 to 103 MiB at 2 MiB a second, and a moment to start.
		cycle := 46.5 + 0.25
		if group {
			cycle += 10 + 0.25
		}
		near(t, "kills", float64(r.Kills), 1200/cycle, 0.05)
		if r.Lost.Killed < float64(r.Kills) {
			t.Errorf("lost %g with %d kills", r.Lost.Killed, r.Kills)
		}
		for _, how := range k.ended {
			if how != OOM {
				t.Errorf("ended %v", how)
			}
		}
		if group != (len(k.ended) == 0) {
			t.Errorf("group %v: %d ends were told", group, len(k.ended))
		}
	}
}

// TestLimit: a limit that falls under what is held kills until the rest fits.
func TestLimit(t *testing.T) {
	s := container(256*mib, still("web", 40*mib))
	s.Limits = []Limit{{At: time.Minute, Bytes: 100 * mib}}
	s.Span = 2 * time.Minute
	var last *Container
	r := Run(s, &once{workers: 4, last: &last}, 0)
	if r.Kills != 2 || len(last.live) != 2 {
		t.Errorf("killed %d, left %d", r.Kills, len(last.live))
	}
}

// once starts so many and no more.
type once struct {
	workers int
	last    **Container
}

func (o *once) Begin(c *Container) {
	*o.last = c
	for i := range o.workers {
		c.Start(0, i+1)
	}
}

func (o *once) Ended(*Container, *Worker, End) {}

func (o *once) Look(*Container) time.Duration { return time.Hour }

// TestShared: what a master shares is held once, and where there is none by each.
func TestShared(t *testing.T) {
	for _, alone := range []bool{false, true} {
		kind := Type{Name: "web", Profile: Constant(10*mib, 30*mib), Alone: alone, Max: 8}
		s := container(1<<30, kind)
		s.Span = time.Minute
		var last *Container
		Run(s, &once{workers: 5, last: &last}, 0)
		want := int64(5+30+5*10) * mib
		if alone {
			want = (5 + 5*40) * mib
		}
		if last.Anon() != want {
			t.Errorf("alone %v: %d MiB, want %d", alone, last.Anon()/mib, want/mib)
		}
		if w := last.live[0]; w.RSS() != 40*mib {
			t.Errorf("alone %v: RSS %d MiB", alone, w.RSS()/mib)
		}
	}
}

// TestCache: files that are in use and have no room slow everything down.
func TestCache(t *testing.T) {
	kind := web(Steady(1000))
	s := container(105*mib, kind)
	s.Cache, s.Active, s.CPUs = 100*mib, 40*mib, 0.5
	var last *Container
	slow := Run(s, &once{workers: 4, last: &last}, 0)
	if last.Pressure() != 0.25 {
		t.Errorf("pressure %g with 20 of 40 MiB", last.Pressure())
	}
	s.Active = 0
	fast := Run(s, &once{workers: 4, last: &last}, 0)
	near(t, "slowed", slow.Served[0], fast.Served[0]*0.75, 0.01)
}

// TestStop: a worker that stops takes no more requests, keeps its memory until it
// has ended, and loses none; one that is killed does.
func TestStop(t *testing.T) {
	for _, kill := range []bool{false, true} {
		kind := web(Steady(1000))
		kind.Stop = 3 * time.Second
		e := &ender{kill: kill}
		r := Run(container(1<<30, kind), e, 0)
		if kill && (e.took != killTakes || r.Lost.Killed != 1) || !kill && (e.took != 3100*time.Millisecond || r.Lost.Killed != 0) {
			t.Errorf("kill %v: took %v, lost %g", kill, e.took, r.Lost.Killed)
		}
	}
}

// ender ends its only worker after a minute.
type ender struct {
	kill bool
	at   time.Duration
	took time.Duration
}

func (e *ender) Begin(c *Container) { c.Start(0, 1) }

func (e *ender) Ended(c *Container, _ *Worker, how End) {
	e.took = c.Now() - e.at
	if (how == Killed) != e.kill {
		e.took = 0
	}
}

func (e *ender) Look(c *Container) time.Duration {
	switch {
	case c.Now() < time.Minute:
		return time.Minute - c.Now()
	case e.at == 0:
		e.at = c.Now()
		if e.kill {
			c.Kill(c.Workers()[0])
		} else {
			c.Stop(c.Workers()[0])
		}
	}
	return time.Hour
}

// TestSame: the same scenario gives the same result, and another seed another.
func TestSame(t *testing.T) {
	s := container(512*mib, Type{Name: "web", Profile: profile(t, "testdata/plateau.txt"), Min: 1, Max: 32, Load: Steady(200), Queue: 100, Timeout: time.Second})
	a, b := Run(s, &Memsup{}, 0), Run(s, &Memsup{}, 0)
	if a.Work != b.Work || a.Starts != b.Starts || a.OverReserve != b.OverReserve {
		t.Errorf("%+v and %+v", a, b)
	}
	s.Seed++
	if c := Run(s, &Memsup{}, 0); c.Work == a.Work && c.OverReserve == a.OverReserve {
		t.Errorf("another seed gives the same: %+v", c)
	}
}

func TestLoad(t *testing.T) {
	at := func(l Load, now time.Duration, rate float64, until time.Duration) {
		t.Helper()
		if got, next := l.at(now); math.Abs(got-rate) > 1e-9 || next != until {
			t.Errorf("at %v: %g until %v, want %g until %v", now, got, next, rate, until)
		}
	}
	const m = time.Minute
	at(Load{}, m, 0, never)
	at(Steady(5), m, 5, never)
	step := Step(1, 9, 10*m)
	at(step, 9*m, 1, 10*m)
	at(step, 10*m, 9, never)
	bursts := Bursts(2, 8, 20*m, 5*m)
	at(bursts, 14*m, 2, 15*m)
	at(bursts, 15*m, 8, 20*m)
	at(bursts, 20*m, 2, 35*m)
	at(bursts, 39*m, 8, 40*m)
	day := Day(10, 30, 24*time.Hour)
	at(day, 0, 10, time.Hour)
	at(day, 12*time.Hour, 30, 13*time.Hour)
	at(day, 36*time.Hour, 30, 37*time.Hour)
	line := Load{Points: []Point{{m, 4}, {3 * m, 8}}}
	at(line, 0, 4, m)
	at(line, 2*m, 6, 3*m)
	at(line, 4*m, 8, never)
}
