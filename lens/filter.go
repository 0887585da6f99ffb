package lens

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// machine is what differs between the architectures: AUDIT_ARCH_* of linux/audit.h,
// the numbers of system calls, and those flags of open(2) that asm/fcntl.h may
// redefine.
type machine struct {
	arch                           uint32
	sysinfo, open, openat, openat2 uint32
	direct, largefile, directory   uint32
}

// none is the number of a system call that the architecture does not have.
const none = ^uint32(0)

var (
	amd64 = machine{
		arch: unix.AUDIT_ARCH_X86_64, sysinfo: 99, open: 2, openat: 257, openat2: 437,
		direct: 0x4000, largefile: 0x8000, directory: 0x10000,
	}
	arm64 = machine{
		arch: unix.AUDIT_ARCH_AARCH64, sysinfo: 179, open: none, openat: 56, openat2: 437,
		direct: 0x10000, largefile: 0x20000, directory: 0x4000,
	}
)

// native is the machine that this is.
func native() (machine, bool) {
	switch runtime.GOARCH {
	case "amd64":
		return amd64, true
	case "arm64":
		return arm64, true
	}
	return machine{}, false
}

// notPlain are the flags of an open that reads no file, or not only. O_TMPFILE holds
// O_DIRECTORY, so one of them is enough.
func (m *machine) notPlain() uint32 {
	return unix.O_ACCMODE | unix.O_CREAT | unix.O_EXCL | unix.O_TRUNC | unix.O_APPEND | unix.O_ASYNC |
		unix.O_PATH | m.direct | m.directory
}

// The offsets of struct seccomp_data (linux/seccomp.h). Flags are in an argument's
// low word, which is the first one on both machines.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

// filter is the program of seccomp(2) for a mode: it has the listener asked about
// sysinfo(2), and about those opens that the mode answers, and lets all else
// through. So it does every call of another architecture, which has other numbers
// and structures: 32-bit programs, and x32, whose numbers have a bit of their own.
func (m *machine) filter(mode Mode) []unix.SockFilter {
	var a assembler
	a.load(offsetArch)
	a.unless(m.arch, "allow")
	a.load(offsetNumber)
	a.when(m.sysinfo, "notify")
	if mode == Exact || mode == Wide {
		if m.open != none {
			a.when(m.open, "open")
		}
		a.when(m.openat, "openat")
		if mode == Wide {
			a.when(m.openat2, "notify") // its flags are in memory
		}
		a.jump("allow")
		a.label("open")
		a.load(offsetArgs + 8*1)
		a.jump("flags")
		a.label("openat")
		a.load(offsetArgs + 8*2)
		a.label("flags")
		if mode == Wide {
			a.whenAny(m.notPlain(), "allow")
			a.jump("notify")
		} else { // 64-bit programs of musl give O_LARGEFILE
			a.when(unix.O_RDONLY, "notify")
			a.when(m.largefile, "notify")
		}
	}
	a.label("allow")
	a.answer(unix.SECCOMP_RET_ALLOW)
	a.label("notify")
	a.answer(unix.SECCOMP_RET_USER_NOTIF)
	return a.program()
}

// assembler makes a classic BPF program out of steps that jump to labels further
// down, by less than 256 instructions.
type assembler struct {
	code   []unix.SockFilter
	jumps  []jump
	labels map[string]int
}

// jump is an instruction that goes to a label.
type jump struct {
	at    int
	field func(*unix.SockFilter, int)
	to    string
}

func (a *assembler) add(code uint16, k uint32) {
	a.code = append(a.code, unix.SockFilter{Code: code, K: k})
}

func (a *assembler) load(offset uint32) { a.add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offset) }
func (a *assembler) answer(what uint32) { a.add(unix.BPF_RET|unix.BPF_K, what) }

func (a *assembler) to(label string, field func(*unix.SockFilter, int)) {
	a.jumps = append(a.jumps, jump{len(a.code) - 1, field, label})
}

func (a *assembler) jump(label string) {
	a.add(unix.BPF_JMP|unix.BPF_JA, 0)
	a.to(label, func(i *unix.SockFilter, n int) { i.K = uint32(n) })
}

func ifTrue(i *unix.SockFilter, n int)  { i.Jt = uint8(n) }
func ifFalse(i *unix.SockFilter, n int) { i.Jf = uint8(n) }

// when jumps where what was loaded is k, unless where it is not, whenAny where they
// have a bit in common.
func (a *assembler) when(k uint32, label string) {
	a.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, k)
	a.to(label, ifTrue)
}

func (a *assembler) unless(k uint32, label string) {
	a.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, k)
	a.to(label, ifFalse)
}

func (a *assembler) whenAny(k uint32, label string) {
	a.add(unix.BPF_JMP|unix.BPF_JSET|unix.BPF_K, k)
	a.to(label, ifTrue)
}

func (a *assembler) label(name string) {
	if a.labels == nil {
		a.labels = map[string]int{}
	}
	a.labels[name] = len(a.code)
}

func (a *assembler) program() []unix.SockFilter {
	for _, j := range a.jumps {
		j.field(&a.code[j.at], a.labels[j.to]-j.at-1)
	}
	return a.code
}
