package spawn

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Become runs a program in this process, with the signals that it was started with
// and with these settings; nil leaves all as it is. Argv[0] is looked up in env's
// PATH. It returns, with an *Error, only where that cannot be.
func Become(argv, env []string, settings *Settings) error {
	search, set := Getenv(env, "PATH")
	path, err := lookPath(settings.dir(), argv[0], search, set)
	if err == nil {
		runtime.LockOSThread()
		err = become(path, argv, env, Ignored, Blocked, settings)
	}
	return &Error{argv[0], err}
}

// become runs the program at path in this process, whose thread is locked. All that
// execve(2) takes is made before the settings: beneath a limit of memory Go's heap
// may not grow any more.
func become(path string, argv, env []string, ignored, blocked SignalSet, settings *Settings) error {
	program, err := prepare(path, argv, env)
	if err != nil {
		return err
	}
	shell, err := prepare("/bin/sh", append([]string{"sh", path}, argv[1:]...), nil)
	if err != nil {
		return err
	}
	shell.env = program.env
	for sig := unix.Signal(1); sig <= 64; sig++ {
		var act sigaction
		switch {
		case ignored.Has(sig):
			act.handler = sigIgn
		case untouched.Has(sig):
			continue
		}
		rtSigaction(sig, &act, nil)
	}
	sigprocmask(unix.SIG_SETMASK, &blocked, nil)
	// Package syscall restores the soft limit of open files, which the Go runtime
	// raised at the start, where it executes a program, be there none.
	_ = unix.Exec("", nil, nil)
	if err := settings.apply(); err != nil {
		return fmt.Errorf("%v", err) // whatever its number says is not about the program
	}
	errno := program.execute()
	if errno == unix.ENOEXEC {
		errno = shell.execute()
	}
	return errno
}

// program is what execve(2) takes.
type program struct {
	path      *byte
	argv, env []*byte
}

func prepare(path string, argv, env []string) (p program, err error) {
	if p.path, err = unix.BytePtrFromString(path); err != nil {
		return p, err
	}
	if p.argv, err = syscall.SlicePtrFromStrings(argv); err != nil {
		return p, err
	}
	p.env, err = syscall.SlicePtrFromStrings(env)
	return p, err
}

// execute returns only where it failed, and allocates nothing.
func (p *program) execute() unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(p.path)), uintptr(unsafe.Pointer(&p.argv[0])), uintptr(unsafe.Pointer(&p.env[0])))
	runtime.KeepAlive(p)
	return errno
}
