package policy

import (
	"fmt"
	"time"
)

// makeWay stops a worker for one that matters more: where a type's demand has asked
// for one more for ten seconds, and memory alone is in its way, a type of lower
// priority that runs above its minimum gives one up. One at a time, while nothing
// is coming or going.
func (s *State) makeWay(l *look) {
	for i := range s.types {
		t := &s.types[i]
		switch {
		case !t.block.memory() || !t.demand.more:
			t.denied = 0
		case t.denied == 0:
			t.denied = l.now
		}
	}
	if len(s.actions) > 0 || l.starting > 0 || l.stopping > 0 || s.upFrom > l.now {
		return
	}
	least := s.yields(l.c, s.aboveMinimum)
	if least < 0 || s.types[least].live < s.types[least].wanted {
		return
	}
	best := -1
	for i := range s.types {
		denied := s.types[i].denied
		if denied == 0 || l.now-denied < 10*time.Second || l.c.Types[i].Priority <= l.c.Types[least].Priority {
			continue
		}
		if best < 0 || l.c.Types[i].Priority > l.c.Types[best].Priority {
			best = i
		}
	}
	if best < 0 {
		return
	}
	worker, because := s.pick(l.o, least, nil)
	s.types[best].denied = 0
	s.down(l, worker, fmt.Sprintf("%sno room for one more of %s, whose priority is %d and not %d; %s",
		s.types[best].demand.because(), l.c.Types[best].Name, l.c.Types[best].Priority, l.c.Types[least].Priority,
		s.goes(l, &l.o.Workers[worker], because)))
}
