package spawn

import (
	"errors"
	"fmt"
	"runtime"

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

// become runs the program at path in this process, whose thread is locked.
func become(path string, argv, env []string, ignored, blocked SignalSet, settings *Settings) error {
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
	if err := settings.apply(); err != nil {
		return fmt.Errorf("%v", err) // whatever its number says is not about the program
	}
	err := unix.Exec(path, argv, env)
	if errors.Is(err, unix.ENOEXEC) {
		err = unix.Exec("/bin/sh", append([]string{"sh", path}, argv[1:]...), env)
	}
	return err
}
