package lens

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// run is the kernel's part of a filter, for those instructions that there are.
func run(t *testing.T, program []unix.SockFilter, arch, number uint32, args ...uint64) (notifies bool) {
	t.Helper()
	var data [64]byte // struct seccomp_data
	binary.LittleEndian.PutUint32(data[0:], number)
	binary.LittleEndian.PutUint32(data[4:], arch)
	for i, arg := range args {
		binary.LittleEndian.PutUint64(data[16+8*i:], arg)
	}
	var a uint32
	for pc, steps := 0, 0; steps < 100; steps++ {
		i := program[pc]
		pc++
		var jump bool
		switch i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = binary.LittleEndian.Uint32(data[i.K:])
			continue
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(i.K)
			continue
		case unix.BPF_RET | unix.BPF_K:
			switch i.K {
			case unix.SECCOMP_RET_ALLOW:
				return false
			case unix.SECCOMP_RET_USER_NOTIF:
				return true
			}
			t.Fatalf("it returns %#x", i.K)
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			jump = a == i.K
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			jump = a&i.K != 0
		default:
			t.Fatalf("instruction %d is %+v", pc-1, i)
		}
		if jump {
			pc += int(i.Jt)
		} else {
			pc += int(i.Jf)
		}
	}
	t.Fatal("it does not end")
	return false
}

// The flags as asm/fcntl.h of each architecture has them.
const (
	rdonly, wronly, rdwr = 0, 1, 2
	creat, trunc         = 0x40, 0x200
	cloexec, opath       = 0x80000, 0x200000
	nofollowX86          = 0x20000
	nofollowARM          = 0x8000
	tmpfileX86           = 0x400000 | 0x10000
	tmpfileARM           = 0x400000 | 0x4000
)

func TestFilter(t *testing.T) {
	const high = 0xdead << 32 // what no flag is in
	at := uint64(0xffffff9c)  // AT_FDCWD
	for _, test := range []struct {
		name              string
		machine           machine
		number            uint32
		args              []uint64
		exact, wide, bind bool
	}{
		{"sysinfo", amd64, 99, nil, true, true, true},
		{"sysinfo, arm64", arm64, 179, nil, true, true, true},
		{"arm64's number", amd64, 179, nil, false, false, false},
		{"open", amd64, 2, []uint64{1, rdonly}, true, true, false},
		{"open, with a mode that says nothing", amd64, 2, []uint64{1, rdonly, 0o644}, true, true, false},
		{"open, musl", amd64, 2, []uint64{1, 0x8000}, true, true, false},
		{"open, high word", amd64, 2, []uint64{1, high}, true, true, false},
		{"open to write", amd64, 2, []uint64{1, wronly}, false, false, false},
		{"io_setup has the number 0", arm64, 0, []uint64{0, 0}, false, false, false},
		{"openat", amd64, 257, []uint64{at, 1, rdonly}, true, true, false},
		{"openat, arm64", arm64, 56, []uint64{at, 1, rdonly}, true, true, false},
		{"openat, musl", amd64, 257, []uint64{at, 1, 0x8000}, true, true, false},
		{"openat, musl, arm64", arm64, 56, []uint64{at, 1, 0x20000}, true, true, false},
		{"O_NOFOLLOW of arm64 is no O_LARGEFILE", arm64, 56, []uint64{at, 1, nofollowARM}, false, true, false},
		{"O_NOFOLLOW", amd64, 257, []uint64{at, 1, nofollowX86}, false, true, false},
		{"close-on-exec", amd64, 257, []uint64{at, 1, cloexec}, false, true, false},
		{"close-on-exec, arm64", arm64, 56, []uint64{at, 1, cloexec | 0x20000}, false, true, false},
		{"a directory", amd64, 257, []uint64{at, 1, cloexec | 0x10000}, false, false, false},
		{"a directory, arm64", arm64, 56, []uint64{at, 1, cloexec | 0x4000}, false, false, false},
		{"O_DIRECT", amd64, 257, []uint64{at, 1, 0x4000}, false, false, false},
		{"O_DIRECT, arm64", arm64, 56, []uint64{at, 1, 0x10000}, false, false, false},
		{"O_PATH", amd64, 257, []uint64{at, 1, opath}, false, false, false},
		{"O_TMPFILE", amd64, 257, []uint64{at, 1, tmpfileX86}, false, false, false},
		{"O_TMPFILE, arm64", arm64, 56, []uint64{at, 1, tmpfileARM}, false, false, false},
		{"to read and write", amd64, 257, []uint64{at, 1, rdwr}, false, false, false},
		{"to create", amd64, 257, []uint64{at, 1, creat | cloexec}, false, false, false},
		{"to cut off", amd64, 257, []uint64{at, 1, trunc}, false, false, false},
		{"openat2", amd64, 437, []uint64{at, 1, 1, 24}, false, true, false},
		{"openat2, arm64", arm64, 437, []uint64{at, 1, 1, 24}, false, true, false},
		{"read", amd64, 0, []uint64{0, 0, 0}, false, false, false},
		{"open of x32", amd64, 0x40000000 | 2, []uint64{1, rdonly}, false, false, false},
	} {
		for mode, want := range map[Mode]bool{Exact: test.exact, Wide: test.wide, Bind: test.bind} {
			if got := run(t, test.machine.filter(mode), test.machine.arch, test.number, test.args...); got != want {
				t.Errorf("%s, %s: the listener is asked: %v, not %v", test.name, mode, got, want)
			}
			// i386 has 5 for open, 116 for sysinfo and 295 for openat, but a call of an
			// architecture that this is not is let through whatever its number.
			if run(t, test.machine.filter(mode), unix.AUDIT_ARCH_I386, test.number, test.args...) {
				t.Errorf("%s, %s: the listener is asked about a call of another architecture", test.name, mode)
			}
		}
	}
}

// TestFlags: the flags of the machine that this runs on are those of package unix.
func TestFlags(t *testing.T) {
	m, ok := native()
	if !ok {
		t.Skip("no lens for this architecture")
	}
	// O_LARGEFILE is 0 in package unix where it changes nothing.
	if m.direct != unix.O_DIRECT || m.directory != unix.O_DIRECTORY || m.sysinfo != unix.SYS_SYSINFO || m.openat != unix.SYS_OPENAT || m.openat2 != unix.SYS_OPENAT2 {
		t.Errorf("%+v is not this machine", m)
	}
}
