// Package reaper waits for children, asked-for and inherited alike, and
// reports how each one ended. It is a few functions that the supervisor's loop
// calls; nothing here runs by itself.
//
// No other wait may run in the process: os/exec's and a wait for every child
// would steal each other's statuses.
package reaper

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Reap collects every child that has ended by now and calls ended for each.
// Just before a child is collected, while its pid and its process group's id
// cannot yet belong to anyone else, before is called with its pid; nil leaves
// that out.
//
// remaining says whether any child is left, ended or not.
func Reap(before func(pid int), ended func(pid int, status unix.WaitStatus)) (remaining bool, err error) {
	for {
		next := -1
		if before != nil {
			next, err = peek()
			if next <= 0 {
				return err == nil, ignoreNoChild(err)
			}
			before(next)
		}
		status, pid, err := collect(next)
		if pid <= 0 {
			return err == nil, ignoreNoChild(err)
		}
		ended(pid, status)
	}
}

// siginfo is the part of siginfo_t that waitid(2) fills for a child.
type siginfo struct {
	signo, errno, code int32
	_                  int32
	pid                int32
	_                  [108]byte
}

// The calls below return at once, so the Go scheduler is not told of them: it
// would wake a second thread to take over meanwhile, for each of thousands.

// collect is wait4(2) without waiting; 0 where no child has ended.
func collect(which int) (status unix.WaitStatus, pid int, err error) {
	var raw int32
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_WAIT4, uintptr(which), uintptr(unsafe.Pointer(&raw)), unix.WNOHANG, 0, 0, 0)
		switch errno {
		case 0:
			return unix.WaitStatus(raw), int(n), nil
		case unix.EINTR:
		default:
			return 0, 0, errno
		}
	}
}

// peek finds a child that has ended without collecting it; 0 where none has.
func peek() (pid int, err error) {
	var info siginfo
	for {
		_, _, errno := unix.RawSyscall6(unix.SYS_WAITID, unix.P_ALL, 0, uintptr(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, 0, 0)
		switch errno {
		case 0:
			return int(info.pid), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

func ignoreNoChild(err error) error {
	if errors.Is(err, unix.ECHILD) {
		return nil
	}
	return err
}

// Await waits until some child has ended and was not yet collected or, where
// stopped asks for it, was stopped by a signal. It collects nothing. Without a
// child it returns at once; the error is that waitid(2) is refused.
func Await(stopped bool) error {
	options := unix.WEXITED | unix.WNOWAIT
	if stopped {
		options |= unix.WSTOPPED
	}
	for {
		err := unix.Waitid(unix.P_ALL, 0, nil, options, nil)
		if err != unix.EINTR {
			return ignoreNoChild(err)
		}
	}
}

// Silence gives SIGCHLD back its default action, which is nothing: the kernel
// drops it where it arises. Whoever waits with Await has no need of it, and the
// Go runtime would run a handler for each child that ends.
func Silence() {
	var action [4]uint64 // SIG_DFL, no flags, an empty mask
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
}

// Stopped reports one child that was stopped by a signal (a terminal's Ctrl-Z)
// and not yet reported.
func Stopped() (pid int, stopped bool) {
	var info siginfo
	err := unix.Waitid(unix.P_ALL, 0, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WSTOPPED|unix.WNOHANG, nil)
	return int(info.pid), err == nil && info.pid != 0
}

// BecomeSubreaper makes orphaned descendants the children of this process
// rather than of PID 1: PR_SET_CHILD_SUBREAPER, Linux 3.4.
func BecomeSubreaper() error {
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// IsSubreaper says whether this process is one already.
func IsSubreaper() bool {
	var on int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&on)), 0, 0, 0)
	return err == nil && on != 0
}
