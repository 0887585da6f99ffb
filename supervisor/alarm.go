package supervisor

import (
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// alarm wakes the loop at a time of its choice: timerfd_create(2), watched by
// the Go runtime's poller. The runtime's own timers would do, but each of them
// also wakes the runtime's monitor thread, and an idle memsup is to be idle.
type alarm struct {
	rings chan struct{}
	fd    int // -1 before it was first set
	plain *time.Timer
}

// never is a time that is not waited for.
const never = time.Hour

// set lets the alarm ring once after d, and no more for what was set before.
func (a *alarm) set(d time.Duration) {
	if a.fd < 0 && a.plain == nil {
		if d >= never {
			return
		}
		a.open()
	}
	if a.plain != nil {
		a.plain.Reset(d)
		return
	}
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(1, d.Nanoseconds()))}
	unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(a.fd), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
}

func (a *alarm) open() {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		a.plain = time.AfterFunc(never, a.ring)
		return
	}
	a.fd = fd
	conn, err := os.NewFile(uintptr(fd), "timerfd").SyscallConn()
	if err != nil {
		a.plain = time.AfterFunc(never, a.ring)
		return
	}
	go func() {
		for conn.Read(wasRead) == nil {
			a.ring()
		}
	}()
}

// ring wakes the loop unless it is already woken.
func (a *alarm) ring() {
	select {
	case a.rings <- struct{}{}:
	default:
	}
}

// wasRead takes the timer's count. The call returns at once, as setting it
// does, so the scheduler, and with it the monitor thread, need not hear of it.
func wasRead(fd uintptr) bool {
	var count uint64
	_, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&count)), 8)
	return errno != unix.EAGAIN
}
