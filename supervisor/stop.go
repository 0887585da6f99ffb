package supervisor

import (
	"time"

	"golang.org/x/sys/unix"
)

// stop sends a worker its stop signal and gives it until its drain is over. A
// slot without a process is dropped or started anew at once.
func (s *supervisor) stop(w *worker, after afterStop, reason string) {
	now := s.now()
	switch w.state {
	case stopping:
		if after == remove {
			w.after = remove
			w.letGo(everySocket)
		}
		return
	case backoff, finished:
		if w.master != nil {
			return // its master starts the next one
		}
		if after == remove {
			s.dropWorker(w)
		} else {
			w.state, w.until = backoff, now
		}
		return
	}
	w.state, w.after, w.asked, w.until, w.roll = stopping, after, now, now+s.drainOf(w.typ), false
	w.part()
	if after == remove {
		w.letGo(everySocket)
	}
	if !s.holdBack(w) {
		s.signalWorker(w, w.stopSignal())
	}
	s.log.info("stopping", "worker", w.name, "pid", w.pid, "reason", reason)
	s.decide = true
}

// drainOf is how long a type's workers are given to stop.
func (s *supervisor) drainOf(t *processType) time.Duration {
	if t.Drain > 0 {
		return t.Drain
	}
	return s.c.Drain
}

// stopSignal is what the worker is stopped by.
func (w *worker) stopSignal() unix.Signal {
	if w.health.aborts {
		return unix.SIGABRT
	}
	if w.master != nil && w.typ.Prefork.StopSignal != 0 {
		return w.typ.Prefork.StopSignal
	}
	return w.typ.StopSignal
}

// signalWorker sends sig to the worker's main process, or to its whole group
// where a shell stands between or --group asks for it. A stopped process gets
// SIGCONT behind a signal that is to end it, or it could not act on it.
func (s *supervisor) signalWorker(w *worker, sig unix.Signal) {
	if w.master != nil {
		s.signalKept(w, sig)
		return
	}
	target := w.pid
	if w.shell || s.c.Group {
		target = -w.pid
	}
	_ = s.sys.kill(target, sig)
	if sig == unix.SIGTERM || sig == w.stopSignal() {
		_ = s.sys.kill(target, unix.SIGCONT)
	}
}

// end begins memsup's own end with that exit status: every worker is sent its
// stop signal in its turn, and has the grace to end.
func (s *supervisor) end(code int) {
	if s.ending {
		return
	}
	s.ending, s.code = true, code
	now := s.now()
	s.endBy, s.orderBy = now+s.c.Grace, now+s.c.Grace/2
	s.cutErrands(never)
	s.stopInOrder(now)
}

// nothingLeft says whether every type has finished by itself, or waits for one that
// has failed.
func (s *supervisor) nothingLeft() bool {
	any := false
	for _, t := range s.types {
		if !t.stopped && s.vain(t) {
			continue
		}
		if t.stopped || len(t.slots) == 0 && (t.pin != nil || t.Range.Auto || t.Range.Max > 0) {
			return false
		}
		for _, w := range t.slots {
			if w.state != finished {
				return false
			}
			any = true
		}
	}
	return any || len(s.byPID) == 0
}

// skipGrace sends SIGKILL now to whatever remains.
func (s *supervisor) skipGrace() {
	if s.ending && s.endBy > s.now() {
		s.log.warn("asked a second time: SIGKILL to what remains")
		s.endBy = s.now()
		for _, w := range s.byPID {
			w.until = s.endBy
		}
	}
}

// finish goes on with the end. When the workers have ended, the descendants
// that remain are sent SIGTERM; what remains when the grace is over, SIGKILL.
// memsup leaves when it has no child any more.
func (s *supervisor) finish(now time.Duration) {
	if !s.children.remain {
		s.done = true
		return
	}
	if now >= s.endBy {
		if s.skipped {
			s.log.error("some processes do not die from SIGKILL: leaving them")
			s.done = true
			return
		}
		s.skipped = true
		s.endBy = now + afterKill
		s.killAll()
		return
	}
	if s.inOrder && !s.skipped {
		s.stopInOrder(now)
	}
	if len(s.byPID) == 0 && !s.termed {
		s.termed = true
		for _, pid := range s.sys.descendants() {
			_ = s.sys.kill(pid, unix.SIGTERM)
			_ = s.sys.kill(pid, unix.SIGCONT)
		}
	}
}

// afterKill is how long memsup waits for processes that were sent SIGKILL: one
// in an uninterruptible sleep dies only when its device answers.
const afterKill = 2 * time.Second

// killAll sends SIGKILL to every descendant.
func (s *supervisor) killAll() {
	for _, w := range s.byPID {
		s.killWorker(w)
	}
	for _, pid := range s.sys.descendants() {
		_ = s.sys.kill(pid, unix.SIGKILL)
	}
}
