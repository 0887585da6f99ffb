package sim

import (
	"fmt"
	"testing"
	"time"
)

// watched is memsup, looked over its shoulder: after each look every type has as
// many places as it may.
type watched struct {
	Memsup
	t *testing.T
}

func (w *watched) Look(c *Container) time.Duration {
	next := w.Memsup.Look(c)
	for kind := range c.s.Types {
		t, n := &c.s.Types[kind], 0
		for _, s := range w.slots {
			if s.kind == kind && (s.phase != stopping || s.again) {
				n++
			}
		}
		if n > t.Max || n < t.Min && !c.s.OOMGroup {
			w.t.Fatalf("%v: %d of %s, which has %d..%d", c.now, n, t.Name, t.Min, t.Max)
		}
	}
	if next <= 0 {
		w.t.Fatalf("%v: the next look is %v away", c.now, next)
	}
	return next
}

// bytesOf draws numbers from a fuzzer's bytes; at their end it draws zeros.
type bytesOf struct{ data []byte }

func (b *bytesOf) below(n int) int {
	if len(b.data) == 0 {
		return 0
	}
	x := int(b.data[0])
	b.data = b.data[1:]
	return x % n
}

// kind draws a type: its size when it starts and warm, a leak, peaks, and how
// long it takes to start and to stop.
func (b *bytesOf) kind(i int) Type {
	first := int64(1+b.below(60)) * mib
	warm := first + int64(b.below(60))*mib
	leak := int64(b.below(8)) * int64(b.below(16)) << 10 // bytes a request
	p := Constant(first, 0)
	p.Start = time.Duration(1+b.below(40)) * 100 * time.Millisecond
	p.Stop = time.Duration(1+b.below(50)) * 100 * time.Millisecond
	p.CPU = time.Duration(b.below(50)) * time.Millisecond
	p.Base = int64(b.below(20)) * mib
	grown := int64(100 * (1 + b.below(20)))
	rows := []Row{{Private: first}, {Requests: grown / 4, Private: (first + 2*warm) / 3}, {Requests: grown, Private: warm}, {Requests: 2 * grown, Private: warm + leak*grown}}
	extra := int64(b.below(3)) * int64(b.below(10)) * mib
	for j := range rows {
		rows[j].Peak = rows[j].Private + extra
		rows[j].Seconds = float64(rows[j].Requests)
	}
	p.Lives = []Life{rows}
	t := Type{
		Name: fmt.Sprint("t", i), Profile: p, Alone: b.below(2) == 1, Min: 1 + b.below(3), Priority: b.below(3),
		Queue: 1 + b.below(200), Timeout: time.Duration(1+b.below(30)) * time.Second,
	}
	t.Max = t.Min + b.below(12)
	t.Load = Steady(float64(b.below(200)))
	if b.below(2) == 1 {
		t.Load = Bursts(1, float64(b.below(255)), 10*time.Minute, time.Minute)
	}
	return t
}

func (b *bytesOf) scenario() *Scenario {
	s := &Scenario{
		Span: time.Hour, Warm: 30 * time.Minute, CPUs: float64(1+b.below(4)) / 2, ReservePercent: 10,
		Limit: int64(128+16*b.below(128)) * mib, OOMGroup: b.below(4) == 3, Seed: uint64(b.below(256)),
	}
	for i := range 1 + b.below(3) {
		s.Types = append(s.Types, b.kind(i))
	}
	return s
}

// slow says that nothing grows faster than can be followed: what all workers that
// may run take in the time that one takes to stop is a small part of the reserve,
// starts and peaks as well; and the minimum fits for the whole span.
func (s *Scenario) slow() bool {
	reserve := float64(s.Reserve(s.Limit))
	need := float64(s.Base) + reserve
	for i := range s.Types {
		t := &s.Types[i]
		p := t.Profile
		rows := p.Lives[0]
		last, before := rows[len(rows)-1], rows[len(rows)-2]
		each := 1 / p.Service.Seconds()
		leak := float64(last.Private-before.Private) / float64(last.Requests-before.Requests) * each
		warming := float64(rows[1].Private-rows[0].Private) / float64(rows[1].Requests) * each
		time := 2*p.Stop.Seconds() + 4
		if leak*time*float64(t.Max) > reserve/8/float64(len(s.Types)) || warming*time > reserve/8 || last.Peak > last.Private {
			return false
		}
		need += float64(p.Base) + float64(t.Min)*(float64(before.Private)+leak*s.Span.Seconds())
		need += float64(before.Private) // one more that is starting
	}
	return need < float64(s.Limit)
}

// settles says that nothing grows any more after Scenario.Warm: no worker leaks, the
// load is steady, and every worker has come to the end of its rows by then.
func (s *Scenario) settles() bool {
	for i := range s.Types {
		t := &s.Types[i]
		rows := t.Profile.Lives[0]
		last := rows[len(rows)-1]
		each := min(1/t.Profile.Service.Seconds(), t.Load.Points[0].Rate/float64(t.Max))
		if last.Private > rows[len(rows)-2].Private || len(t.Load.Points) > 1 || each*s.Warm.Seconds() < float64(last.Requests) {
			return false
		}
	}
	return true
}

// FuzzMemsup: whatever the workers do, no type has more workers than its maximum
// nor fewer than its minimum, the same scenario gives the same result, nobody is
// killed where growth is slow, and where it has an end there is peace.
func FuzzMemsup(f *testing.F) {
	for i := range byte(32) {
		seed := make([]byte, 80)
		for j := range seed {
			seed[j] = byte(j)*(2*i+7) + i*31 ^ byte(j>>2)*i
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := (&bytesOf{data}).scenario()
		r := Run(s, &watched{t: t}, time.Minute)
		if again := Run(s, &Memsup{}, 0); again.Work != r.Work || again.Kills != r.Kills || again.Starts != r.Starts || again.Stops != r.Stops {
			t.Errorf("work %g, %d kills, %d starts; again %g, %d, %d", r.Work, r.Kills, r.Starts, again.Work, again.Kills, again.Starts)
		}
		if !s.slow() {
			return
		}
		if r.Kills > 0 {
			t.Errorf("%d kills where all that grows is slow: %v", r.Kills, r.Decisions)
		}
		if n := r.Changes(s); s.settles() && n > 6 {
			t.Errorf("%g starts and stops an hour: %v", n, r.Decisions)
		}
	})
}
