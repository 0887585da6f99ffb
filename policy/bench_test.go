package policy

import (
	"fmt"
	"testing"
	"time"
)

// crowd is 1,000 workers in 20 types, in no order.
func crowd() (*Config, *Observation) {
	c := &Config{ReservePercent: 10}
	o := &Observation{Limit: 64 * gib, Limited: true, Used: 62 * gib, Available: 2 * gib, Headroom: 2 * gib}
	for i := range 20 {
		c.Types = append(c.Types, Type{Name: fmt.Sprint("type", i), Min: 50, Max: 60, Priority: i % 3, Recycle: gib})
	}
	for i := range 1000 {
		o.Workers = append(o.Workers, Worker{
			Type: i % 20, Index: i/20 + 1, Phase: Ready,
			Cost: int64(i*7919%1000)*mib/100 + 50*mib, Growth: int64(i % 1000), CPU: int64(i % 100),
		})
	}
	o.Workers[7].Phase = Starting
	for i := range c.Types {
		c.Types[i].Demand, c.Types[i].Uses = Demand(i%4), []int{i % 3}
	}
	c.Limits = []Limit{{"db", 1 << 20}}
	o.Demand = make([]Measure, 20)
	for i := range o.Demand {
		o.Demand[i] = Measure{Room: 128, Busy: 700, Number: 50, At: 1}
	}
	return c, o
}

func TestSteadyAllocatesNothing(t *testing.T) {
	c, o := crowd()
	var s State
	s.Decide(c, o)
	if n := testing.AllocsPerRun(200, func() {
		o.Now += time.Second
		o.Available -= mib
		if len(s.Decide(c, o)) > 0 {
			t.Fatal("acted")
		}
		s.NextLook(o)
		s.Debit(c, o)
		s.Blocked(3)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecide(b *testing.B) {
	c, o := crowd()
	var s State
	b.ReportAllocs()
	for b.Loop() {
		o.Now += time.Second
		o.Available ^= mib
		s.Decide(c, o)
	}
}
