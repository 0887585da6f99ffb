package spawn

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ShimName is the name under which memsup's own binary does, in the new
// process, what cannot be done from its parent.
const ShimName = "memsup-spawn"

// order is the head of the command line that Shim reads: words, each a NAME or a
// NAME=VALUE, then "--" and the program's path. A cgroup.procs to go to is the
// descriptor behind Files.
func (s *Spec) order(path string, goes bool) []string {
	ignored, blocked := Ignored, Blocked
	if s.Default {
		ignored, blocked = 0, 0
	}
	words := []string{ShimName, "ignored=" + ignored.hex(), "blocked=" + blocked.hex()}
	if goes {
		words = append(words, "cgroup="+strconv.Itoa(len(s.Files)))
	}
	if s.ListenPID {
		words = append(words, "listen-pid")
	}
	if s.WatchdogPID {
		words = append(words, "watchdog-pid")
	}
	if s.Foreground {
		words = append(words, "foreground")
	}
	if s.Terminal {
		words = append(words, "terminal")
	}
	return append(append(words, s.Settings.words()...), "--", path)
}

// order is what the shim is told to do.
type order struct {
	ignored, blocked                SignalSet
	cgroup                          int // the descriptor of a cgroup.procs; 0 is none
	listenPID, foreground, terminal bool
	watchdogPID                     bool
	settings                        Settings
	path                            string
	argv                            []string
}

func parseOrder(words []string) (o order, err error) {
	for len(words) > 0 && words[0] != "--" && err == nil {
		name, value, _ := strings.Cut(words[0], "=")
		words = words[1:]
		switch name {
		case "ignored":
			o.ignored, err = parseSet(value)
		case "blocked":
			o.blocked, err = parseSet(value)
		case "cgroup":
			o.cgroup, err = strconv.Atoi(value)
		case "listen-pid":
			o.listenPID = true
		case "watchdog-pid":
			o.watchdogPID = true
		case "foreground":
			o.foreground = true
		case "terminal":
			o.terminal = true
		default:
			err = o.settings.read(name, value)
		}
	}
	if err == nil && len(words) < 3 { // --, the path, the program's own name
		err = errors.New("no program")
	}
	if err == nil {
		o.path, o.argv = words[1], words[2:]
	}
	return o, err
}

func (s SignalSet) hex() string { return strconv.FormatUint(uint64(s), 16) }

func parseSet(s string) (SignalSet, error) {
	n, err := strconv.ParseUint(s, 16, 64)
	return SignalSet(n), err
}

// Shim is the whole program when memsup's binary runs under ShimName: it makes
// the last settings in the new process itself and becomes the real program.
// It does not return.
func Shim(args []string) {
	o, err := parseOrder(args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "memsup: %s is memsup's own helper and is not run by hand\n", ShimName)
		os.Exit(2)
	}
	runtime.LockOSThread()
	env := os.Environ()
	if o.cgroup > 0 {
		enter(o.cgroup)
	}
	if o.listenPID {
		env = append(env, "LISTEN_PID="+strconv.Itoa(os.Getpid()))
	}
	if o.watchdogPID {
		env = append(env, "WATCHDOG_PID="+strconv.Itoa(os.Getpid()))
	}
	if o.foreground {
		foreground()
	}
	if o.terminal {
		_ = unix.IoctlSetInt(0, unix.TIOCSCTTY, 0)
	}
	e := &Error{o.argv[0], become(o.path, o.argv, env, o.ignored, o.blocked, &o.settings)}
	fmt.Fprintln(os.Stderr, "memsup:", e)
	os.Exit(e.ExitCode())
}

// enter moves this process into the cgroup whose cgroup.procs is open as fd. What
// it was charged with before is given back when the program takes its place. A
// worker that is not where it is thought to be does not run.
func enter(fd int) {
	_, err := unix.Write(fd, []byte("0"))
	unix.Close(fd)
	if err != nil {
		fmt.Fprintln(os.Stderr, "memsup: cannot enter the worker's cgroup:", err)
		os.Exit(126)
	}
}

// foreground takes the terminal behind descriptor 0 for the own process group.
// A process that is still in the background gets SIGTTOU for asking, so it is
// blocked meanwhile.
func foreground() {
	ttou := bit(unix.SIGTTOU)
	sigprocmask(unix.SIG_BLOCK, &ttou, nil)
	_ = unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, unix.Getpgrp())
}
