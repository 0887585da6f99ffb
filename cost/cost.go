// Package cost measures what one worker costs its container: the bytes that
// the container would get back if the worker's whole process tree ended.
//
// That is Pss_Anon + Pss_Shmem + SwapPss of /proc/PID/smaps_rollup, summed over
// the tree: pages shared within the tree are counted once, pages shared with
// others by their share. Resident sizes are never summed for it, because they
// count a shared page once for each process, and file pages are left out,
// because the kernel can drop them without ending anybody.
//
// smaps_rollup is dear: 0.15 ms for a small process, 9 ms at 256 MB, seconds at
// hundreds of GB, all with the process's mmap lock held. A [Meter] therefore
// reads it of a few workers a look, in turn, and follows the others with
// /proc/PID/statm, which costs microseconds and never waits.
package cost

import (
	"math"
	"time"
)

// A Meter measures the process trees of workers. It belongs to one goroutine,
// which should be wired to its thread with runtime.LockOSThread and do nothing
// else, for two reasons. Reading smaps_rollup waits, without a limit and beyond
// any signal but SIGKILL, while the measured process holds its mmap lock: a
// process that was frozen or hangs in I/O at that moment stops the goroutine
// until it goes on. And to read workers that belong to another user the thread
// changes its file system ids for an instant, which clears the thread's
// PDEATHSIG (prctl(2)): it must not be a thread that set one.
type Meter struct {
	table   table
	looks   uint64
	targets map[int]int // pid to index in the targets of this look
	forked  []preforked // workers of prefork targets in this look
	turns   []uint64    // for each sample, the look that measured it exactly
}

// NewMeter returns a Meter that reads the proc file system mounted at procRoot,
// which is "/proc". It opens nothing before the first look and holds no file
// open between looks.
func NewMeter(procRoot string) *Meter {
	return &Meter{table: newTable(procRoot), targets: make(map[int]int)}
}

// A Target is one worker to measure.
type Target struct {
	// PID is the worker's main process, and also its process group.
	PID int

	// Start is field 22 (starttime) of the main process's /proc/PID/stat, in
	// clock ticks since boot. Where it differs from what is found, the pid was
	// given to a stranger and the worker is gone. 0 skips the comparison.
	Start uint64

	// Prefork says that the main process is a master which forks workers, and
	// that these are measured each by itself: see [Sample.Parent].
	Prefork bool

	// Workers tells a prefork master's workers from its other children: text
	// that their command lines (/proc/PID/cmdline, NUL read as a blank) hold.
	// Where it is empty a worker is every child that was forked and has not
	// become another program: PF_FORKNOEXEC of field 9 (flags) of
	// /proc/PID/stat.
	Workers string
}

// A Sample is what one look found out about one Target, or about one worker of
// a prefork Target. A tree without a living process, or one that hidepid
// (proc(5)) hides, is all zero.
type Sample struct {
	// PID is the Target's, or the worker's.
	PID int

	// Parent is the prefork Target's PID where this is one of its workers, else
	// 0. The worker's tree is then no part of the Target's.
	Parent int

	// Start is when the worker of a prefork Target started, as Target.Start.
	Start uint64

	// Bytes is what the container would get back. Where Exact is false it is
	// the last exact value of each process and what its private resident memory
	// (resident − shared of statm) changed since, at least 0: allocation shows
	// at once; shared memory, copies of pages shared since a fork, and pages
	// that went to swap show when the tree's turn comes. A process not yet read
	// exactly counts by what it has in excess of its parent, if that is in the
	// tree too, because a fresh fork shares all it has. One that stays in its parent's
	// memory, as a child does between vfork(2) and exec, counts nothing.
	//
	// A process whose smaps_rollup is refused or missing (before Linux 4.14)
	// counts resident − shared + VmSwap (/proc/PID/status).
	//
	// Of a worker of a prefork Target it is Private_Dirty + SwapPss: what it
	// shares with its master stays when it ends.
	Bytes int64

	// Peak is the most that Bytes has been, also between looks, as far as VmHWM of
	// /proc/PID/status tells: what each process had at its last exact reading, and
	// the most that it ever had resident beside it. 0 is not known.
	Peak int64

	// Swap is the part of Bytes that was in swap at the last exact reading of
	// each process.
	Swap int64

	// RSS is the summed resident size in bytes, shared pages counted once for
	// each process: for show only.
	RSS int64

	// CPU is the user and system time of the tree so far, that of ended
	// children which a process of the tree waited for included, with the
	// resolution of a clock tick (10 ms). It falls when a process ends that had
	// left the tree's chain of parents, for nobody in the tree inherits its
	// time.
	CPU time.Duration

	// Processes is the number of living processes; zombies are not.
	Processes int

	// Exact tells that Bytes was read from smaps_rollup of every process of the
	// tree in this look.
	Exact bool
}

// Look appends one Sample for each target to out, in the order of targets, then
// one for each living worker of a prefork target, and returns it. Up to full of
// all these are measured exactly, those first whose last exact reading is
// oldest. Without exact readings Look does not allocate once its tables have
// grown to the number of processes, and no Target.Workers is set.
//
// A worker's tree is every process whose chain of parents leads to the target,
// or whose process group is the target's pid, and their descendants. Processes
// may come and go while Look reads: one that is gone counts nothing. One that
// cannot be read for another reason, such as a lack of descriptors, keeps what
// was known of it.
func (m *Meter) Look(targets []Target, full int, out []Sample) []Sample {
	first := len(out)
	for _, t := range targets {
		out = append(out, Sample{PID: t.PID})
	}
	if len(targets) == 0 && len(m.table.procs) == 0 {
		return out
	}
	m.looks++
	m.table.scan()
	defer m.table.fs.close()
	m.assign(targets)
	for _, f := range m.forked {
		out = append(out, Sample{PID: f.pid, Start: f.start, Parent: targets[f.target].PID})
	}
	samples := out[first:]
	m.follow()
	m.choose(samples, full)

	procs := m.table.procs
	for i := range procs {
		p := &procs[i]
		if p.owner < 0 {
			p.tree = 0
			continue
		}
		s := &samples[p.owner]
		if m.turns[p.owner] == chosen && !p.ended {
			m.table.measure(p)
			p.taken = m.looks
			s.Exact = s.Exact && (p.exact || p.ended)
		}
		s.CPU += time.Duration(p.ticks) * tick
		if p.ended {
			continue
		}
		p.tree = s.PID // one that ended keeps what it had
		bytes := p.bytes()
		s.Bytes += bytes
		s.Swap += min(p.swap, bytes)
		s.Peak += p.base + p.high
		s.RSS += p.now.resident
		s.Processes++
	}
	for i := range samples {
		s := &samples[i]
		s.Exact = s.Exact && s.Processes > 0
	}
	return out
}

// assign gives every process its owner.
func (m *Meter) assign(targets []Target) {
	clear(m.targets)
	for i, t := range targets {
		if t.PID <= 0 {
			continue
		}
		p := m.table.find(t.PID)
		if p != nil && t.Start != 0 && t.Start != p.start {
			continue
		}
		m.targets[t.PID] = i
		if p != nil {
			p.owner = i
		}
	}
	m.assignForked(targets)
	procs := m.table.procs
	for i := range procs {
		p := &procs[i]
		m.own(p)
		if private := p.owner >= len(targets); private != p.private {
			p.private, p.known = private, false // base is another measure
		}
	}
}

// own returns p's owner: its parent's, else the one whose process group it is in.
func (m *Meter) own(p *process) int {
	if p.owner != unknown {
		return p.owner
	}
	p.owner = nobody // for a cycle of parents, which reused pids can feign
	if parent := m.table.find(p.ppid); parent != nil {
		p.owner = m.own(parent)
	}
	if p.owner == nobody {
		if t, ok := m.targets[p.pgrp]; ok {
			p.owner = t
		}
	}
	return p.owner
}

// follow reads statm of every process that has an owner, and gives those seen
// for the first time a provisional base.
func (m *Meter) follow() {
	procs := m.table.procs
	for i := range procs {
		if p := &procs[i]; p.owner >= 0 && !p.ended {
			m.table.follow(p)
		}
	}
	for i := range procs {
		p := &procs[i]
		if p.owner < 0 || p.known && !p.vfork || p.ended {
			continue
		}
		parent := m.table.find(p.ppid)
		if p.vfork = p.vfork && parent != nil && p.near(parent); p.vfork {
			p.then = p.now.private()
			continue
		}
		p.known = true
		p.then = p.now.private()
		p.base = p.then
		if parent != nil && (parent.owner == p.owner || p.worker) {
			p.base = max(0, p.base-parent.now.private())
		}
	}
}

// What a turn says other than the number of a look.
const (
	never  = 0
	chosen = math.MaxUint64 - 1
	empty  = math.MaxUint64 // no living process
)

// choose picks up to full targets whose exact reading is oldest, and sets Exact
// in their samples. A tree's reading is the newest one of its processes, or a
// tree that keeps starting processes would always be the oldest.
func (m *Meter) choose(samples []Sample, full int) {
	m.turns = m.turns[:0]
	for range samples {
		m.turns = append(m.turns, empty)
	}
	for i := range m.table.procs {
		p := &m.table.procs[i]
		if p.owner < 0 || p.ended {
			continue
		}
		turn := &m.turns[p.owner]
		if *turn == empty {
			*turn = never
		}
		*turn = max(*turn, p.taken)
	}
	for ; full > 0; full-- {
		oldest := 0
		for i, turn := range m.turns {
			if turn < m.turns[oldest] {
				oldest = i
			}
		}
		if m.turns[oldest] >= chosen {
			return
		}
		m.turns[oldest] = chosen
		samples[oldest].Exact = true
	}
}
