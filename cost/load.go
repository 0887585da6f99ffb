package cost

import (
	"strconv"
	"syscall"
)

// Runnable counts the threads that the kernel counts in its load average: those
// that run or wait for a CPU, and those in uninterruptible sleep (states R and D
// of /proc/PID/task/TID/stat, proc_pid_stat(5)). It appends to out the count of
// each target's tree, a prefork one's workers included, in the order of targets. All is that of
// every visible process where self is 1, else of self's descendants and of the
// trees. Process self, which is the one that counts, and kernel threads are left
// out. It is false where the proc file system cannot be read.
func (m *Meter) Runnable(targets []Target, self int, out []int) (each []int, all int, ok bool) {
	first := len(out)
	for range targets {
		out = append(out, 0)
	}
	t := &m.table
	if !t.scan() {
		return out, 0, false
	}
	defer t.fs.close()
	m.assign(targets)
	for i := range t.procs {
		p := &t.procs[i]
		if p.ended || p.kernel || p.pid == self || p.owner < 0 && self != 1 && !t.descends(p, self) {
			continue
		}
		n := t.active(p)
		all += n
		switch {
		case p.owner >= len(targets):
			out[first+m.forked[p.owner-len(targets)].target] += n
		case p.owner >= 0:
			out[first+p.owner] += n
		}
	}
	return out, all, true
}

// active counts the threads of a process that Runnable speaks of. A thread that
// has ended meanwhile is none.
func (t *table) active(p *process) int {
	n := 0
	if p.single {
		if p.active {
			n++
		}
		return n
	}
	for _, tid := range t.threads(p.pid) {
		b, err := t.fs.read(p.pid, "task/"+strconv.Itoa(tid)+"/stat")
		if err != nil {
			continue
		}
		if s, ok := parseStat(b); ok && s.active {
			n++
		}
	}
	return n
}

// threads lists the threads of a process.
func (t *table) threads(pid int) []int {
	fd, err := t.fs.open(pid, "task")
	if err != nil {
		return nil
	}
	defer syscall.Close(fd)
	var tids []int
	for {
		n, err := syscall.ReadDirent(fd, t.fs.buf)
		if n <= 0 || err != nil {
			return tids
		}
		tids = appendPIDs(tids, t.fs.buf[:n])
	}
}
