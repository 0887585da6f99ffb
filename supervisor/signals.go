package supervisor

import (
	"os"
	"os/signal"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/procfile"
)

// asksToEnd are the signals that end Procfile mode.
func asksToEnd(sig unix.Signal) bool {
	return sig == unix.SIGTERM || sig == unix.SIGINT || sig == unix.SIGQUIT
}

// caught are the signals that memsup answers. Command mode forwards all that
// can be, except those that speak to memsup itself (CHLD, TTIN, TTOU), that the
// Go runtime uses (URG, PROF), and synchronous faults.
func (s *supervisor) caught() []unix.Signal {
	if s.c.Command == nil {
		return []unix.Signal{
			unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP,
			unix.SIGTTIN, unix.SIGTTOU, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH,
		}
	}
	var all []unix.Signal
	for sig := unix.Signal(1); sig <= 64; sig++ {
		switch sig {
		case unix.SIGCHLD, unix.SIGURG, unix.SIGPROF, unix.SIGKILL, unix.SIGSTOP,
			unix.SIGFPE, unix.SIGILL, unix.SIGSEGV, unix.SIGBUS, unix.SIGABRT, unix.SIGTRAP, unix.SIGSYS, 32, 33:
			continue
		case unix.SIGTTIN, unix.SIGTTOU:
			if !s.c.Command.SuspendSelf {
				continue
			}
		}
		all = append(all, sig)
	}
	return all
}

// survive makes the Go runtime drop what it would end the process for and the
// kernel, for PID 1, would not. A handled signal, unlike an ignored one, is
// default in children. Faults of memsup's own still end it.
func (s *supervisor) survive() {
	unheard := make(chan os.Signal, 1)
	signal.Notify(unheard, unix.SIGPIPE) // of a write to standard output or error
	if s.sys.pid == 1 {
		signal.Notify(unheard, unix.SIGABRT, unix.SIGTRAP, unix.SIGSYS, unix.SIGSTKFLT,
			unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL)
	}
}

// signal answers one signal.
func (s *supervisor) signal(sig unix.Signal) {
	if s.c.Command != nil {
		s.forward(sig)
		return
	}
	switch sig {
	case unix.SIGTERM, unix.SIGINT, unix.SIGQUIT:
		s.askedToEnd(sig)
	case unix.SIGHUP:
		if controllingTerminal() {
			s.askedToEnd(sig)
		} else {
			s.reload()
		}
	case unix.SIGTTIN, unix.SIGTTOU:
		if controllingTerminal() {
			return
		}
		by := +1
		if sig == unix.SIGTTOU {
			by = -1
		}
		s.nudge(by)
	default:
		for _, w := range s.byPID {
			s.signalWorker(w, sig)
		}
	}
}

// repeat is how long after the first a signal that asks to end is taken for
// the same one: timeout(1) and terminals may deliver it twice, to the process
// and to its group.
const repeat = 250 * time.Millisecond

func (s *supervisor) askedToEnd(sig unix.Signal) {
	if s.ending {
		if s.now()-s.askedAt > repeat {
			s.skipGrace()
		}
		return
	}
	s.askedAt = s.now()
	s.log.info("stopping everything", "because", unix.SignalName(sig), "grace", s.c.Grace)
	s.end(0)
}

// forward passes a signal on to the command, rewritten as --rewrite says.
func (s *supervisor) forward(sig unix.Signal) {
	received := sig
	if to, ok := s.c.Rewrite[sig]; ok {
		if to == 0 {
			return
		}
		sig = to
	}
	if s.ending {
		if asksToEnd(sig) {
			s.skipGrace()
		}
		return
	}
	for _, w := range s.byPID {
		target := w.pid
		if s.c.Group && !s.c.Command.Plain {
			target = -w.pid
		}
		n := Notice{Kind: Forwarded, PID: w.pid, Signal: sig}
		if n.Err = s.sys.kill(target, sig); n.Err != nil {
			n.Kind = NotForwarded
		}
		s.note(n)
	}
	if s.c.Command.SuspendSelf && (received == unix.SIGTSTP || received == unix.SIGTTIN || received == unix.SIGTTOU) {
		_ = s.sys.kill(s.sys.pid, unix.SIGSTOP)
	}
}

// nudge moves web, else the first ranged type, by one worker and pins it.
func (s *supervisor) nudge(by int) {
	var t *processType
	for _, other := range s.types {
		if other.Name == "web" {
			t = other
			break
		}
		if t == nil && (other.Range.Auto || other.Range.Max > other.Range.Min) {
			t = other
		}
	}
	if t == nil || s.ending {
		return
	}
	n := min(max(0, s.wanted(t)+by), t.mostPorts())
	if err := s.exceeds(map[*processType]*procfile.Range{t: {Min: n, Max: n}}); err != nil && by > 0 {
		s.log.warn("cannot add a worker of "+t.Name, "error", err)
		return
	}
	s.pin(t, n, n)
	s.log.info("pinned by signal", "type", t.Name, "workers", n)
}

func controllingTerminal() bool {
	fd, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

// ownsTerminal finds out whether standard input is the terminal that memsup
// may hand to its command: only the session that controls it has a say in it,
// and a background job would take it from its shell, as tini does.
func ownsTerminal(asTini bool) bool {
	group, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
	return err == nil && (asTini || group == unix.Getpgrp())
}

// suspend stops memsup as Ctrl-Z stopped its command, and hands the terminal
// over again when the shell goes on with both.
func (s *supervisor) suspend(group int) {
	signal.Ignore(unix.SIGTTOU)
	own := unix.Getpgrp()
	_ = unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, own)
	// To this very thread: it must have stopped before it looks further.
	runtime.LockOSThread()
	_ = unix.Tgkill(s.sys.pid, unix.Gettid(), unix.SIGSTOP)
	runtime.UnlockOSThread()
	if fg, err := unix.IoctlGetInt(0, unix.TIOCGPGRP); err == nil && fg == own {
		_ = unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, group)
	}
}
