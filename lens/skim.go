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

// next waits for a call that is to be answered. On its way it lets those through that
// open a file of another name, and answers sysinfo(2) as before: nearly all there are. To
// wake the scheduler for each of them, in and out of a system call that waits, took twice
// as long. So the runtime is told of one system call, in which nothing may allocate, grow
// the stack, store a pointer or be instrumented.
//
//go:nosplit
//go:norace
func (h *handler) next() unix.Errno {
	enterSyscall()
	errno := h.skim()
	exitSyscall()
	return errno
}

// skim is next without that: ECANCELED is that another handler answers now. A call that it
// returns with 0 leaves turn odd, as being answered.
//
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
		if h.lens.unwatched.Load() {
			return 0
		}
		h.reply = response{id: h.call.id}
		switch {
		case h.again():
		case h.other(h.fetch()):
			h.reply.flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
		default:
			return 0
		}
		_ = h.ask(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&h.reply))
		h.turn.Add(1)
	}
	return unix.ECANCELED
}

// ask is ioctl, and does not tell the runtime that it may wait.
//
//go:nosplit
//go:norace
func (h *handler) ask(request uint, arg unsafe.Pointer) unix.Errno {
	for {
		_, _, errno := unix.RawSyscall6(unix.SYS_IOCTL, uintptr(h.lens.listener), uintptr(request), uintptr(arg), 0, 0, 0)
		if errno != unix.EINTR {
			return errno
		}
	}
}

// again fills the struct sysinfo that the call names as it did for the last one, where
// that is not long ago.
//
//go:nosplit
//go:norace
func (h *handler) again() bool {
	return uint32(h.call.number) == h.lens.machine.sysinfo && !h.lens.byFile && h.serving() &&
		h.ask(notifIDValid, unsafe.Pointer(&h.call.id)) == 0 && h.fill()
}

// serving tells whether info is still good.
//
//go:nosplit
//go:norace
func (h *handler) serving() bool {
	_, _, errno := unix.RawSyscall6(unix.SYS_CLOCK_GETTIME, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&h.clock)), 0, 0, 0, 0)
	return errno == 0 && h.clock.Sec*1e9+h.clock.Nsec < h.serves && h.lens.view.pictures.Load() == h.picture
}

// fill writes info where the call wants it, and tells whether all of it.
//
//go:nosplit
//go:norace
func (h *handler) fill() bool {
	h.across(h.call.args[0], int(h.filled.Len))
	n, _, errno := unix.RawSyscall6(unix.SYS_PROCESS_VM_WRITEV, uintptr(h.call.pid),
		uintptr(unsafe.Pointer(&h.filled)), 1, uintptr(unsafe.Pointer(&h.remote)), 2, 0)
	return errno == 0 && n == uintptr(h.filled.Len)
}

// fetch reads the name of the file that the call opens, as far as it is there, and tells
// how many bytes; 0 where the call opens none.
//
//go:nosplit
//go:norace
func (h *handler) fetch() int {
	c := &h.call
	var address uint64
	switch m := &h.lens.machine; uint32(c.number) {
	case m.openat:
		address = c.args[1]
	case m.open:
		address = c.args[0]
	default:
		return 0
	}
	if h.lens.byFile {
		return 0
	}
	h.across(address, len(h.name))
	n, _, errno := unix.RawSyscall6(unix.SYS_PROCESS_VM_READV, uintptr(c.pid),
		uintptr(unsafe.Pointer(&h.local)), 1, uintptr(unsafe.Pointer(&h.remote)), 2, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// other tells whether the first n bytes of name are known to name no document.
//
//go:nosplit
//go:norace
func (h *handler) other(n int) bool {
	base := 0
	for i := range min(n, len(h.name)) {
		switch h.name[i] {
		case '/':
			base = i + 1
		case 0:
			return h.lens.view.named(h.name[base:i]) == nil
		}
	}
	return n == len(h.name) // longer than any that matters
}
