package supervisor

import (
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/policy"
)

// relay tells workers that memory is short, in systemd's memory pressure
// protocol (https://systemd.io/MEMORY_PRESSURE): MEMORY_PRESSURE_WATCH is the
// path of a unix stream socket on which something arrives whenever memory is
// to be given back. Workers read and discard it. MEMORY_PRESSURE_WRITE is not
// set: there is nothing that they would have to say first.
//
// It needs no goroutine. Connecting does not wait for accept(2), so clients are
// let in when the loop looks at memory and before they are told. What they
// write is never read: the size of their own socket's buffer bounds it. A nil
// relay tells nobody.
type relay struct {
	path    string
	fd      int
	seats   int   // the most clients
	clients []int // their descriptors
	polled  []unix.PollFd
	told    time.Duration // when, on the loop's clock
	quiet   bool          // told is set
	stalled bool          // PSI says so, and they are not told yet
}

// relaySeats is how many clients are told. Where few descriptors may be open
// they get a quarter of them: starting workers needs some as well.
const relaySeats = 256

// relayRest is the least time between two bytes to the same client. It reads
// them without counting, and dropping caches again at once gives nothing.
const relayRest = time.Second

// openRelay opens the socket beside the control socket, whose directory it
// shares: its path with .pressure after it. That it cannot is one line of log,
// and workers are not given its path.
func (s *supervisor) openRelay() {
	control := s.control.socket()
	if control == "" {
		return
	}
	seats := relaySeats
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil {
		seats = int(min(uint64(seats), files.Cur/4))
	}
	r, err := newRelay(control+".pressure", seats)
	if err != nil {
		s.log.warn("no memory pressure socket: workers are not told when memory is short", "error", err)
		return
	}
	s.relay = r
}

// newRelay listens on path, made absolute and clean, as clients insist on.
func newRelay(path string, seats int) (*relay, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	fd, err := listenUnix(path, false)
	if err != nil {
		return nil, err
	}
	// As many may wait to be let in: who finds the queue full is refused, or
	// waits for it.
	_ = unix.Listen(fd, relaySeats)
	return &relay{path: path, fd: fd, seats: seats}, nil
}

func (r *relay) socket() string {
	if r == nil {
		return ""
	}
	return r.path
}

// stall has clients told of a stall, when what cannot wait has been done.
func (r *relay) stall() {
	if r != nil {
		r.stalled = true
	}
}

// warnWorkers has the workers told that memory runs out, that tasks stall for
// it, or that one of them is about to be stopped, before it is.
func (s *supervisor) warnWorkers(now time.Duration, actions []policy.Action) {
	r := s.relay
	if r == nil {
		return
	}
	r.admit()
	stops := !s.c.Observe && slices.ContainsFunc(actions, func(a policy.Action) bool { return a.Kind != policy.Up })
	if r.stalled || stops || s.policy.Tight() {
		r.tell(now)
	}
	r.stalled = false
}

// tell sends every client a byte, a newline for those that read lines, though
// not within a second of the last one. It never waits: a client whose buffer is
// full has been told often enough, and one that is gone is dropped.
func (r *relay) tell(now time.Duration) {
	if r.quiet && now-r.told < relayRest {
		return
	}
	r.told, r.quiet = now, true
	r.admit()
	r.keep(func(_, fd int) bool {
		err := unix.Send(fd, []byte{'\n'}, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		return err == nil || err == unix.EAGAIN || err == unix.EINTR || err == unix.ENOBUFS || err == unix.ENOMEM
	})
}

// admit lets in who has connected, as far as there are seats, and turns the
// others away. Newcomers follow workers that ended, so their seats are freed
// first. So many at a time: one who keeps connecting does not keep the loop.
func (r *relay) admit() {
	for n := range relaySeats {
		// It returns at once, at every look: the Go scheduler, which would wake
		// its monitor thread for it, is not told.
		accepted, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(r.fd), 0, 0, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0, 0)
		if errno != 0 {
			return // nobody is there, or no descriptor is free: next time
		}
		fd := int(accepted)
		if n == 0 {
			r.sweep()
		}
		if len(r.clients) >= r.seats {
			unix.Close(fd)
			continue
		}
		// The smallest send buffer holds a few bytes, each of which costs the
		// container a buffer of the kernel's until it is read.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1)
		r.clients = append(r.clients, fd)
	}
}

// sweep drops the clients that are gone: poll(2) says POLLHUP of a socket whose
// other end was closed, whatever that one wrote before.
func (r *relay) sweep() {
	r.polled = r.polled[:0]
	for _, fd := range r.clients {
		r.polled = append(r.polled, unix.PollFd{Fd: int32(fd)})
	}
	if n, err := unix.Poll(r.polled, 0); err != nil || n == 0 {
		return
	}
	r.keep(func(i, _ int) bool { return r.polled[i].Revents == 0 })
}

// keep closes all clients but those that are to stay.
func (r *relay) keep(stays func(i, fd int) bool) {
	kept := r.clients[:0]
	for i, fd := range r.clients {
		if stays(i, fd) {
			kept = append(kept, fd)
		} else {
			unix.Close(fd)
		}
	}
	r.clients = kept
}

// close removes the socket; clients see its end when memsup's comes.
func (r *relay) close() {
	if r == nil {
		return
	}
	_ = unix.Unlink(r.path)
}
