// Package trap catches signals by the self-pipe trick: its handler writes each
// signal's number to a pipe. os/signal, which hands two threads over for each
// signal that it is asked for, needs longer for all of them than a short
// command takes to run, and drops what comes when a channel is full.
//
// Synchronous faults, and what the Go runtime uses itself (SIGURG, SIGPROF),
// are os/signal's.
package trap

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of the assembly: the handler, its way back where the kernel has none of its
// own (amd64), and the descriptor that it writes to.
var (
	handlerPC  uintptr
	restorerPC uintptr
	writeEnd   int32 //lint:ignore U1000 the assembly uses it
)

// sigaction is the kernel's struct (include/linux/signal_types.h).
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

const (
	saSiginfo  = 0x4
	saRestorer = 0x04000000
	saOnStack  = 0x08000000
	saRestart  = 0x10000000
)

// Signals sends each of sigs that comes from now on to c, as often as the
// kernel delivers it; up to 64 Ki of them wait for a receiver that is slow. A
// signal that this process was started with blocked is caught as well. Signals
// is called once in a process, and for good.
//
// An error is the kernel's from pipe2(2) or sigaction(2).
func Signals(c chan<- unix.Signal, sigs ...unix.Signal) error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return fmt.Errorf("catch signals: pipe: %w", err)
	}
	writeEnd = int32(pipe[1])
	act := sigaction{handler: handlerPC, flags: saSiginfo | saOnStack | saRestart, mask: ^uint64(0)}
	if restorerPC != 0 {
		act.flags |= saRestorer
		act.restorer = restorerPC
	}
	var caught uint64
	for _, sig := range sigs {
		if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&act)), 0, 8, 0, 0); errno != 0 {
			return fmt.Errorf("catch %s: %w", unix.SignalName(sig), errno)
		}
		caught |= 1 << (sig - 1)
	}
	go receive(os.NewFile(uintptr(pipe[0]), "signals"), c, caught)
	return nil
}

func receive(pipe *os.File, c chan<- unix.Signal, caught uint64) {
	var blocked uint64
	sigmask(unix.SIG_BLOCK, nil, &blocked)
	if blocked&caught != 0 {
		// This thread is then the one that the kernel delivers them to.
		runtime.LockOSThread()
		sigmask(unix.SIG_UNBLOCK, &caught, nil)
	}
	var numbers [64]byte
	for {
		n, err := pipe.Read(numbers[:])
		if err != nil {
			return // nobody closes it
		}
		for _, number := range numbers[:n] {
			c <- unix.Signal(number)
		}
	}
}

func sigmask(how int, set, old *uint64) {
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, uintptr(how), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
}
