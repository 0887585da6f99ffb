package sim

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestCourse: memory follows the rows, then the slope of the last half, and each
// stretch has its peak once.
func TestCourse(t *testing.T) {
	p := profile(t, "testdata/leak.txt")
	c := &p.courses(false)[0]
	r := rand.New(rand.NewPCG(1, 1))
	l := begin(c, r)
	peaks := 0
	for range 4000 {
		l.serve(1, r, func(extra, part float64) {
			peaks++
			if extra != 2*mib || part < 0 || part > 1 {
				t.Errorf("a peak of %g at %g", extra, part)
			}
		})
		if l.served == 250 {
			own, shared := l.bytes()
			near(t, "own", own, (6291456+24117248)/2, 1e-9)
			near(t, "shared", shared, (31457280+23068672)/2, 1e-9)
		}
	}
	if own, _ := l.bytes(); own != 56623104 || peaks != 4 {
		t.Errorf("%g bytes and %d peaks at the end of the rows", own, peaks)
	}
	// The last half is one stretch of 2000 requests, which comes again and again.
	l.serve(10000, r, func(float64, float64) { peaks++ })
	own, _ := l.bytes()
	near(t, "own", own, 56623104+10000*8388.608, 0.01)
	if peaks != 9 {
		t.Errorf("%d peaks after five stretches more", peaks)
	}
}

// TestPeaksMeet: where two peaks of one worker meet it has the larger one, and two
// workers have both.
func TestPeaksMeet(t *testing.T) {
	p := Constant(10*mib, 0)
	c := newContainer(&Scenario{Seed: 1, Limit: 1 << 30, Span: time.Hour, Types: []Type{{Name: "web", Profile: p}}}, &keep{}, 0)
	long := 100 * time.Millisecond
	c.services[0].peak = long
	w, other := c.Start(0, 1), c.Start(0, 2)
	c.peaked(w, 20, 0)
	c.peaked(w, 30, long/2)
	c.peaked(w, 10, long)
	c.peaked(other, 5, 0)
	for _, want := range []struct {
		at  time.Duration
		sum float64
	}{{long / 4, 25}, {3 * long / 4, 35}, {5 * long / 4, 30}, {7 * long / 4, 10}} {
		sum := 0.0
		for _, p := range c.peaks {
			if p.from <= want.at && want.at < p.to {
				sum += p.size
			}
		}
		near(t, want.at.String(), sum, want.sum, 1e-9)
	}
}

// TestWave: what goes up and down does so when what was measured is over, around
// the line of the last half and in a phase of each worker's own; and peaks come as
// they did in the last halves of all lives.
func TestWave(t *testing.T) {
	p := Constant(50*mib, 0)
	p.Lives = make([]Life, 2)
	for i := range 41 {
		low := Row{Requests: int64(100 * i), Private: 50 * mib}
		if i%4 > 1 {
			low.Private += 10 * mib
		}
		low.Peak = low.Private
		high := low
		if i == 30 {
			high.Peak += 40 * mib
		}
		p.Lives[0], p.Lives[1] = append(p.Lives[0], low), append(p.Lives[1], high)
	}
	all := p.courses(false)
	r := rand.New(rand.NewPCG(1, 1))
	begins := map[float64]bool{}
	for range 20 {
		l, peaks := begin(&all[0], r), 0
		l.serve(4001, r, func(float64, float64) { peaks++ })
		if peaks > 0 {
			t.Errorf("%d peaks in a life that was measured to have none", peaks)
		}
		own, _ := l.bytes()
		begins[math.Round(own/mib)] = true
		sum, least, most := 0.0, own, own
		for range 2000 {
			l.serve(100, r, func(extra, _ float64) { peaks++; near(t, "a peak", extra, 40*mib, 1e-9) })
			own, _ := l.bytes()
			sum, least, most = sum+own/2000, min(least, own), max(most, own)
		}
		near(t, "at the mean", sum, 55*mib, 0.01)
		if least > 51*mib || least < 48*mib || most < 59*mib || most > 62*mib {
			t.Errorf("from %.1f to %.1f MiB", least/mib, most/mib)
		}
		if peaks < 30 || peaks > 70 {
			t.Errorf("%d peaks in 100 halves, of which every other one had one", peaks)
		}
	}
	if len(begins) < 3 {
		t.Errorf("all go on in the same phase: %v MiB", begins)
	}
}
