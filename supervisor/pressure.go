package supervisor

import (
	"time"

	"github.com/memsup/memsup/pressure"
)

// listen has the kernel wake the loop when memory hurts, by the best means that
// there are here.
func (s *supervisor) listen() {
	place := pressure.Place{}
	place.Dir, place.V1, _ = s.budget.Place()
	s.pressure = pressure.Open(place)
	if s.pressure.Rung() != pressure.Polling {
		s.heard = s.pressure.Wakes()
	}
	// Only what runs into the limit of the container's own cgroup is counted in
	// its own memory.events.
	if s.pressure.Hears(pressure.Events) && s.mem.LimitFrom == place.Dir+"/memory.max" && !s.c.Observe {
		s.wire = pressure.NewTripwire(place, pressure.TripwireSize(s.mem.Limit), pressure.TripwireDirs()...)
	}
}

// keepWire sets the tripwire, at the start and when memory is calm again after it
// was tripped: when it does not take of the reserve, and no page cache has to go
// for it.
func (s *supervisor) keepWire(now time.Duration) {
	if s.wire == nil || now < aside {
		return
	}
	free := min(s.mem.Headroom, s.mem.Limit-s.mem.Used)
	if err := s.wire.Look(now, free-s.pcfg.ReserveFor(s.mem.Limit)); err != nil {
		s.log.debug("there is no tripwire", "because", err)
		s.wire = nil
	}
}

// rung is how pressure is heard.
func (s *supervisor) rung() string {
	switch {
	case s.pressure == nil:
		return ""
	case s.heard == nil:
		return "polling " + s.budget.Rung()
	default:
		return s.pressure.Rung() + ", and polling"
	}
}

// woken has memory looked at now, because the kernel spoke. Of a stall workers
// are told: that is what systemd's protocol is about.
func (s *supervisor) woken(wake pressure.Wake) {
	s.nextLook = 0
	if s.spoke.IsZero() {
		s.spoke = wake.At
	}
	if wake.Source&pressure.Stall != 0 {
		s.relay.stall()
	}
	if wake.Source&pressure.Gone != 0 {
		s.log.warn("the container's cgroup is gone: memory is polled")
		s.heard = nil
	}
}

// feel writes PSI's part of the observation: the share of the last ten seconds
// that was lost to memory.
func (s *supervisor) feel(now time.Duration) {
	s.obs.PressureSome, s.obs.PressureFull = 0, 0
	if s.pressure == nil {
		return
	}
	if some, full, ok := s.pressure.PSI(); ok {
		s.obs.PressureSome, s.obs.PressureFull = s.average.Add(now, some, full)
	}
}
