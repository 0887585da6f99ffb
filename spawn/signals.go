package spawn

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// SignalSet is a set of signals as the kernel keeps one: bit n-1 is signal n.
type SignalSet uint64

// Has says whether the set holds sig.
func (s SignalSet) Has(sig unix.Signal) bool { return s&bit(sig) != 0 }

func bit(sig unix.Signal) SignalSet { return 1 << (uint(sig) - 1) }

// Written by entry, before the Go runtime runs; scratch is its own.
var (
	scratch        [4]uint64 //lint:ignore U1000 entry uses it
	ignoredAtEntry SignalSet
	blockedAtEntry SignalSet
	entered        uint64
)

// entry is the program's entry point in binaries linked for it.
//
//lint:ignore U1000 the linker is told of it
func entry()

// The Go runtime replaces the disposition of every signal but these, so they
// are all that can be known where the binary was not linked with spawn.entry.
var left = [...]unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGCONT}

// untouched are the signals that the C libraries keep for themselves and set
// before they use them. glibc's posix_spawn starts programs with the first two
// ignored, which is no reason for a shim: 32 and 34 are inherited past the Go
// runtime, and 33 the runtime takes.
const untouched SignalSet = 1<<31 | 1<<32 | 1<<33 // 32, 33, 34

// Ignored and Blocked are the signals that memsup itself was started with
// ignored and blocked. Its children inherit exactly these.
var Ignored, Blocked = inherited()

func inherited() (ignored, blocked SignalSet) {
	if entered != 0 {
		return ignoredAtEntry, blockedAtEntry
	}
	for _, sig := range left {
		var act sigaction
		rtSigaction(sig, nil, &act)
		if act.handler == sigIgn {
			ignored |= bit(sig)
		}
	}
	sigprocmask(unix.SIG_BLOCK, nil, &blocked)
	return ignored, blocked
}

const sigIgn = 1

// sigaction is the kernel's struct, not the C library's; the members behind
// flags differ between architectures and fit within it.
type sigaction struct {
	handler uintptr
	flags   uint64
	rest    [2]uint64
}

func rtSigaction(sig unix.Signal, set, old *sigaction) {
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
}

func sigprocmask(how int, set, old *SignalSet) {
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, uintptr(how), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
}
