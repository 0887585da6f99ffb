package supervisor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/memsup/memsup/procfile"
)

// Check is how a worker is found to be ready, or still alive.
type Check struct {
	By      CheckBy
	Path    string        // ByHTTP: what is asked for, from the slash on
	Command string        // ByCommand: run with the worker's environment; status 0 is well
	Within  time.Duration // ByNotify, of Type.Alive: how often it has to say WATCHDOG=1
}

// CheckBy says who is asked, and how.
type CheckBy uint8

const (
	NoCheck   CheckBy = iota
	ByNotify          // the worker says so by itself, sd_notify(3)
	ByTCP             // it accepts a connection to its PORT
	ByHTTP            // it answers GET with a status from 200 to 399
	ByCommand         // a command ends with status 0
)

const (
	// A worker is asked whether it is ready each second, and whether it is alive
	// every ten. It has five to answer.
	readyPause, alivePause, checkPatience = time.Second, 10 * time.Second, 5 * time.Second
	// checkFailures in a row are a worker that is not alive.
	checkFailures = 3
)

// health is what a worker's process was asked, and what it said of itself.
type health struct {
	due      time.Duration // of the next check
	asking   bool          // one is under way
	failures int           // in a row
	why      string        // what the last one failed at

	extended  time.Duration // it asked for time to become ready until then
	beat      time.Duration // its last WATCHDOG=1, or when it became ready
	leaving   bool          // it said STOPPING=1
	leavingAt time.Duration
	text      string // STATUS=

	held     bool          // its stop signal waits for what comes before it
	signalAt time.Duration // held for some time: until then; 0 is for a command

	fault  string // what it is stopped for
	late   bool   // which is that it was not ready in time
	aborts bool   // by SIGABRT
}

// notifies says whether the type's workers are given NOTIFY_SOCKET.
func (t *processType) notifies() bool {
	return t.ReadyWhen.By == ByNotify || t.Alive.By == ByNotify
}

// watchdog is how often the type's workers have to say WATCHDOG=1; 0 is never.
func (t *processType) watchdog() time.Duration {
	if t.Alive.By != ByNotify {
		return 0
	}
	return t.Alive.Within
}

// asks says whether the worker is ready when a check says so. A master is when
// its workers were counted, and these are no processes of memsup's.
func (w *worker) asks() bool { return w.typ.ReadyWhen.By != NoCheck && w.typ.prefork == nil }

// check is what the worker is to be asked at present.
func (w *worker) check() (c Check, pause time.Duration) {
	switch {
	case w.state == starting && w.asks():
		return w.typ.ReadyWhen, readyPause
	case w.state == ready && w.master == nil && !w.health.leaving:
		return w.typ.Alive, alivePause
	}
	return Check{}, 0
}

// serves says whether the worker is ready, as far as is known: it did not say that it
// is leaving, nor fail its checks.
func (w *worker) serves() bool {
	return w.state == ready && !w.health.leaving && w.health.failures < checkFailures
}

// probes says whether memsup does something to find out.
func (c Check) probes() bool { return c.By != NoCheck && c.By != ByNotify }

// readyBy is when the worker is late.
func (w *worker) readyBy() time.Duration {
	return max(w.since+w.typ.ReadyTimeout, w.health.extended)
}

// readyNow is that the worker is ready at this moment. What was measured is from
// when it was still growing.
func (s *supervisor) readyNow(w *worker, now time.Duration, why string) {
	w.measured, w.bytes, w.growth, w.measureFrom = false, 0, 0, now
	s.nextLook = now
	s.becomeReady(w, why)
}

// nextHealth is when the loop has to wake for a worker's health.
func (s *supervisor) nextHealth(next time.Duration) time.Duration {
	for t := range s.everyType() {
		for _, w := range t.slots {
			if s.ending && w.state != stopping {
				continue // its stop signal is all that it is sent now
			}
			h := &w.health
			c, _ := w.check()
			switch {
			case w.state == stopping && h.held && h.signalAt > 0 && !w.killed:
				next = min(next, w.signalDue())
			case w.state == ready && h.leaving && t.Restart == RestartAlways:
				next = min(next, h.leavingAt+s.drainOf(t))
			case c.By == NoCheck:
				continue
			case w.state == starting:
				next = min(next, w.readyBy())
			case c.By == ByNotify && h.failures < checkFailures:
				next = min(next, h.beat+c.Within)
			}
			if c.probes() && !h.asking {
				next = min(next, h.due)
			}
		}
	}
	return next
}

// expireHealth acts on deadlines of the workers' health that have passed.
func (s *supervisor) expireHealth(now time.Duration) {
	for t := range s.everyType() {
		for _, w := range t.slots { // none of this takes a slot away
			if s.ending && w.state != stopping {
				continue
			}
			h := &w.health
			switch {
			case w.state == stopping && h.held && h.signalAt > 0 && !w.killed && now >= w.signalDue():
				s.signalHeld(w)
			case w.state == starting && w.asks() && now >= w.readyBy():
				s.notReady(w)
			case w.state == ready && h.leaving && t.Restart == RestartAlways && now >= h.leavingAt+s.drainOf(t):
				s.stop(w, w.anew(), "it said STOPPING=1, and did not end in "+s.drainOf(t).String())
			case w.state == ready && !h.leaving && t.watchdog() > 0 && h.failures < checkFailures && now >= h.beat+t.watchdog():
				h.failures, h.why = checkFailures, "no WATCHDOG=1 in "+t.watchdog().String()
			}
		}
	}
}

// notReady stops a worker that was not ready in time, which is an early end.
func (s *supervisor) notReady(w *worker) {
	h := &w.health
	h.fault = "not ready in " + (w.readyBy() - w.since).Round(time.Millisecond).String()
	fields := []any{"asked by", w.typ.ReadyWhen.String()}
	if h.why != "" {
		fields = append(fields, "last", h.why)
	}
	s.log.warn(w.name+" "+h.fault, fields...)
	s.stopEarly(w, w.name+" "+h.fault)
}

// stopEarly stops a worker that did not become ready and is not waited for any
// longer. A rolling restart that it is part of ends with it.
func (s *supervisor) stopEarly(w *worker, reason string) {
	beside := w.replaces != nil
	if beside || w.trial {
		s.rollBack(w, w.health.fault)
	}
	if !beside { // else it is stopped already, and the old one stays
		w.health.late = true
		s.stop(w, restart, reason)
	}
}

// checkWorkers asks those workers that are due, and restarts those that are not
// alive.
func (s *supervisor) checkWorkers(now time.Duration) {
	for _, t := range s.types {
		for _, w := range t.slots {
			h := &w.health
			if w.state == stopping && h.held && s.pressed() {
				s.signalHeld(w)
			}
			if c, pause := w.check(); c.probes() && !h.asking && now >= h.due {
				h.asking, h.due = true, now+pause
				s.probe(w, c)
			}
		}
		s.restartDead(t)
	}
}

// probe does what a check says; the answer comes as one more event.
func (s *supervisor) probe(w *worker, c Check) {
	pid, since := w.pid, w.since
	done := func(err error) {
		if w.pid == pid && w.since == since { // else it was asked of a process that is gone
			s.checked(w, c, err)
		}
	}
	if c.By == ByCommand {
		env, err := s.environmentBeside(w)
		if err == nil {
			err = s.send(w.typ, c.Command, env, checkPatience, func(_ string, err error) { done(err) })
		}
		if err != nil {
			done(err)
		}
		return
	}
	port, err := w.port()
	if err != nil {
		done(err)
		return
	}
	if s.probed == nil {
		s.probed = make(chan probed)
	}
	go func(to chan<- probed) {
		err := dial(port, c.Path, checkPatience)
		select {
		case to <- probed{done, err}:
		case <-s.gone:
		}
	}(s.probed)
}

// checked takes in the answer to a check.
func (s *supervisor) checked(w *worker, c Check, err error) {
	h := &w.health
	h.asking = false
	if asked, _ := w.check(); asked != c || s.ending {
		return
	}
	switch {
	case err == nil && w.state == starting:
		s.readyNow(w, s.now(), c.String()+" says so")
	case err == nil:
		h.failures, h.why = 0, ""
	default:
		h.failures++
		h.why = err.Error()
		s.log.debug("a check failed", "worker", w.name, "state", w.state, "by", c.String(), "error", err, "in a row", h.failures)
	}
}

// restartDead restarts the type's workers that are not alive: one at a time,
// unless there is none that is.
func (s *supervisor) restartDead(t *processType) {
	if t.Alive.By == NoCheck {
		return
	}
	busy, well := false, false
	for _, w := range t.slots {
		switch {
		case w.unwell && (w.state == stopping || w.state == backoff || w.state == starting):
			busy = true
		case w.serves():
			well = true
		}
	}
	for _, w := range t.slots {
		c, _ := w.check()
		if w.state != ready || c.By == NoCheck || w.health.failures < checkFailures || busy && well {
			continue
		}
		busy = true
		why := w.health.why
		if c.By != ByNotify {
			why = fmt.Sprintf("%s, %d times in a row", why, w.health.failures)
		}
		s.notAlive(w, why)
	}
}

// notAlive restarts a worker: by SIGABRT, which leaves a core where it may, if
// its watchdog said so.
func (s *supervisor) notAlive(w *worker, why string) {
	h := &w.health
	w.unwell = true
	h.fault, h.aborts = "not alive: "+why, w.typ.Alive.By == ByNotify
	s.log.warn(w.name + " is " + h.fault)
	if w.state == starting {
		s.stopEarly(w, h.fault)
		return
	}
	s.stop(w, w.anew(), h.fault)
}

// anew is what becomes of a slot whose worker is to be started anew: one that is
// being replaced has a successor already.
func (w *worker) anew() afterStop {
	if w.successor != nil {
		return remove
	}
	return restart
}

// begins is that the worker became ready.
func (h *health) begins(now time.Duration) {
	h.failures, h.why, h.beat, h.due = 0, "", now, now+alivePause
}

// port is the worker's PORT, as its environment says it.
func (w *worker) port() (int, error) {
	return procfile.Port(w.typ.Name, w.typ.Port, max(w.index, 1))
}

// environmentBeside is the environment for a command that is run beside a
// worker: the worker's own, but for what speaks to one process alone.
func (s *supervisor) environmentBeside(w *worker) ([]string, error) {
	env, err := s.environment(w)
	env = slices.DeleteFunc(env, ofWorker)
	if w.pid != 0 {
		env = override(env, []string{"MAINPID=" + itoa(w.pid)})
	}
	return env, err
}

// ofWorker says whether a variable speaks to a worker's process alone: of sockets that
// it inherits, and of whom it reports to.
func ofWorker(v string) bool {
	for _, prefix := range [...]string{"LISTEN_", "EINHORN_", "NOTIFY_SOCKET=", "WATCHDOG_"} {
		if strings.HasPrefix(v, prefix) {
			return true
		}
	}
	return false
}

// notifyVariables are what the type's workers are given to speak by.
func (s *supervisor) notifyVariables(env []string, t *processType) []string {
	path := s.notifier.socket()
	if path == "" || !t.notifies() {
		return env
	}
	env = append(env, "NOTIFY_SOCKET="+path)
	if every := t.watchdog(); every > 0 {
		env = append(env, fmt.Sprintf("WATCHDOG_USEC=%d", every.Microseconds()))
	}
	return env
}

// String is the check in words.
func (c Check) String() string {
	switch c.By {
	case ByNotify:
		return "sd_notify"
	case ByTCP:
		return "a connection to PORT"
	case ByHTTP:
		return "GET " + c.Path
	case ByCommand:
		return "`" + c.Command + "`"
	}
	return ""
}
