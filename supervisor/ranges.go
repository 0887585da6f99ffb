package supervisor

import (
	"github.com/memsup/memsup/budget"
	"github.com/memsup/memsup/policy"
)

// configurePolicy writes the policy's configuration from the types' ranges.
func (s *supervisor) configurePolicy() {
	p := &s.pcfg
	p.Reserve, p.ReservePercent = s.c.Reserve, s.c.ReservePercent
	p.Types, p.Limits = p.Types[:0], s.c.Limits
	s.demand.any, s.demand.busy = false, false
	for _, t := range s.types {
		lo, hi := s.rangeOf(t)
		if t.Demand != policy.NoDemand && lo < hi {
			s.demand.any = true
			s.demand.busy = s.demand.busy || t.Demand != policy.Number
		}
		lo, hi = max(0, lo-t.finished()), max(0, hi-t.finished())
		if t.prefork != nil && t.finished() > 0 {
			lo, hi = 0, 0
		}
		p.Types = append(p.Types, policy.Type{
			Name: t.Name, Min: lo, Max: hi, MaxFixed: t.pin != nil && !t.pin.Auto || t.pin == nil && !t.Range.Auto,
			Priority: t.Priority, Memory: t.Memory, Recycle: t.Recycle, Release: t.release,
			NoRecycle: t.Restart == RestartNever && t.prefork == nil, MasterChooses: t.prefork != nil,
			Demand: t.Demand, Uses: t.Uses,
		})
	}
	s.decide = true
}

// rangeOf is the least and the most workers of a type as things are.
func (s *supervisor) rangeOf(t *processType) (lo, hi int) {
	if t.stopped {
		return 0, 0
	}
	r := t.Range
	if t.pin != nil {
		r = *t.pin
	}
	if !r.Auto {
		return r.Min, r.Max
	}
	if !s.mem.Limited {
		return r.Min, r.Min
	}
	return r.Min, max(r.Min, min(AutoMax(s.cpu), t.mostPorts()))
}

// AutoMax is the most workers that auto comes to: 4 × CPU_LIMIT, rounded up.
func AutoMax(c budget.CPU) int { return int((4*c.Limit + 999) / 1000) }

// wanted is how many workers a type should have now.
func (s *supervisor) wanted(t *processType) int {
	lo, hi := s.rangeOf(t)
	if !s.watches() || !s.memOK || s.c.Observe {
		return lo
	}
	n := s.policy.Wanted(t.index) + t.finished()
	if n < lo && s.mem.OOMGroup {
		return n
	}
	return min(max(n, lo), hi)
}
