package budget

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// procfs is a fake /proc, and the source over it with a clock that goes on by step
// with each glance.
type procfs struct {
	*processes
	t    *testing.T
	time time.Time
	step time.Duration
}

func newProcfs(t *testing.T, step time.Duration) *procfs {
	p := &procfs{processes: newProcesses(t.TempDir()), t: t, time: time.Unix(1e9, 0), step: step}
	p.clock = func() time.Time {
		p.time = p.time.Add(p.step)
		return p.time
	}
	return p
}

// process makes one, of so many MiB resident and anonymous, and in smaps_rollup.
func (p *procfs) process(pid, ppid, anon, pss, minflt int) {
	p.t.Helper()
	dir := fmt.Sprintf("%s/%d", p.root, pid)
	write(p.t, dir+"/stat", fmt.Sprintf("%d (a) b) S %d 1 1 0 -1 4194560 %d 0 0 0 0 0 0 0 20 0 1 0 %d 0 0\n", pid, ppid, minflt, 1000+pid))
	write(p.t, dir+"/statm", statm((anon+4)<<10, 4<<10))
	write(p.t, dir+"/smaps_rollup", rollup(pss<<10, pss<<10, 0)+fmt.Sprintf("Anonymous: %d kB\n", anon<<10))
}

// used is what a look says, in MiB. The first is given patience.
func (p *procfs) used(patience time.Duration) int64 {
	p.t.Helper()
	a, err := p.ask(p.time.Add(patience))
	if err != nil {
		p.t.Fatal(err)
	}
	var in input
	n, ok := a.levels[0].usage.value(&in)
	if !ok {
		p.t.Fatal(in.err)
	}
	return n / mib
}

func (p *procfs) want(name string, want int64) {
	p.t.Helper()
	if got := p.used(0); got != want {
		p.t.Errorf("%s: got %d MiB, want %d", name, got, want)
	}
}

// TestProcessesInTurn gives a look no time: of many processes one is measured each
// time, and the others are followed by statm.
func TestProcessesInTurn(t *testing.T) {
	p := newProcfs(t, time.Second)
	for pid := 1; pid <= 3; pid++ {
		p.process(pid, 0, 16, 10, 0)
	}
	p.took = -1 // what the clock says is no matter here
	look := func(name string, want int64) {
		t.Helper()
		p.want(name, want)
		p.took = 0
	}
	// One not yet measured counts by its resident anonymous memory.
	look("the first", 10+16+16)
	look("the second", 10+10+16)
	look("the third", 10+10+10)
	// All three grow by 5 MiB. statm shows it at once; one rollup a look says that
	// 3 MiB of it are shared with somebody.
	for pid := 1; pid <= 3; pid++ {
		p.process(pid, 0, 21, 12, 0)
	}
	p.next = 0
	look("after growth", 12+15+15)
	look("the second after it", 12+12+15)
	look("the third after it", 12+12+12)
	look("the fourth after it", 12+12+12)
}

// TestFreshForks: a master and 40 children that write nothing share 308 MiB.
func TestFreshForks(t *testing.T) {
	fork := func(p *procfs) {
		p.process(100, 1, 308, 308, 0)
	}
	children := func(p *procfs) {
		for pid := 101; pid <= 140; pid++ {
			p.process(pid, 100, 307, 7, 0)
		}
	}
	// They come one look after another, and each look measures one.
	p := newProcfs(t, time.Second)
	p.process(1, 0, 1, 1, 0)
	fork(p)
	if got := p.used(time.Hour); got != 309 {
		t.Errorf("the master alone: %d MiB", got)
	}
	children(p)
	p.want("all are new", 309) // and left to the next look, or they may be vfork's
	p.want("one is measured, its master still counts in full", 309+7)
	p.process(101, 100, 407, 107, 0)
	p.process(140, 100, 407, 107, 0)
	p.want("two grew", 309+107+99+7)

	// The first look of a command measures all.
	p = newProcfs(t, time.Millisecond)
	fork(p)
	children(p)
	p.process(100, 1, 308, 8, 0)
	if got := p.used(patience); got != 8+40*7 {
		t.Errorf("the first look: %d MiB", got)
	}
	// It leaves a part of its time.
	p = newProcfs(t, time.Second)
	fork(p)
	children(p)
	if got := p.used(patience); got != 308 {
		t.Errorf("a first look without time: %d MiB", got)
	}
	// A master that is read before its children: they count as it does, until they are.
	p = newProcfs(t, time.Second)
	fork(p)
	p.process(100, 1, 308, 8, 0)
	children(p)
	for look, want := range []int64{8 + 40*307*8/308, 8 + 7 + 39*307*8/308} {
		if got := p.used(0); got != want {
			t.Errorf("look %d after the master was read: %d MiB, want %d", look, got, want)
		}
	}
	p.process(141, 100, 307, 7, 0)
	p.want("a fork since is in what the master has", 8+2*7+38*307*8/308)
	// A parent that is not there has no part in it.
	p = newProcfs(t, time.Millisecond)
	children(p)
	if got := p.used(0); got != 7+39*307 {
		t.Errorf("without the master: %d MiB", got)
	}
}

// TestVfork: a child in its parent's memory is no memory.
func TestVfork(t *testing.T) {
	p := newProcfs(t, time.Millisecond)
	p.process(1, 0, 600, 600, 0)
	p.process(2, 1, 600, 600, 0)
	if got := p.used(time.Hour); got != 600 {
		t.Errorf("in the first look: got %d MiB", got)
	}
	p.want("it stays", 600)
	p.want("it still does", 600)
	if known := p.known[2]; !known.vfork {
		t.Errorf("got %+v", known)
	}
	p.process(1, 0, 610, 610, 0)
	p.process(2, 1, 610, 610, 0)
	p.want("both grow", 610)
	p.process(2, 1, 5, 5, 0)
	p.want("it executed a program", 615)
	p.process(3, 1, 610, 610, 0)
	p.want("another", 615)
	p.process(3, 1, 7, 7, 0)
	p.want("it executed a program at once", 622)
	// A fork that wrote all is no such child: its text differs, and one that shares
	// all, to the letter, has half of it.
	p.process(4, 1, 610, 609, 0)
	p.want("a fork", 622)
	p.want("it wrote", 622+609)
	p = newProcfs(t, time.Millisecond)
	p.process(1, 0, 600, 300, 0)
	p.process(2, 1, 600, 300, 0)
	p.used(time.Hour)
	p.want("a fork that shares", 600)
}

// TestProcessesDuty: one that is dear is read again when twenty times as long is over.
func TestProcessesDuty(t *testing.T) {
	p := newProcfs(t, 9*time.Millisecond)
	p.process(1, 0, 100, 100, 0)
	p.used(time.Hour)
	p.process(1, 0, 100, 90, 0)
	p.want("read again", 90)
	p.process(1, 0, 100, 80, 0)
	for range 5 {
		p.time = p.time.Add(20 * time.Millisecond)
		p.want("too early", 90)
	}
	p.process(2, 0, 10, 10, 0)
	p.want("a new one is read at once", 100)
	p.time = p.time.Add(400 * time.Millisecond)
	p.next = 0
	p.want("late enough", 90)
	// Looks that follow each other have less time than a turn.
	p = newProcfs(t, time.Millisecond)
	p.process(1, 0, 1, 1, 0)
	p.used(time.Hour)
	for pid := 2; pid <= 9; pid++ {
		p.process(pid, 0, 10, 9, 0)
	}
	p.time = p.time.Add(50 * time.Millisecond)
	p.want("2.6 ms of 52", 1+3*9+5*10)
	p.time = p.time.Add(time.Hour)
	p.want("10 ms of an hour", 1+8*9)
}

// TestCopyOnWrite: the process that copies the pages it shares is read before the
// others, whose turn it would be.
func TestCopyOnWrite(t *testing.T) {
	p := newProcfs(t, time.Millisecond)
	p.process(1, 0, 100, 10, 0)
	for pid := 2; pid <= 20; pid++ {
		p.process(pid, 1, 99, 5, 100*pid)
	}
	p.used(time.Hour)
	p.step = time.Hour // each look has time for one
	const before = 10 + 19*5
	p.process(7, 1, 99, 65, 701)
	p.process(17, 1, 99, 95, 1700+20000)
	p.took = -1
	p.want("the one with the most faults", before+90)
	p.took = 0
	p.want("one in turn", before+90)
	p.took = 0
	p.want("the next one", before+90+60)
}

func TestProcStat(t *testing.T) {
	if s, ok := parseProcStat([]byte("7 (x) y) S 3 1 1 0 -1 4 55 0 0 0 0 0 0 0 20 0 1 0 99 0\n")); !ok || s != (procStat{3, 55, 99}) {
		t.Errorf("got %+v, %v", s, ok)
	}
	for _, text := range []string{"", "7", "7 (x) S 3", "7 (x) S a 1 1 0 -1 4 55 0 0 0 0 0 0 0 20 0 1 0 99 0\n"} {
		if s, ok := parseProcStat([]byte(text)); ok {
			t.Errorf("%q: got %+v", text, s)
		}
	}
}

// TestRefusedChild: of what status tells, a child of the same user counts by what it
// has in excess of its parent.
func TestRefusedChild(t *testing.T) {
	p := newProcfs(t, time.Millisecond)
	for pid, ppid := range map[int]int{10: 1, 11: 10, 12: 10} {
		p.process(pid, ppid, 100+pid-10, 0, 0)
		if err := os.Remove(fmt.Sprintf("%s/%d/smaps_rollup", p.root, pid)); err != nil {
			t.Fatal(err)
		}
		user := 33
		if pid == 12 {
			user = 34
		}
		write(t, fmt.Sprintf("%s/%d/status", p.root, pid), status(user, (100+pid-10)<<10, 0))
	}
	if got := p.used(time.Hour); got != 100+1+102 {
		t.Errorf("got %d MiB", got)
	}
}

// TestProcessOfAnotherUser has Docker's default capabilities (capabilities(7)), which
// do not let root read smaps_rollup of another user's process.
func TestProcessOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to have a process of another user")
	}
	runtime.LockOSThread() // the thread that starts it outlives it, and is not one of those below
	defer runtime.UnlockOSThread()
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1001}, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	const setgid, setuid, others = 1 << 6, 1 << 7, 0xa80425fb &^ (1<<6 | 1<<7)
	for _, test := range []struct {
		caps uint32
		way  way
	}{{others | setgid | setuid, byOwner}, {others, byStatus}} {
		done := make(chan string)
		go func() {
			runtime.LockOSThread() // never unlocked: the thread is not used again
			if errno := keepCaps(test.caps); errno != 0 {
				done <- "capset: " + errno.Error()
				return
			}
			p := newProcesses("/proc")
			p.looks = 1
			known := p.follow(cmd.Process.Pid)
			if known == nil {
				done <- "it has no memory"
				return
			}
			p.exact(known)
			if known.way != test.way || !known.exact || known.refused != (test.way == byStatus) || known.size <= 0 {
				t.Errorf("capabilities %x: got %+v", test.caps, known)
			}
			status, _ := os.ReadFile("/proc/thread-self/status")
			if text := string(status); !strings.Contains(text, "\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n") {
				t.Errorf("the thread's ids are now %s", text)
			}
			done <- ""
		}()
		if why := <-done; why != "" {
			t.Skip(why)
		}
	}
}

// keepCaps leaves the thread no other capabilities than these.
func keepCaps(caps uint32) syscall.Errno {
	type set struct{ effective, permitted, _ uint32 }
	header := struct{ version, pid uint32 }{version: 0x2008_0522}
	var now [2]set
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&now)), 0); errno != 0 {
		return errno
	}
	caps &= now[0].permitted
	now = [2]set{{effective: caps, permitted: caps}}
	_, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&now)), 0)
	return errno
}
