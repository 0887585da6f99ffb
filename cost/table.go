package cost

import "slices"

// Owners that are no index of a target.
const (
	unknown = -1 - iota
	nobody
)

// A process is what is known of one process, from this look and earlier ones.
type process struct {
	stat
	owner  int  // index of the sample, or unknown or nobody
	worker bool // of a prefork target

	// From here on, kept from look to look.
	tree    int    // the target in whose tree it was alive in the last look, 0 for none
	known   bool   // base and then are set
	private bool   // base is what is private to it, as in a prefork worker's tree
	titled  bool   // its command line held Target.Workers
	exact   bool   // base is from smaps_rollup
	vfork   bool   // it runs in its parent's memory, which counts there
	way     way    // how to read smaps_rollup
	uid     uint32 // who owned statm when way was found
	gid     uint32
	base    int64  // bytes at the last reading
	swap    int64  // the part of base that was in swap
	then    int64  // private resident bytes at the last reading
	high    int64  // VmHWM of status less the resident bytes, at the last reading
	now     statm  // of the last look
	taken   uint64 // the look of the last exact reading, 0 for none
}

// bytes is what the container would get back of the process.
func (p *process) bytes() int64 { return max(0, p.base+p.now.private()-p.then) }

// A table holds the processes of one proc file system in the order of their pids.
type table struct {
	fs    procfs
	pids  []int
	procs []process
	last  []process // the look before, whose memory the next one takes
	lost  []Loss
	other []byte // a copy of a smaps_rollup
}

func newTable(procRoot string) table {
	return table{fs: newProcfs(procRoot)}
}

// scan reads stat of every process. If the directory itself cannot be read, it
// is false and the table stays as it was.
func (t *table) scan() bool {
	var err error
	if t.pids, err = t.fs.list(t.pids[:0]); err != nil {
		for i := range t.procs {
			t.procs[i].owner = unknown
		}
		return false
	}
	if !slices.IsSorted(t.pids) {
		slices.Sort(t.pids)
	}
	t.procs, t.last = t.last[:0], t.procs
	for _, pid := range t.pids {
		before := find(t.last, pid)
		var s stat
		b, err := t.fs.read(pid, "stat")
		switch {
		case err == nil:
			var ok bool
			if s, ok = parseStat(b); !ok {
				continue
			}
			s.pid = pid
		case gone(err) || before == nil:
			continue
		default:
			s = before.stat
		}
		p := process{}
		if before != nil && before.start == s.start {
			p = *before
		}
		p.stat = s
		p.owner, p.worker = unknown, false
		t.procs = append(t.procs, p)
	}
	t.compare()
	return true
}

// find returns the process with this pid, or nil.
func (t *table) find(pid int) *process {
	return find(t.procs, pid)
}

func find(procs []process, pid int) *process {
	i, j := 0, len(procs)
	for i < j {
		if h := (i + j) / 2; procs[h].pid < pid {
			i = h + 1
		} else {
			j = h
		}
	}
	if i == len(procs) || procs[i].pid != pid {
		return nil
	}
	return &procs[i]
}

// Descendants appends to out, in ascending order, the pid of every living
// process whose chain of parents leads to self, or, where self is 1, of every
// other process that is visible: in a container PID 1 inherits all orphans, and
// those that entered by other ways (docker exec) end with it as well. Zombies
// and kernel threads are left out. procRoot is "/proc"; where it cannot be read
// nothing is appended, so that only wait(2) saying ECHILD is proof of an end.
func Descendants(procRoot string, self int, out []int) []int {
	t := newTable(procRoot)
	t.scan()
	defer t.fs.close()
	for i := range t.procs {
		p := &t.procs[i]
		if p.pid != self && !p.ended && !p.kernel && (self == 1 || t.descends(p, self)) {
			out = append(out, p.pid)
		}
	}
	return out
}

// descends tells whether p's chain of parents leads to self.
func (t *table) descends(p *process, self int) bool {
	for range t.procs { // a longer chain is a cycle, which reused pids can feign
		if p.ppid == self {
			return true
		}
		if p = t.find(p.ppid); p == nil {
			return false
		}
	}
	return false
}
