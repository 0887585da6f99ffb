package cost

import (
	"bytes"
	"time"
)

// tick is the unit of times in stat: 1/USER_HZ, which is 100 on every
// architecture that Go runs on.
const tick = 10 * time.Millisecond

// A stat is what /proc/PID/stat says of one process (proc_pid_stat(5)).
type stat struct {
	pid    int
	ppid   int
	pgrp   int
	start  uint64 // clock ticks since boot
	ticks  int64  // utime + stime + cutime + cstime
	ended  bool   // a zombie
	kernel bool   // a kernel thread
	forked bool   // it was forked and has not called execve(2) since
	active bool   // its first thread runs, waits for a CPU (R) or sleeps uninterruptibly (D)
	single bool   // it has no other thread
}

// parseStat reads all but the pid. The command's name may hold anything, spaces
// and parentheses included: it ends at the last one.
func parseStat(b []byte) (s stat, ok bool) {
	i := bytes.LastIndexByte(b, ')')
	b = b[i+1:]
	if i < 0 || len(b) < 3 || b[0] != ' ' || b[2] != ' ' {
		return stat{}, false
	}
	s.ended = b[1] == 'Z' || b[1] == 'X' || b[1] == 'x'
	s.active = b[1] == 'R' || b[1] == 'D'
	b = b[3:]
	for field := 4; field <= 22; field++ {
		var n int64
		n, b, ok = decimal(b)
		switch field {
		case 4:
			s.ppid = int(n)
		case 5:
			s.pgrp = int(n)
		case 9:
			const kthread, forkNoExec = 0x0020_0000, 0x0000_0040 // PF_KTHREAD, PF_FORKNOEXEC
			s.kernel, s.forked = n&kthread != 0, n&forkNoExec != 0
		case 14, 15, 16, 17:
			s.ticks += n
		case 20:
			s.single = n == 1
		case 22:
			s.start = uint64(n)
		default: // not wanted, and some may be negative
			i := bytes.IndexByte(b, ' ')
			if i < 0 {
				return stat{}, false
			}
			b, ok = b[i:], true
		}
		if !ok || len(b) == 0 || b[0] != ' ' {
			return stat{}, false
		}
		b = b[1:]
	}
	return s, true
}
