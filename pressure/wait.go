package pressure

import (
	"errors"
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// heard is a file of the cgroup that the kernel speaks through.
type heard struct {
	source Source
	rung   string
	path   string
	fd     int               // what is polled: the file itself or an eventfd
	file   int               // what is read to see whether the cgroup is still there; -1 for a trigger
	poll   *os.File          // an epoll instance with fd in it
	notes  *fsnotify.Watcher // in place of poll, where fd cannot be polled
	ended  bool              // fd and file are closed
}

// hear begins to listen to h, which speaks with the given event. On an error
// h's descriptors remain the caller's.
//
// The Go runtime does not ask for EPOLLPRI, with which these files speak. So each
// is in an epoll instance that asks for it, and the runtime's poller waits for the
// instance: no thread is blocked, and a deadline ends the wait. The runtime waits
// for edges, so a file that is ready for ever, as one that has vanished is, does
// not keep anybody busy.
func (w *Watcher) hear(h *heard, event uint32) error {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	if err = unix.SetNonblock(ep, true); err == nil { // else os.NewFile would not have it polled
		err = unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, h.fd, &unix.EpollEvent{Events: event})
	}
	if err != nil {
		unix.Close(ep)
		return err
	}
	h.poll = os.NewFile(uintptr(ep), h.path)
	conn, err := h.poll.SyscallConn()
	if err == nil {
		err = h.poll.SetReadDeadline(time.Time{}) // fails where the runtime cannot poll it
	}
	if err != nil {
		h.poll.Close()
		return err
	}
	w.heard = append(w.heard, h)
	w.listeners.Go(func() {
		first := true
		// The function is called once at first and then after each edge, until
		// it says that this is over, or end does.
		_ = conn.Read(func(ep uintptr) bool {
			spoke, events := epollNow(ep)
			over := w.turn(h, spoke, events, first)
			first = false
			return over
		})
		h.poll.Close()
	})
	return nil
}

// turn takes what h said and passes it on, and says whether that was its last.
func (w *Watcher) turn(h *heard, spoke bool, events uint32, first bool) (over bool) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case h.ended:
		return true
	case h.source == Stall:
		// A trigger shows an event to whoever polls it first, and that was the kernel
		// when the runtime asked whether the instance is ready. So the edge is the
		// event. EPOLLERR is there only when the cgroup is removed.
		if events&unix.EPOLLERR != 0 {
			w.lose(now)
			return true
		}
		if first && !spoke || !w.stalled() {
			return false
		}
	case !spoke:
		return false
	default:
		if h.take() != nil {
			w.lose(now)
			return true
		}
	}
	w.tell(Wake{At: now, Source: h.source})
	return false
}

// lose lets go of all files of a cgroup that was removed, and says so. The kernel
// wakes those who wait for a trigger or an eventfd then, but not those who wait for
// memory.events.
func (w *Watcher) lose(now time.Time) {
	for _, h := range w.heard {
		w.miss(h.rung, h.path, errGone)
		h.end()
	}
	w.heard = nil
	w.tell(Wake{At: now, Source: Gone})
}

var errGone = errors.New("it has vanished")

// tell puts a wake into the channel, merged with one that nobody took. Whoever
// tells holds the lock, so there is room.
func (w *Watcher) tell(k Wake) {
	select {
	case old := <-w.wakes:
		k.At = old.At
		k.Source |= old.Source
	default:
	}
	w.wakes <- k
}

// take makes h ready to speak again. The error is that it never will: the files of
// a removed cgroup answer ENODEV.
func (h *heard) take() error {
	if h.file != h.fd {
		var count uint64 // of an eventfd
		_, _, _ = unix.RawSyscall(unix.SYS_READ, uintptr(h.fd), uintptr(unsafe.Pointer(&count)), 8)
	}
	// This arms the next notification of memory.events. memory.pressure_level has
	// no text, which some kernels call EINVAL.
	var buf [textSize]byte
	if _, err := pread(h.file, &buf); err != nil && err != syscall.EINVAL {
		return err
	}
	return nil
}

// end closes h, and its goroutine with it.
func (h *heard) end() {
	h.ended = true
	if h.notes != nil {
		_ = h.notes.Close()
		h.close()
		return
	}
	_ = h.poll.SetReadDeadline(time.Unix(1, 0)) // long past
	h.close()
}

func (h *heard) close() {
	unix.Close(h.fd)
	if h.file >= 0 && h.file != h.fd {
		unix.Close(h.file)
	}
}

// epollNow asks what has happened without waiting for it, and so without telling
// the Go scheduler, which would wake its monitor thread.
func epollNow(ep uintptr) (spoke bool, events uint32) {
	var e unix.EpollEvent
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, ep, uintptr(unsafe.Pointer(&e)), 1, 0, 0, 0)
	return errno == 0 && n == 1, e.Events
}

// textSize is room for the text of each file that is read here, in bytes.
const textSize = 512

// pread reads the file from its start. The kernel makes these texts in memory
// and waits for no device.
func pread(fd int, buf *[textSize]byte) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(buf)), textSize, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// open opens a file for this process alone, without waiting where it is a pipe.
// The error is the bare cause.
func open(path string, flags int) (int, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}
