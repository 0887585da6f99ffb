// Package spawn starts a process exactly: with the signal mask and the ignored
// signals that memsup itself was given, in its own process group or session,
// in the terminal's foreground, with LISTEN_PID naming itself.
//
// It never waits for what it started; package reaper does.
package spawn

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Spec is one process to start.
type Spec struct {
	Argv []string // Argv[0] is looked up in PATH where it holds no slash
	Env  []string // NAME=value
	// Files become descriptors 0, 1, 2 … of the process.
	Files []uintptr
	// Group and Session make it the leader of a new process group, or of a
	// new session.
	Group, Session bool
	// Foreground hands the terminal behind descriptor 0 to the new group
	// before the program runs.
	Foreground bool
	// ListenPID adds LISTEN_PID=<its own pid> to its environment.
	ListenPID bool
	// Terminal makes the terminal behind descriptor 0, where it is one and no
	// other session has it, the controlling terminal of the new session.
	Terminal bool
	// Cgroup is the open directory of the cgroup v2 that it starts in; zero is
	// the parent's own. Where clone3(2) with CLONE_INTO_CGROUP is refused, as by
	// Docker's seccomp profile, it goes there by itself before its program runs.
	Cgroup int
	// Default starts it with no signal ignored and none blocked.
	Default bool
}

// ShimName is the name under which memsup's own binary does, in the new
// process, what cannot be done from its parent.
const ShimName = "memsup-spawn"

// Error is a program that could not be run.
type Error struct {
	Program string
	Err     error
}

func (e *Error) Error() string { return fmt.Sprintf("cannot run %s: %v", e.Program, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// ExitCode is the shell's: 127 where there is no such program, 126 where it
// cannot be executed.
func (e *Error) ExitCode() int {
	if errors.Is(e.Err, unix.ENOENT) || errors.Is(e.Err, unix.ENOTDIR) {
		return 127
	}
	return 126
}

// Start starts s and returns its pid as soon as its program runs. An error is
// an *Error. The parent-death signal of a child follows the thread that
// started it: where that matters the caller is on a locked thread that lives
// on.
func Start(s *Spec) (pid int, err error) {
	search, set := Getenv(s.Env, "PATH")
	path, err := lookPath(s.Argv[0], search, set)
	if err != nil {
		return 0, &Error{s.Argv[0], err}
	}
	pid, err = s.fork(path, s.Cgroup > 0, -1)
	if s.Cgroup > 0 && (errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM)) {
		var procs int
		procs, err = unix.Openat(s.Cgroup, "cgroup.procs", unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			pid, err = s.fork(path, false, procs)
			unix.Close(procs)
		}
	}
	if err != nil {
		return 0, &Error{s.Argv[0], err}
	}
	return pid, nil
}

// fork starts path, in the cgroup by clone3 or by an open cgroup.procs that it
// writes itself to.
func (s *Spec) fork(path string, clone bool, procs int) (pid int, err error) {
	argv, files := s.Argv, s.Files
	if Ignored&^untouched|Blocked != 0 || s.Foreground || s.ListenPID || s.Terminal || procs >= 0 {
		if procs >= 0 {
			files = append(slices.Clip(files), uintptr(procs))
		}
		argv = append(s.shim(path, procs >= 0), argv...)
		path = "/proc/self/exe"
	}
	attr := &syscall.ProcAttr{
		Env:   s.Env,
		Files: files,
		Sys: &syscall.SysProcAttr{
			Setpgid: s.Group && !s.Session, Setsid: s.Session,
			UseCgroupFD: clone, CgroupFD: s.Cgroup,
		},
	}
	pid, err = syscall.ForkExec(path, argv, attr)
	if errors.Is(err, unix.ENOEXEC) {
		pid, err = syscall.ForkExec("/bin/sh", append([]string{"sh", path}, argv[1:]...), attr)
	}
	return pid, err
}

// shim is the head of the command line that Shim reads. A cgroup.procs to go to
// is the descriptor behind Files.
func (s *Spec) shim(path string, goes bool) []string {
	flags := ""
	if s.Foreground {
		flags += "f"
	}
	if s.ListenPID {
		flags += "p"
	}
	if s.Terminal {
		flags += "t"
	}
	if goes {
		flags += "c" + strconv.Itoa(len(s.Files))
	}
	ignored, blocked := Ignored, Blocked
	if s.Default {
		ignored, blocked = 0, 0
	}
	hex := func(set SignalSet) string { return strconv.FormatUint(uint64(set), 16) }
	return []string{ShimName, hex(ignored), hex(blocked), "-" + flags, path}
}

// Find says whether a program of that name could be run with env's PATH. The
// error is the *Error that Start would give.
func Find(name string, env []string) error {
	path, set := Getenv(env, "PATH")
	if _, err := lookPath(name, path, set); err != nil {
		return &Error{name, err}
	}
	return nil
}

// lookPath finds name as execvp(3) does. A file that is there and cannot be
// executed is EACCES, unless a later directory has one that can.
func lookPath(name, path string, set bool) (string, error) {
	if name == "" {
		return "", unix.ENOENT
	}
	if strings.Contains(name, "/") {
		return name, executable(name)
	}
	if !set {
		path = "/bin:/usr/bin"
	}
	found := error(unix.ENOENT)
	for dir := range strings.SplitSeq(path, ":") {
		if dir == "" {
			dir = "."
		}
		full := dir + "/" + name
		err := executable(full)
		if err == nil {
			return full, nil
		}
		if errors.Is(err, unix.EACCES) {
			found = err
		}
	}
	return "", found
}

func executable(path string) error {
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return unix.EACCES
	}
	return nil
}

// Getenv finds a variable in an environment of NAME=value; the last one wins.
func Getenv(env []string, name string) (string, bool) {
	for i := len(env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(env[i], name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// Shim is the whole program when memsup's binary runs under ShimName: it makes
// the last settings in the new process itself and becomes the real program.
// It does not return.
func Shim(args []string) {
	if len(args) < 6 {
		fmt.Fprintf(os.Stderr, "memsup: %s is memsup's own helper and is not run by hand\n", ShimName)
		os.Exit(2)
	}
	ignored, blocked, flags, path, argv := parseSet(args[1]), parseSet(args[2]), args[3], args[4], args[5:]
	env := os.Environ()
	if _, fd, ok := strings.Cut(flags, "c"); ok {
		enter(fd)
	}
	if strings.Contains(flags, "p") {
		env = append(env, "LISTEN_PID="+strconv.Itoa(os.Getpid()))
	}
	if strings.Contains(flags, "f") {
		foreground()
	}
	if strings.Contains(flags, "t") {
		_ = unix.IoctlSetInt(0, unix.TIOCSCTTY, 0)
	}
	e := &Error{argv[0], become(path, argv, env, ignored, blocked)}
	fmt.Fprintln(os.Stderr, "memsup:", e)
	os.Exit(e.ExitCode())
}

// enter moves this process into the cgroup whose cgroup.procs is open as fd. What
// it was charged with before is given back when the program takes its place. A
// worker that is not where it is thought to be does not run.
func enter(fd string) {
	n, err := strconv.Atoi(fd)
	if err == nil {
		_, err = unix.Write(n, []byte("0"))
		unix.Close(n)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "memsup: cannot enter the worker's cgroup:", err)
		os.Exit(126)
	}
}

func parseSet(s string) SignalSet {
	n, _ := strconv.ParseUint(s, 16, 64)
	return SignalSet(n)
}

// foreground takes the terminal behind descriptor 0 for the own process group.
// A process that is still in the background gets SIGTTOU for asking, so it is
// blocked meanwhile.
func foreground() {
	ttou := bit(unix.SIGTTOU)
	sigprocmask(unix.SIG_BLOCK, &ttou, nil)
	_ = unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, unix.Getpgrp())
}
