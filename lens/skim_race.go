//go:build race

package lens

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// next waits for a call. The race detector cannot follow what next does otherwise.
func (h *handler) next() unix.Errno {
	for {
		h.call = notification{} // the kernel insists on it
		_, errno := ioctl(h.lens.listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&h.call))
		if errno == 0 {
			h.turn.Add(1)
		}
		if errno != unix.ENOENT { // who asked is gone
			return errno
		}
	}
}
