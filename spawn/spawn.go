// Package spawn starts a process exactly: with the signal mask and the ignored
// signals that memsup itself was given, in its own process group or session,
// in the terminal's foreground, with LISTEN_PID naming itself, as the user and
// within the limits that it is to have.
//
// It never waits for what it started; package reaper does.
package spawn

import (
	"errors"
	"fmt"
	"slices"
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
	// WatchdogPID adds WATCHDOG_PID=<its own pid> to its environment.
	WatchdogPID bool
	// Terminal makes the terminal behind descriptor 0, where it is one and no
	// other session has it, the controlling terminal of the new session.
	Terminal bool
	// Cgroup is the open directory of the cgroup v2 that it starts in; zero is
	// the parent's own. Where clone3(2) with CLONE_INTO_CGROUP is refused, as by
	// Docker's seccomp profile, it goes there by itself before its program runs.
	Cgroup int
	// Default starts it with no signal ignored and none blocked.
	Default bool
	// Settings are its user, limits and the like; nil is as memsup itself has them.
	Settings *Settings
}

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
	if dir := s.Settings.dir(); dir != "" && !s.Settings.shim() {
		// The error of a process that cannot change there would not tell that from
		// a program that is not there.
		if err := unix.Access(dir, unix.X_OK); err != nil {
			return 0, &Error{s.Argv[0], fmt.Errorf("change to directory %s: %v", dir, err)}
		}
	}
	search, set := Getenv(s.Env, "PATH")
	path, err := lookPath(s.Settings.dir(), s.Argv[0], search, set)
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
	argv, files, dir := s.Argv, s.Files, s.Settings.dir()
	if Ignored&^untouched|Blocked != 0 || s.Foreground || s.ListenPID || s.WatchdogPID || s.Terminal || procs >= 0 || s.Settings.shim() {
		if procs >= 0 {
			files = append(slices.Clip(files), uintptr(procs))
		}
		argv = append(s.order(path, procs >= 0), argv...)
		path, dir = "/proc/self/exe", ""
	}
	attr := &syscall.ProcAttr{
		Dir:   dir,
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

// Find says whether a program of that name could be run in dir with env's PATH;
// an empty dir is memsup's own. The error is the *Error that Start would give.
func Find(dir, name string, env []string) error {
	path, set := Getenv(env, "PATH")
	if _, err := lookPath(dir, name, path, set); err != nil {
		return &Error{name, err}
	}
	return nil
}

// lookPath finds name as execvp(3) does in the working directory dir; empty is
// memsup's own. A file that is there and cannot be executed is EACCES, unless a
// later directory has one that can. A relative path is to be taken from dir.
func lookPath(dir, name, path string, set bool) (string, error) {
	if name == "" {
		return "", unix.ENOENT
	}
	if strings.Contains(name, "/") {
		return name, executable(dir, name)
	}
	if !set {
		path = "/bin:/usr/bin"
	}
	found := error(unix.ENOENT)
	for place := range strings.SplitSeq(path, ":") {
		if place == "" {
			place = "."
		}
		full := place + "/" + name
		err := executable(dir, full)
		if err == nil {
			return full, nil
		}
		if errors.Is(err, unix.EACCES) {
			found = err
		}
	}
	return "", found
}

func executable(dir, path string) error {
	if dir != "" && !strings.HasPrefix(path, "/") {
		path = dir + "/" + path
	}
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
