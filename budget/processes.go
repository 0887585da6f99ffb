package budget

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// processes sums the memory of every process that can be seen below /proc. Each
// counts by its proportional set size (Pss of smaps_rollup): a page that n
// processes share counts by one nth in each, so nothing counts twice.
//
// smaps_rollup is dear, so each look reads it of as many processes as a short time
// allows, and follows the others by statm: their size is the last one that was read,
// and what their resident anonymous memory changed since. Copies of pages shared
// since a fork do not change that: they show when the process is read again, and
// of two readings one is of the process with the most page faults (minflt of
// stat) since its last one.
//
// A process not yet read counts by what it has in excess of its parent, because a
// fresh fork shares all it has, and, where the parent was read since and shares, by as
// much of that as the parent does. So does a child that runs in its parent's memory
// (vfork(2), posix_spawn(3)), which is told by a smaps_rollup that is the parent's to
// the letter although the pages are not shared.
//
// Where smaps_rollup may not be read, even with the file system ids of the process's
// owner, or is missing (before Linux 4.14), /proc/PID/status stands in: RssAnon
// counts, of a process with a parent of the same user what it has in excess of that; of
// RssShmem, which processes of one user commonly share, the largest of the user's
// counts once; mapped files count nothing, as the kernel can drop them. Kernel threads
// and zombies have no memory.
type processes struct {
	root  string // where proc is mounted
	known map[int]*process
	looks uint64
	clock func() time.Time
	at    time.Time // of the last look

	// The readings of those that were read before.
	next   int           // the pid from which on it is whose turn it is
	faults bool          // the last one was chosen by its faults
	last   time.Time     // when the last ones began
	took   time.Duration // and how long they took

	buf   []byte
	other []byte
	euid  int
	egid  int
	// dumpable is what this process was at first: at another time another thread may
	// have other ids for a moment.
	dumpable bool
}

func newProcesses(root string) *processes {
	dumpable, _, _ := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_GET_DUMPABLE, 0, 0)
	return &processes{
		root: root, known: make(map[int]*process), clock: time.Now,
		buf: make([]byte, 8<<10), euid: os.Geteuid(), egid: os.Getegid(), dumpable: dumpable == 1,
	}
}

// process is what is known of one process, in bytes.
type process struct {
	pid  int
	look uint64 // when it was last seen
	seen uint64 // when it first was
	stat procStat
	way  way // how to read smaps_rollup
	uid  uint32
	gid  uint32

	resident int64
	now      int64 // the part of resident that is anonymous
	reading
}

// reading is the last exact one, by one of the two ways.
type reading struct {
	exact   bool
	look    uint64 // when it was
	vfork   bool   // it is a child in its parent's memory
	shares  bool   // a good part of its anonymous memory is shared
	refused bool   // by status
	user    string // where refused
	mapped  int64  // the part of size that is of files
	size    int64  // shmem left out where refused
	shmem   int64  // else a part of size
	then    int64  // now, when it was
	minflt  int64  // of stat, when it was
}

const (
	// turn is the most time that one look may spend on smaps_rollup, plus that of
	// the one process that exceeds it.
	turn = 10 * time.Millisecond
	// duty is how many times longer than that is the time without.
	duty = 20
	// spare is what the first look, for which Open waits, leaves of its time.
	spare = 500 * time.Millisecond
)

func (p *processes) ask(deadline time.Time) (answer, error) {
	pids, err := p.list()
	if err != nil {
		return answer{}, err
	}
	now := p.clock()
	until := now.Add(min(turn, now.Sub(p.at)/duty))
	if p.looks++; p.looks == 1 {
		until = deadline.Add(-spare)
	}
	p.at = now
	var all []*process
	for _, pid := range pids {
		if known := p.follow(pid); known != nil {
			all = append(all, known)
		}
	}
	for pid, known := range p.known {
		if known.look != p.looks {
			delete(p.known, pid)
		}
	}
	if len(all) == 0 {
		return answer{}, &os.PathError{Op: "read", Path: p.root, Err: errors.New("no process can be seen")}
	}
	for _, known := range all {
		p.compare(known)
	}
	p.measureNew(all, until)
	if p.looks > 1 && now.Sub(p.last) >= duty*p.took {
		p.measureAgain(all, until)
	}
	for _, known := range all {
		p.compare(known)
	}
	return p.sum(), nil
}

func (p *processes) close() {}

// list lists the processes in ascending order.
func (p *processes) list() ([]int, error) {
	dir, err := os.Open(p.root)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// follow reads statm. It is nil where a process has no memory, or is gone.
func (p *processes) follow(pid int) *process {
	text, err := p.read(pid, "/statm")
	if err != nil {
		return nil
	}
	resident, shared, ok := parseStatm(text)
	if !ok || resident == 0 {
		return nil
	}
	known := p.known[pid]
	if known == nil {
		known = &process{pid: pid, seen: p.looks}
		p.known[pid] = known
		p.origin(known)
	}
	known.look, known.resident, known.now = p.looks, resident, max(0, resident-shared)
	return known
}

// origin reads stat. Another process of the same pid is not known yet.
func (p *processes) origin(known *process) {
	text, err := p.read(known.pid, "/stat")
	if err != nil {
		return
	}
	if s, ok := parseProcStat(text); ok {
		if s.start != known.stat.start {
			known.reading, known.way = reading{}, byRollup
		}
		known.stat = s
	}
}

// compare gives a process that was not read by its own what it has in excess of its
// parent, and its part of what the parent shares. Before the parent is read, that counts
// with the parent in full.
func (p *processes) compare(known *process) {
	parent := p.known[known.stat.ppid]
	if known.vfork && !known.near(parent) {
		known.reading = reading{} // it executed a program, or its parent is gone
	}
	if parent != nil && (known.vfork || !known.exact) {
		known.size, known.then = 0, min(known.now, parent.now)
		if parent.shares && parent.then > 0 && parent.reading.look >= known.seen {
			part := min(1, float64(known.now)/float64(parent.then))
			known.size = int64(part * float64(max(0, parent.size-parent.mapped)))
		}
	}
}

// near tells whether a process has about as much memory as its parent, as one has
// that runs in it: the two were not looked at in the same instant.
func (known *process) near(parent *process) bool {
	return parent != nil && max(known.resident, parent.resident)-min(known.resident, parent.resident) <= known.resident/16
}

// measureNew measures the processes that never were, until the time is over, and at
// least one. One that may still run in its parent's memory is left to the next look: it
// is about to execute a program.
func (p *processes) measureNew(all []*process, until time.Time) {
	for _, known := range all {
		if known.exact {
			continue
		}
		parent := p.known[known.stat.ppid]
		if known.seen == p.looks && known.near(parent) && (p.looks > 1 || known.resident == parent.resident && known.now == parent.now) {
			continue
		}
		if known.seen != p.looks {
			p.origin(known)
		}
		if p.exact(known); p.clock().After(until) {
			return
		}
	}
}

// measureAgain measures those that were measured before, until the time is over, and
// at least one.
func (p *processes) measureAgain(all []*process, until time.Time) {
	p.last = p.clock()
	for _, known := range all {
		p.origin(known)
	}
	for range all {
		if known := p.choose(all); known != nil {
			p.exact(known)
		}
		if p.clock().After(until) {
			break
		}
	}
	p.took = p.clock().Sub(p.last)
}

// choose chooses in turn, and every other time by page faults: a process that copies
// what it shared since a fork has one for each page.
func (p *processes) choose(all []*process) (chosen *process) {
	if p.faults = !p.faults; p.faults {
		most := int64(0)
		for _, known := range all {
			if n := known.stat.minflt - known.minflt; known.exact && n > most {
				chosen, most = known, n
			}
		}
		if chosen != nil {
			return chosen
		}
	}
	from, _ := slices.BinarySearchFunc(all, p.next, func(known *process, pid int) int { return known.pid - pid })
	for i := range all {
		known := all[(from+i)%len(all)]
		if known.exact && known.reading.look != p.looks {
			p.next = known.pid + 1
			return known
		}
	}
	return nil
}

// sum is all of it as the usage of a cgroup, and the mapped files as what can be
// reclaimed of it.
func (p *processes) sum() answer {
	const file = "/PID/smaps_rollup"
	var used, mapped, shmem int64
	refused := 0
	shared := make(map[string]int64) // of each user
	for _, known := range p.known {
		used = add(used, max(0, known.size+known.now-known.then))
		mapped = add(mapped, known.mapped)
		if known.refused {
			refused++
			shared[known.user] = max(shared[known.user], known.shmem)
		} else {
			shmem = add(shmem, known.shmem)
		}
	}
	for _, n := range shared {
		used, shmem = add(used, n), add(shmem, n)
	}
	l := level{
		dir:   p.root,
		usage: told(p.root+file, strconv.FormatInt(used, 10)),
		stat: told(p.root+file, fmt.Sprintf("anon %d\nfile %d\nshmem %d\ninactive_file 0\nactive_file %d",
			max(0, used-mapped-shmem), add(mapped, shmem), shmem, mapped)),
	}
	l.untold()
	return answer{levels: []level{l}, notes: []Source{
		bytesSource("mapped files", p.root+file, mapped),
		{Name: "processes", File: p.root, Value: strconv.Itoa(len(p.known))},
		{Name: "processes by status alone", File: p.root + "/PID/status", Value: strconv.Itoa(refused)},
	}}
}
