//go:build !race

package lens

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// enterSyscall and exitSyscall are what the Go runtime does around a system call that
// may wait: in between the thread counts as being in the kernel.
//
//go:linkname enterSyscall runtime.entersyscall
func enterSyscall()

//go:linkname exitSyscall runtime.exitsyscall
func exitSyscall()

// next waits for a call that is to be answered, and lets those through on its way that
// open a file of another name. They are nearly all there are, and to wake the
// scheduler for each of them, in and out of a system call that waits, took a fifth as
// long as all the rest. So the runtime is told of one system call, in which nothing may
// allocate, grow the stack, store a pointer, or be instrumented.
//
//go:nosplit
//go:norace
func (h *handler) next() unix.Errno {
	enterSyscall()
	errno := h.skim()
	exitSyscall()
	return errno
}

//go:nosplit
//go:norace
func (h *handler) skim() unix.Errno {
	for !h.relieved.Load() {
		h.call = notification{} // the kernel insists on it
		switch errno := h.ask(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&h.call)); errno {
		case 0:
		case unix.ENOENT: // who asked is gone
			continue
		default:
			return errno
		}
		h.turn.Add(1)
		if h.lens.unwatched.Load() || !h.other() {
			return 0
		}
		h.through = response{id: h.call.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		_ = h.ask(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&h.through))
		h.turn.Add(1)
	}
	return unix.ECANCELED
}

// ask is ioctl.
//
//go:nosplit
//go:norace
func (h *handler) ask(request uint, arg unsafe.Pointer) unix.Errno {
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(h.lens.listener), uintptr(request), uintptr(arg))
		if errno != unix.EINTR {
			return errno
		}
	}
}

// other tells whether the call opens a file whose name is known to be none of a
// document's.
//
//go:nosplit
//go:norace
func (h *handler) other() bool {
	c := &h.call
	var address uint64
	switch m := &h.lens.machine; uint32(c.number) {
	case m.openat:
		address = c.args[1]
	case m.open:
		address = c.args[0]
	default:
		return false
	}
	if h.lens.byFile || h.now != h.own {
		return false
	}
	h.across(address, len(h.name))
	n, _, errno := unix.RawSyscall6(unix.SYS_PROCESS_VM_READV, uintptr(c.pid),
		uintptr(unsafe.Pointer(&h.local)), 1, uintptr(unsafe.Pointer(&h.remote)), 2, 0)
	if errno != 0 {
		return false
	}
	base := 0
	for i := range min(int(n), len(h.name)) {
		switch h.name[i] {
		case '/':
			base = i + 1
		case 0:
			return h.lens.view.named(h.name[base:i]) == nil
		}
	}
	return int(n) == len(h.name) // longer than any that matters
}
