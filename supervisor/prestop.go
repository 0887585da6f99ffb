package supervisor

import "time"

// PreStop is what comes before a worker's stop signal, within the time that it is
// given to stop: a command, or some time. The zero value is nothing.
type PreStop struct {
	Command string // run with the worker's environment and MAINPID, its pid
	Wait    time.Duration
}

// holdBack begins with what comes before the stop signal, and says whether that
// is to wait for it. The last quarter of the time is the worker's. Memory does not
// wait, and neither does what is no longer heard.
func (s *supervisor) holdBack(w *worker) bool {
	p := w.typ.PreStop
	if p == (PreStop{}) || w.master != nil || w.health.aborts || s.pressed() {
		return false
	}
	now, until := s.now(), w.until
	if s.ending {
		until = s.endBy
	}
	if p.Command == "" {
		w.health.held, w.health.signalAt = true, now+p.Wait
		return true
	}
	pid, since := w.pid, w.since
	done := func(_ string, err error) {
		if err != nil {
			s.log.warn("what is to come before a stop signal failed", "worker", w.name, "command", p.Command, "error", err)
		}
		if w.pid == pid && w.since == since && w.state == stopping && w.health.held && !w.killed {
			s.signalHeld(w)
		}
	}
	env, err := s.environmentBeside(w)
	if err == nil {
		err = s.send(w.typ, p.Command, env, (until-now)*3/4, done)
	}
	if err != nil {
		done("", err)
		return false
	}
	w.health.held = true
	return true
}

// signalDue is when a worker that is held without a command is sent its stop
// signal.
func (w *worker) signalDue() time.Duration {
	return min(w.health.signalAt, w.until-(w.until-w.asked)/4)
}

// signalHeld sends a worker that was held its stop signal.
func (s *supervisor) signalHeld(w *worker) {
	w.health.held = false
	w.asked = s.now()
	s.log.debug("sent its stop signal", "worker", w.name)
	s.signalWorker(w, w.stopSignal())
}

// pressed says whether memory is wanted back, so that nothing may come before a
// stop signal: less than the reserve is available, or it is going fast.
func (s *supervisor) pressed() bool {
	if !s.watches() || !s.memOK || s.ending || s.c.Observe {
		return false
	}
	return s.mem.Available < s.pcfg.ReserveFor(s.mem.Limit) || s.policy.Tight()
}
