package policy

import (
	"fmt"
	"testing"
	"time"
)

// program is what a worker of a type does with memory in the simulation.
type program struct {
	size, speed int64 // what it takes at its start, and how fast, in bytes a second
	leak        int64 // after that, in bytes a second
	after       time.Duration
	stop        time.Duration
}

type process struct {
	Worker
	has      float64
	ends     time.Duration
	settling Settling
}

// container is a virtual container with a supervisor that does what it is told.
// The kernel in it kills when used passes the limit.
type container struct {
	t        *testing.T
	c        Config
	s        State
	o        Observation
	programs []program
	procs    []*process
	now      time.Duration
	base     float64 // used by others
	turn     int
	kills    int
	actions  []string
	count    map[string]int
	blind    bool // Growth is not measured
}

const tick = 10 * time.Millisecond

func newContainer(t *testing.T, limit int64) *container {
	return &container{
		t: t, c: Config{ReservePercent: 10}, base: 8 * mib, count: map[string]int{},
		o: Observation{Limit: limit, Limited: true},
	}
}

func (x *container) add(kind Type, p program) {
	x.c.Types = append(x.c.Types, kind)
	x.programs = append(x.programs, p)
}

func (x *container) used() int64 {
	used := x.base
	for _, p := range x.procs {
		used += p.has
	}
	return int64(used)
}

func (x *container) run(until time.Duration) {
	next := x.now
	for ; x.now < until; x.now += tick {
		for _, p := range x.procs {
			g := x.programs[p.Type]
			if age := x.now - p.Since; p.has < float64(g.size) {
				p.has = min(float64(g.size), p.has+float64(g.speed)*tick.Seconds())
			} else if age > g.after {
				p.has += float64(g.leak) * tick.Seconds()
			}
		}
		kept := x.procs[:0]
		for _, p := range x.procs {
			if p.Phase != Stopping || x.now < p.ends {
				kept = append(kept, p)
			}
		}
		x.procs = kept
		if x.used() > x.o.Limit {
			x.kills++
			x.t.Fatalf("%v: the kernel kills; decided so far: %v", x.now, x.actions)
		}
		if x.now >= next {
			x.look()
			next = x.now + x.s.NextLook(&x.o)
		}
	}
}

// look measures one process precisely a turn, as reading smaps_rollup of all is
// too dear, decides, and acts.
func (x *container) look() {
	x.o.Now = x.now
	x.o.Used = x.used()
	x.o.Available = x.o.Limit - x.o.Used
	x.o.Headroom = x.o.Available
	x.o.Workers = x.o.Workers[:0]
	if len(x.procs) > 0 {
		x.turn++
		p := x.procs[x.turn%len(x.procs)]
		p.Cost = int64(p.has)
		p.Growth = 0
		if age := x.now - p.Since; age > x.programs[p.Type].after && !x.blind {
			p.Growth = x.programs[p.Type].leak
		}
	}
	for _, p := range x.procs {
		if p.Phase == Starting && p.settling.Look(x.now, int64(p.has)) {
			p.Phase, p.Cost = Ready, int64(p.has)
		}
		x.o.Workers = append(x.o.Workers, p.Worker)
	}
	for _, a := range x.s.Decide(&x.c, &x.o) {
		name := x.c.Types[a.Type].Name
		x.actions = append(x.actions, fmt.Sprintf("\n%v %v %s.%d: %s", x.now, a.Kind, name, a.Index, a.Reason))
		x.count[a.Kind.String()+" "+name]++
		if p := x.find(a.Type, a.Index); p != nil {
			p.Phase = Stopping
			p.ends = x.now + x.programs[a.Type].stop
			if a.Kind == Kill {
				p.ends = x.now + 2*tick
			}
		}
	}
	for kind := range x.c.Types {
		for index := 1; x.running(kind) < x.s.Wanted(kind); index++ {
			if x.find(kind, index) == nil {
				x.procs = append(x.procs, &process{Worker: Worker{Type: kind, Index: index, Since: x.now}})
			}
		}
	}
}

func (x *container) find(kind, index int) *process {
	for _, p := range x.procs {
		if p.Type == kind && p.Index == index {
			return p
		}
	}
	return nil
}

// running counts with the stopping ones whose slot will be taken again: stop
// first, then start.
func (x *container) running(kind int) int {
	n, stopping := 0, 0
	for _, p := range x.procs {
		if p.Type == kind && p.Phase != Stopping {
			n++
		} else if p.Type == kind {
			stopping++
		}
	}
	return min(n+stopping, max(n, x.s.Wanted(kind)))
}

// TestFits: workers of constant size are added to within one of what fits, and
// none is ever taken back.
func TestFits(t *testing.T) {
	for _, limit := range []int64{128 * mib, 256 * mib, 512 * mib, 2 * gib} {
		for _, size := range []int64{5 * mib, 12 * mib, 30 * mib, 77 * mib} {
			t.Run(fmt.Sprint(limit/mib, size/mib), func(t *testing.T) {
				x := newContainer(t, limit)
				x.add(Type{Name: "web", Min: 1, Max: 32}, program{size: size, speed: 40 * mib, stop: time.Second})
				x.run(15 * time.Minute)
				fits := min(32, max(1, int((limit-x.c.ReserveFor(limit)-int64(x.base))/size)))
				if got := x.s.Wanted(0); got < fits-1 || got > fits {
					t.Errorf("wants %d where %d fit: %v", got, fits, x.s.Blocked(0))
				}
				if x.count["down web"]+x.count["recycle web"] > 0 {
					t.Errorf("flaps: %v", x.actions)
				}
			})
		}
	}
}

// TestLeak: a leaking worker beside two steady ones is recycled before memory
// ends, for as long as it goes on, and the steady ones are not touched.
func TestLeak(t *testing.T) {
	for _, limit := range []int64{256 * mib, 512 * mib, 2 * gib} {
		for _, rate := range []int64{5 * mib, 10 * mib, 50 * mib} {
			for _, after := range []time.Duration{0, 30 * time.Second} {
				for _, stop := range []time.Duration{100 * time.Millisecond, 1900 * time.Millisecond, time.Minute} {
					t.Run(fmt.Sprint(limit/mib, rate/mib, after, stop), func(t *testing.T) {
						x := leaking(t, limit, program{size: 10 * mib, speed: 40 * mib, leak: rate, after: after, stop: stop})
						x.run(20 * time.Minute)
						cycle := after + time.Duration(limit/rate)*time.Second + stop
						if got, want := x.count["recycle leak"], int(20*time.Minute/cycle); got < want {
							t.Errorf("recycled %d times, want at least %d", got, want)
						}
						for _, kind := range []string{"recycle web", "recycle clock", "kill web", "kill clock"} {
							if x.count[kind] > 0 {
								t.Errorf("%s: %v", kind, x.actions)
							}
						}
					})
				}
			}
		}
	}
}

// TestLeakUnseen is TestLeak where nobody can tell who it is that grows: the
// limit holds all the same.
func TestLeakUnseen(t *testing.T) {
	for _, rate := range []int64{5 * mib, 10 * mib, 50 * mib} {
		for _, after := range []time.Duration{0, 30 * time.Second} {
			t.Run(fmt.Sprint(rate/mib, after), func(t *testing.T) {
				x := leaking(t, 256*mib, program{size: 10 * mib, speed: 40 * mib, leak: rate, after: after, stop: time.Second})
				x.blind = true
				x.run(20 * time.Minute)
				if x.count["recycle leak"] == 0 {
					t.Error("never recycled")
				}
			})
		}
	}
}

func leaking(t *testing.T, limit int64, p program) *container {
	x := newContainer(t, limit)
	x.add(Type{Name: "web", Min: 1, Max: 1}, program{size: 40 * mib, speed: 40 * mib, stop: time.Second})
	x.add(Type{Name: "leak", Min: 1, Max: 1}, p)
	x.add(Type{Name: "clock", Min: 1, Max: 1}, program{size: 10 * mib, speed: 40 * mib, stop: time.Second})
	return x
}
