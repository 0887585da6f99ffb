package sim

import (
	"fmt"
	"testing"
	"time"
)

const mib = 1 << 20

// still is a process without requests that takes a size when it starts and keeps
// it.
func still(name string, size int64) Type {
	p := Constant(size, 0)
	p.Start = time.Duration(size) * time.Second / (40 * mib)
	return Type{Name: name, Profile: p, Alone: true, Min: 1, Max: 1}
}

// leak is a process that takes 10 MiB when it starts and, from an age on, so much
// a second.
func leak(rate int64, after, stop time.Duration) Type {
	p := Constant(10*mib, 0)
	p.Start, p.Stop = 250*time.Millisecond, stop
	p.Service, p.CPU = 10*time.Millisecond, 0
	const each = 100 // requests a second
	row := Row{Private: 10 * mib, Peak: 10 * mib}
	last := Row{Requests: int64(after.Seconds()*each) + 1, Private: 10 * mib, Peak: 10 * mib}
	more := last
	more.Requests += 1e6
	more.Private += 1e6 * rate / each
	more.Peak = more.Private
	p.Lives = []Life{{row, last, more}}
	return Type{Name: "leak", Profile: p, Alone: true, Min: 1, Max: 1, Load: Steady(2 * each)}
}

func container(limit int64, types ...Type) *Scenario {
	return &Scenario{Seed: 1, Span: 20 * time.Minute, CPUs: 2, Limit: limit, ReservePercent: 10, Base: 5 * mib, Types: types}
}

// did counts the decisions of a kind about a type.
func did(r *Result, action, kind string) (n int) {
	for _, d := range r.Decisions {
		var name string
		var index int
		if fmt.Sscanf(d.Worker, kind+".%d", &index); index > 0 {
			name = kind
		}
		if d.Action == action && name == kind {
			n++
		}
	}
	return n
}

// TestFits: workers of constant size are added to within one of what fits, and
// none is ever taken back.
func TestFits(t *testing.T) {
	for _, limit := range []int64{128 * mib, 256 * mib, 512 * mib, 2048 * mib} {
		for _, size := range []int64{5 * mib, 12 * mib, 30 * mib, 77 * mib} {
			t.Run(fmt.Sprint(limit/mib, size/mib), func(t *testing.T) {
				web := still("web", size)
				web.Max = 32
				s := container(limit, web)
				m := &Memsup{}
				r := Run(s, m, time.Minute)
				fits := min(32, max(1, int((limit-s.Reserve(limit)-8*mib)/size)))
				if got := r.Timeline[len(r.Timeline)-1].Types[0].Serving; got < fits-1 || got > fits {
					t.Errorf("runs %d where %d fit: %v", got, fits, m.state.Blocked(0))
				}
				if did(&r, "down", "web")+did(&r, "recycle", "web") > 0 {
					t.Errorf("flaps: %v", r.Decisions)
				}
			})
		}
	}
}

// TestLeak: a leaking worker beside two steady ones is recycled before memory
// ends, for as long as it goes on, and the steady ones are not touched.
func TestLeak(t *testing.T) {
	for _, limit := range []int64{256 * mib, 512 * mib, 2048 * mib} {
		for _, rate := range []int64{5 * mib, 10 * mib, 50 * mib} {
			for _, after := range []time.Duration{0, 30 * time.Second} {
				for _, stop := range []time.Duration{100 * time.Millisecond, 1900 * time.Millisecond, time.Minute} {
					t.Run(fmt.Sprint(limit/mib, rate/mib, after, stop), func(t *testing.T) {
						s := container(limit, still("web", 40*mib), leak(rate, after, stop), still("clock", 10*mib))
						r := Run(s, &Memsup{}, time.Minute)
						if r.Kills > 0 {
							t.Fatalf("the kernel kills: %v", r.Decisions)
						}
						cycle := after + time.Duration(limit/rate)*time.Second + stop
						if cycle-stop <= time.Minute {
							cycle += maxDelay // it never was ready, and starts later each time
						}
						if got, want := did(&r, "recycle", "leak"), int(s.Span/cycle); got < want {
							t.Errorf("recycled %d times, want at least %d", got, want)
						}
						for _, kind := range []string{"web", "clock"} {
							if n := did(&r, "recycle", kind) + did(&r, "kill", kind); n > 0 {
								t.Errorf("%s: %v", kind, r.Decisions)
							}
						}
					})
				}
			}
		}
	}
}

// TestLeakUnseen is TestLeak where nobody can tell who it is that grows: the limit
// holds all the same.
func TestLeakUnseen(t *testing.T) {
	for _, rate := range []int64{5 * mib, 10 * mib, 50 * mib} {
		for _, after := range []time.Duration{0, 30 * time.Second} {
			t.Run(fmt.Sprint(rate/mib, after), func(t *testing.T) {
				s := container(256*mib, still("web", 40*mib), leak(rate, after, time.Second), still("clock", 10*mib))
				r := Run(s, &Memsup{blind: true}, time.Minute)
				if r.Kills > 0 {
					t.Fatalf("the kernel kills: %v", r.Decisions)
				}
				if did(&r, "recycle", "leak") == 0 {
					t.Error("never recycled")
				}
			})
		}
	}
}

// BenchmarkHour is one simulated hour of memsup over workers that leak.
func BenchmarkHour(b *testing.B) {
	web := leak(20<<10, 0, time.Second)
	web.Max = 16
	web.Load = Steady(2000)
	s := container(512*mib, web)
	s.Span = time.Hour
	b.ReportAllocs()
	for b.Loop() {
		Run(s, &Memsup{}, 0)
	}
}
