package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/cost"
)

// steer brings the number of workers that a type's master keeps nearer to what
// is wanted: by one worker, which is seen to come before the next is asked for.
// Removing does not wait for the one before to have gone.
func (s *supervisor) steer(t *processType, want int, now time.Duration) {
	p, m := t.prefork, t.master()
	waits := now < p.retry
	if m == nil || m.state != ready || !p.known || waits && p.refused < 0 || s.c.Observe && t.pin == nil {
		p.leave(0, now)
		return
	}
	want = max(want, 1) // gunicorn and puma do not go below, and unicorn and uWSGI serve nobody then
	switch {
	case want > p.target && p.step == 0 && !waits && !s.crowded(t, (*worker).alive):
		s.change(t, m, +1, now)
	case want < p.target && now >= p.asked+awaits: // one more that was refused is no reason not to
		s.change(t, m, -1, now)
	}
	if p.failed == "" {
		p.leave(p.count-want, now)
	}
}

// leave marks n workers as about to go, those that the master is expected to
// end, and takes the mark from others.
func (p *prefork) leave(n int, now time.Duration) {
	if n <= 0 && !slices.ContainsFunc(p.workers, func(w *worker) bool { return w.leaves }) {
		return
	}
	order := p.byAge()
	for i := range order {
		w := order[i]
		if p.youngest {
			w = order[len(order)-1-i]
		}
		switch {
		case w.state == stopping && !w.leaves:
		case n > 0:
			n--
			if !w.leaves {
				w.leaves, w.prior, w.state = true, w.state, stopping
				w.after, w.asked, w.until = remove, now, forever
			}
		case w.leaves:
			w.leaves, w.state, w.asked = false, w.prior, 0
		}
	}
}

// change asks a master for one worker more or less.
func (s *supervisor) change(t *processType, m *worker, by int, now time.Duration) {
	p := t.prefork
	p.step, p.asked, p.target, p.failed = by, now, p.target+by, ""
	if by > 0 {
		p.until = now + forkPatience
		t.place(m, now).grown = true // what it takes from now on is no leak
	} else {
		p.until = now + s.drainOf(t)
	}
	s.nextLook = min(s.nextLook, now+awaits)
	if command := t.command(by); command != "" {
		s.runFor(t, m, command, now)
		return
	}
	sig := unix.SIGTTIN
	if by < 0 {
		sig = unix.SIGTTOU
	}
	if !catches(m.pid, sig) {
		s.stepFailed(t, fmt.Sprintf("%s does not handle %s", m.name, unix.SignalName(sig)), now)
		return
	}
	if err := s.sys.kill(m.pid, sig); err != nil {
		s.stepFailed(t, fmt.Sprintf("%s cannot be sent %s: %v", m.name, unix.SignalName(sig), err), now)
		return
	}
	s.log.debug("asked for another number of workers", "master", m.name, "by", unix.SignalName(sig), "workers", p.target)
}

// catches says whether a process has a handler for a signal: SigCgt of
// /proc/PID/status. Without one SIGTTIN and SIGTTOU would stop it.
func catches(pid int, sig unix.Signal) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false
	}
	_, rest, found := bytes.Cut(b, []byte("\nSigCgt:\t"))
	mask, _, _ := bytes.Cut(rest, []byte("\n"))
	caught, err := strconv.ParseUint(string(mask), 16, 64)
	return found && err == nil && caught&(1<<(sig-1)) != 0
}

// stepFailed gives a change up for a while, which doubles each time.
func (s *supervisor) stepFailed(t *processType, reason string, now time.Duration) {
	p := t.prefork
	most := 30 * time.Minute
	if p.step < 0 {
		most = time.Minute // memory may need it
	}
	p.refused, p.step, p.target = p.step, 0, p.count
	p.wait = min(max(2*p.wait, 30*time.Second), most)
	p.failed, p.retry = reason, now+p.wait
	p.leave(0, now)
	p.clear()
	s.decide = true
	s.log.warn("cannot change the number of workers of "+t.Name+": "+reason, "workers", p.count, "asked again in", p.wait)
}

// expireStep gives up a change that has not come.
func (s *supervisor) expireStep(t *processType, now time.Duration) {
	p := t.prefork
	if p.step == 0 || now < p.until {
		return
	}
	did, by := "add", "SIGTTIN"
	if p.step < 0 {
		did, by = "end", "SIGTTOU"
	}
	if command := t.command(p.step); command != "" {
		by = "`" + command + "`"
	}
	s.stepFailed(t, fmt.Sprintf("%s did not %s a worker within %s of %s", t.Name, did, p.until-p.asked, by), now)
}

// command is what changes the number of workers; empty is a signal.
func (t *processType) command(by int) string {
	if by > 0 {
		return t.Prefork.Add
	}
	return t.Prefork.Remove
}

// errandPatience is how long such a command may take: a FIFO that nobody reads has
// it wait for good.
const errandPatience = 10 * time.Second

// runFor runs a command that has a master keep another number of workers, with the
// master's environment and MAINPID, its pid.
func (s *supervisor) runFor(t *processType, m *worker, command string, now time.Duration) {
	failed := func(err error) {
		if p := t.prefork; err != nil && p.step != 0 && p.asked == now && !s.ending {
			s.stepFailed(t, fmt.Sprintf("`%s`: %v", command, err), s.now())
		}
	}
	env, err := s.errandEnvironment(t)
	if err == nil {
		env = override(env, []string{"MAINPID=" + itoa(m.pid)})
		err = s.send(t, command, env, errandPatience, func(_ string, err error) { failed(err) })
	}
	failed(err)
	s.log.debug("asked for another number of workers", "master", m.name, "by", command, "workers", t.prefork.target)
}

// signalKept sends a signal to a worker that its master keeps. Whether the pid
// is still the worker's only its master can know, so a descriptor holds the
// process, where the kernel has them, while its age is compared.
func (s *supervisor) signalKept(w *worker, sig unix.Signal) {
	fd, err := unix.PidfdOpen(w.pid, 0)
	if err == nil {
		defer unix.Close(fd)
	}
	if began, ok := cost.Started("/proc", w.pid); !ok || began != w.began {
		return
	}
	if err == nil {
		err = unix.PidfdSendSignal(fd, sig, nil, 0)
	} else {
		err = s.sys.kill(w.pid, sig)
	}
	if err != nil && err != unix.ESRCH {
		s.once("signal", "cannot signal a worker of a master", "worker", w.name, "pid", w.pid, "error", err)
	}
}
