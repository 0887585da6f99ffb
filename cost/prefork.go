package cost

import (
	"bytes"
	"fmt"
	"os"
)

// preforked is one worker of a prefork target.
type preforked struct {
	pid    int
	start  uint64
	target int // index of its master's
}

// assignForked makes each worker of a prefork target the owner of its own tree:
// its owners follow those of the targets.
func (m *Meter) assignForked(targets []Target) {
	m.forked = m.forked[:0]
	prefork := false
	for i := range targets {
		prefork = prefork || targets[i].Prefork
	}
	if !prefork {
		return
	}
	procs := m.table.procs
	for i := range procs {
		p := &procs[i]
		target, ok := m.targets[p.ppid]
		if !ok || p.ended || !targets[target].Prefork || !m.table.isWorker(p, targets[target].Workers) {
			continue
		}
		p.owner, p.worker = len(targets)+len(m.forked), true
		m.forked = append(m.forked, preforked{p.pid, p.start, target})
	}
}

// isWorker says whether a child of a prefork master is a worker. A command line
// that was found once is not read again: some servers change it at work.
func (t *table) isWorker(p *process, title string) bool {
	if title == "" || p.titled {
		return p.forked || p.titled
	}
	b, err := t.fs.read(p.pid, "cmdline")
	if err != nil {
		return false
	}
	for i, c := range b {
		if c == 0 {
			b[i] = ' '
		}
	}
	p.titled = bytes.Contains(b, []byte(title))
	return p.titled
}

// Started returns when a process started: field 22 (starttime) of
// /proc/PID/stat, in clock ticks since boot. It is false where there is no such
// process any more.
func Started(procRoot string, pid int) (start uint64, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("%s/%d/stat", procRoot, pid))
	if err != nil {
		return 0, false
	}
	s, ok := parseStat(b)
	return s.start, ok && !s.ended
}
