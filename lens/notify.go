package lens

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The structures of linux/seccomp.h, which package unix does not have.

// notification is struct seccomp_notif, 80 bytes, with its struct seccomp_data.
type notification struct {
	id         uint64
	pid, flags uint32 // pid is the thread's
	number     int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

// response is struct seccomp_notif_resp, 24 bytes.
type response struct {
	id    uint64
	value int64
	errno int32 // negative
	flags uint32
}

// addFD is struct seccomp_notif_addfd, 24 bytes.
type addFD struct {
	id                             uint64
	flags, source, place, newFlags uint32
}

// Requests that package unix does not have, by the same header.
const (
	notifIDValid  = 0x40082102
	notifAddFD    = 0x40182103
	notifSetFlags = 0x40082104
)

// ioctl is ioctl(2), again where it was interrupted: SIGSTOP and a freezer do that to
// a thread that blocks all signals, too.
func ioctl(fd int, request uint, arg unsafe.Pointer) (uintptr, unix.Errno) {
	for {
		value, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(arg))
		if errno != unix.EINTR {
			return value, errno
		}
	}
}

// install makes this thread, and every process that it forks from now on, ask a
// listener by the filter (seccomp(2)). The listener is close-on-exec. Who may not
// filter otherwise gives up gaining privileges by executing a program (prctl(2),
// PR_SET_NO_NEW_PRIVS).
//
// With WAIT_KILLABLE_RECV, of Linux 5.19, no signal interrupts a call that the
// listener has begun to answer: patient says so.
func install(filter []unix.SockFilter) (listener int, patient bool, err error) {
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	flags := uintptr(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	for gaveUp := false; ; {
		fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program)))
		switch {
		case errno == 0:
			return int(fd), flags&unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV != 0, nil
		case errno == unix.EACCES && !gaveUp:
			gaveUp = true
			if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
				return 0, false, fmt.Errorf("prctl(PR_SET_NO_NEW_PRIVS): %w", err)
			}
		case errno == unix.EINVAL && flags&unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV != 0:
			flags &^= unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
		case errno == unix.EBUSY:
			return 0, false, fmt.Errorf("another listener is asked about this container's system calls already: seccomp: %w", errno)
		default:
			return 0, false, fmt.Errorf("this kernel, or what stands for it, has no seccomp listeners: seccomp: %w", errno)
		}
	}
}

// prepare looks whether the listener can do what is needed, and has the kernel
// switch between who asks and who answers without a detour where it can (Linux 6.6).
func prepare(listener int) error {
	// No notification has the number 0: ENOENT is from a kernel that looked for it.
	probe := addFD{source: uint32(listener)}
	if _, errno := ioctl(listener, notifAddFD, unsafe.Pointer(&probe)); errno != unix.ENOENT {
		return fmt.Errorf("this kernel cannot put descriptors into another process, as Linux 5.9 does: SECCOMP_IOCTL_NOTIF_ADDFD: %w", errno)
	}
	// The argument is a number, and not where one is.
	_, _, _ = unix.RawSyscall(unix.SYS_IOCTL, uintptr(listener), notifSetFlags, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	return nil
}

// monotonic is CLOCK_MONOTONIC in nanoseconds.
func monotonic() int64 {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return 0
	}
	return now.Nano()
}
