package budget

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

// A way is how to read the exact bytes of a process. What was refused is not tried
// again while the process has the same owner, because security modules may log each
// refusal.
type way uint8

const (
	byRollup way = iota // smaps_rollup
	byOwner             // smaps_rollup with the file system ids of the process's owner
	byStatus            // status
)

// exact measures one process. One that is gone keeps what was known of it until
// the next look.
func (p *processes) exact(known *process) {
	r := reading{exact: true, look: p.looks, then: known.now, minflt: known.stat.minflt}
	text, err := p.rollup(known)
	if err == nil {
		var ok bool
		if r.size, r.mapped, r.shmem, ok = parseRollup(text); !ok {
			return
		}
		shares, ok := sharing(text)
		r.shares = shares && ok
		if parent := p.known[known.stat.ppid]; known.near(parent) && p.same(parent, text) {
			r.vfork, r.size, r.mapped, r.shmem, r.then = true, 0, 0, 0, min(known.now, parent.now)
		}
		known.reading = r
		return
	}
	if err == syscall.ESRCH {
		return
	}
	if text, err = p.read(known.pid, "/status"); err == nil {
		r.refused = true
		r.size, r.shmem = parseRss(text, known.now)
		r.user = parseUser(text)
		if parent := p.known[known.stat.ppid]; parent != nil && p.userOf(parent) == r.user {
			r.size = max(0, r.size-parent.now)
		}
		known.reading = r
	}
}

// same tells whether text, the smaps_rollup of a child, is that of its parent's own
// memory: nothing in it differs, and the pages do not count as shared by the two.
func (p *processes) same(parent *process, text []byte) bool {
	if shares, ok := sharing(text); shares || !ok {
		return false
	}
	p.other = append(p.other[:0], text...)
	text, err := p.rollup(parent)
	return err == nil && bytes.Equal(text, p.other)
}

// sharing tells whether the anonymous memory of a smaps_rollup is shared with others,
// over a quarter of it. It is not known before Linux 5.4.
func sharing(text []byte) (shares, ok bool) {
	own, okOwn := kilobytes(text, "Pss_Anon:")
	all, okAll := kilobytes(text, "Anonymous:")
	return own/3 <= all/4, okOwn && okAll
}

// rollup reads smaps_rollup by the process's way or, if that is refused, by the next.
func (p *processes) rollup(known *process) (text []byte, err error) {
	const file = "/smaps_rollup"
	if known.way != byRollup {
		if uid, gid := p.owner(known.pid); uid != known.uid || gid != known.gid {
			known.way = byRollup
		}
	}
	if known.way == byRollup {
		if text, err = p.read(known.pid, file); !refused(err) {
			return text, err
		}
		known.way = byOwner
		known.uid, known.gid = p.owner(known.pid)
	}
	err = syscall.EACCES
	if known.way == byOwner {
		if p.euid == 0 && (known.uid != 0 || int(known.gid) != p.egid) {
			text, err = p.readAs(known.uid, known.gid, known.pid, file)
		}
		if refused(err) {
			known.way = byStatus
		}
	}
	return text, err
}

// owner tells who owns a process's files: its effective ids, or root where it is not
// dumpable (proc(5)).
func (p *processes) owner(pid int) (uid, gid uint32) {
	var st syscall.Stat_t
	if err := syscall.Stat(p.path(pid, "/statm"), &st); err != nil {
		return 0, 0
	}
	return st.Uid, st.Gid
}

// userOf is the user of a process, as its status tells it.
func (p *processes) userOf(known *process) string {
	text, err := p.read(known.pid, "/status")
	if err != nil {
		return ""
	}
	return parseUser(text)
}

// refused tells that the kernel will not let this process read the file.
func refused(err error) bool { return err == syscall.EACCES || err == syscall.EPERM }

// readAs is read with the file opened under other file system ids. The kernel
// compares them with those of the process when it opens smaps_rollup
// (PTRACE_MODE_READ_FSCREDS, ptrace(2)), and root without CAP_SYS_PTRACE fails where
// its owner does not.
//
// setfsuid(2) and setfsgid(2) change the calling thread alone, here for the time of
// one open. They clear its PDEATHSIG, and have the kernel mark the whole process not
// dumpable, as if it had secrets of the other user; that mark is taken back, for it
// would close the process's own /proc files to others of its user.
func (p *processes) readAs(uid, gid uint32, pid int, name string) ([]byte, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	syscall.Setfsgid(int(gid))
	syscall.Setfsuid(int(uid))
	fd, err := open(p.path(pid, name))
	syscall.Setfsuid(p.euid)
	syscall.Setfsgid(p.egid)
	if p.dumpable {
		syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 1, 0)
	}
	if err != nil {
		return nil, err
	}
	return p.readClose(fd)
}

func (p *processes) path(pid int, name string) string {
	return p.root + "/" + strconv.Itoa(pid) + name
}

// read reads a file of a process into the one buffer, which is larger than any of
// these files.
func (p *processes) read(pid int, name string) ([]byte, error) {
	fd, err := open(p.path(pid, name))
	if err != nil {
		return nil, err
	}
	return p.readClose(fd)
}

// readClose may wait while the process holds its mmap lock, so the scheduler is told.
func (p *processes) readClose(fd int) ([]byte, error) {
	defer closeFile(fd)
	for {
		n, err := syscall.Pread(fd, p.buf, 0)
		if err != syscall.EINTR {
			return p.buf[:max(0, n)], err
		}
	}
}

// procStat is what /proc/PID/stat tells (proc_pid_stat(5)).
type procStat struct {
	ppid   int
	minflt int64 // page faults that needed no I/O
	start  int64 // clock ticks since boot
}

// parseProcStat parses /proc/PID/stat. The command's name may hold anything, spaces and
// parentheses included: it ends at the last one.
func parseProcStat(text []byte) (s procStat, ok bool) {
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 { // the first is field 3
		return procStat{}, false
	}
	ppid, okParent := parseNumber(fields[4-3])
	minflt, okFaults := parseNumber(fields[10-3])
	start, okStart := parseNumber(fields[22-3])
	return procStat{int(ppid), minflt, start}, okParent && okFaults && okStart
}

var pageSize = int64(os.Getpagesize())

// parseStatm parses /proc/PID/statm: pages of address space, resident ones, and of
// those the ones of files and shared memory (proc(5)). The results are bytes.
func parseStatm(text []byte) (resident, shared int64, ok bool) {
	_, text, _ = bytes.Cut(text, []byte(" "))
	first, text, _ := bytes.Cut(text, []byte(" "))
	second, _, _ := bytes.Cut(text, []byte(" "))
	resident, ok = parseNumber(first)
	shared, okShared := parseNumber(second)
	if !ok || !okShared || resident > maxPages || shared > resident {
		return 0, 0, false
	}
	return resident * pageSize, shared * pageSize, true
}

// maxPages is above any number of pages that there can be, and small enough to be
// made bytes.
const maxPages = 1 << 46

// parseRollup parses /proc/PID/smaps_rollup: Pss, the part of it that is neither
// Pss_Anon nor Pss_Shmem, and the latter. Before Linux 5.4 these are missing, and
// nothing counts as reclaimable.
func parseRollup(text []byte) (size, mapped, shmem int64, ok bool) {
	size, ok = kilobytes(text, "Pss:")
	anon, okAnon := kilobytes(text, "Pss_Anon:")
	shmem, okShmem := kilobytes(text, "Pss_Shmem:")
	if okAnon && okShmem {
		mapped = max(0, size-add(anon, shmem))
	}
	return size, mapped, shmem, ok
}

// parseRss parses RssAnon and RssShmem of /proc/PID/status, which is there from
// Linux 4.5 on; before, private stands in for the first.
func parseRss(text []byte, private int64) (anon, shmem int64) {
	anon, ok := kilobytes(text, "RssAnon:")
	if !ok {
		anon = private
	}
	shmem, _ = kilobytes(text, "RssShmem:")
	return anon, shmem
}

// parseUser parses the real user id of /proc/PID/status.
func parseUser(text []byte) string {
	user, _, _ := bytes.Cut(bytes.TrimSpace(statusField(text, "Uid:")), []byte("\t"))
	return string(user)
}

// kilobytes is the value of the line that begins with key, in bytes.
func kilobytes(text []byte, key string) (int64, bool) {
	return parseKB(bytes.TrimLeft(statusField(text, key), "\t "))
}
