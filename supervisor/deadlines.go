package supervisor

import "time"

// sleep is how long the loop may sleep where nothing else wakes it.
func (s *supervisor) sleep() time.Duration {
	now := s.now()
	next := now + never
	if s.ending {
		next = min(next, s.endBy)
		if s.inOrder {
			next = min(next, s.orderBy)
		}
	} else if s.watches() {
		next = min(next, s.nextLook)
	}
	if s.c.RuntimeMetrics > 0 {
		next = min(next, s.metrics.due)
	}
	next = s.nextDemand(next)
	next = s.nextHealth(next)
	if c := &s.children; !c.remain {
		next = min(next, now+longestLook)
	} else if !c.asked {
		next = min(next, c.until)
	}
	for t := range s.everyType() {
		if t.prefork != nil && t.prefork.step != 0 {
			next = min(next, t.prefork.until)
		}
		for w := range t.all() {
			switch w.state {
			case backoff:
				if !w.crowded { // another's end wakes the loop
					next = min(next, w.until)
				}
			case stopping:
				if !w.killed {
					next = min(next, w.until)
				}
			case starting:
				if w.timed() {
					next = min(next, w.since+t.Ready)
				}
			}
		}
	}
	return max(next-now, 0)
}

// expire acts on deadlines that have passed.
func (s *supervisor) expire(now time.Duration) {
	s.cutErrands(now)
	s.expireHealth(now)
	for t := range s.everyType() {
		if t.prefork != nil {
			s.expireStep(t, now)
		}
		for w := range t.all() {
			switch {
			case w.state == stopping && !w.killed && now >= w.until:
				s.log.warn("did not end in time: SIGKILL", "worker", w.name, "after", now-w.asked)
				s.killWorker(w)
			case w.state == starting && w.timed() && now >= w.since+t.Ready:
				s.readyNow(w, now, "ran for "+t.Ready.String())
			}
		}
	}
}
