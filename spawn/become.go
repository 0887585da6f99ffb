package spawn

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Become runs a program in this process, with the signals that it was started with.
// Argv[0] is looked up in env's PATH. It returns, with an *Error, only where that
// cannot be.
func Become(argv, env []string) error {
	search, set := Getenv(env, "PATH")
	path, err := lookPath(argv[0], search, set)
	if err == nil {
		err = become(path, argv, env, Ignored, Blocked)
	}
	return &Error{argv[0], err}
}

// become runs the program at path in this process.
func become(path string, argv, env []string, ignored, blocked SignalSet) error {
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
	err := unix.Exec(path, argv, env)
	if errors.Is(err, unix.ENOEXEC) {
		err = unix.Exec("/bin/sh", append([]string{"sh", path}, argv[1:]...), env)
	}
	return err
}
