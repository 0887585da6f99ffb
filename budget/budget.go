// Package budget tells how much memory and CPU this process may really use:
// what the cgroups around it allow, what they have used, and what the host has.
//
//	b, err := budget.Open()
//	m, err := b.Read()
//
// Open finds the cgroup v1 or v2 files through /proc/self/mountinfo and
// /proc/self/cgroup and walks every level up to the mount's root. Read looks at
// all of them again, so a limit that changes is seen by the next Read. It keeps
// its files open and allocates nothing. All quantities are bytes unless their
// comment says otherwise. The package needs Linux and no privileges.
//
// Where no cgroup file system tells of memory, systemd is asked over D-Bus about
// the unit and the slices around it, then cgmanager's socket about the cgroup, then
// /proc about every process that can be seen; the first that answers at Open is
// asked from then on. A goroutine asks it whenever Read does, and Read waits at
// most 20 ms for it, and not at all while answers take longer: they are for the next
// Read. Where that comes so late that the last answer is 10 s old it waits for up to
// 250 ms. When the last one is 10 s old, Read says so by an error. A better source that
// was there at Open and did not answer is asked again every 10 s. Systemd tells
// nothing of page cache, which therefore counts as used there, and /proc nothing of
// what no process maps.
package budget

import (
	"errors"
	"math"
	"strings"
	"sync"
	"time"
)

// Memory is one reading of the memory of the cgroups and of the host, in bytes.
type Memory struct {
	// Limit is the lowest limit of all visible levels (memory.max on cgroup v2,
	// memory.limit_in_bytes on v1), the limit given to SetLimit, and MemTotal.
	// Limited is false where every limit is above MemTotal: only the host's memory
	// limits, and Limit is HostTotal. (A limit equal to MemTotal counts: lxcfs shows a
	// container its limit as MemTotal.)
	Limit   int64
	Limited bool

	// High is the lowest memory.high of all visible levels, the softer ceiling
	// above which cgroup v2 slows a cgroup down; HasHigh is false where none is set.
	High    int64
	HasHigh bool

	// Used is the usage of the level that Limit belongs to (memory.current,
	// memory.usage_in_bytes), page cache included. Where only the host limits it
	// is MemTotal − MemAvailable, or, where neither a cgroup nor systemd or
	// cgmanager tells, the sum over the processes that can be seen. It is 0 where
	// that level's file is missing.
	Used int64

	// Available is how many anonymous bytes can still be taken before something
	// refuses or kills, swap not counted: the minimum over the levels of
	// limit − usage + what reclaim can give there, and of what the host has:
	// HostAvailable and what that leaves out, the watermarks of /proc/zoneinfo above the
	// lowest and the last of the page cache. It is never below 0 and never above Limit.
	//
	// Reclaim can give the file pages of the inactive and active lists, dirty ones
	// included (mlocked pages and shmem are on other lists), and on v2 the kernel's
	// caches of names and inodes, slab_reclaimable, but for 512 KiB and 1 KiB for each
	// socket of /proc/net/sockstat. v1 does not tell them. With
	// vm.overcommit_memory=2 CommitLimit − Committed_AS is a limit as well.
	Available int64

	// Headroom is the cautious part of Available, what can be had without I/O or
	// a stall: the minimum over the levels of limit − usage + inactive file pages
	// that are neither dirty nor under writeback, and of HostAvailable.
	Headroom int64

	// SwapUsed is the swap that the process's own level uses, and SwapLimit the
	// lowest swap limit of all visible levels and SwapTotal. SwapLimited is false
	// where only the host's swap limits. On v1, whose limit is for memory and swap
	// together, the limit is memory.memsw.limit_in_bytes − memory.limit_in_bytes.
	SwapUsed    int64
	SwapLimit   int64
	SwapLimited bool

	// OOMKills and MaxEvents are counts of the process's own level since it was
	// made: processes that the OOM killer killed (oom_kill of memory.events, or of
	// memory.oom_control on v1, where kills in child cgroups are not included), and
	// charges that ran into the limit (max of memory.events; on v1 memory.failcnt
	// and memory.memsw.failcnt together).
	OOMKills  int64
	MaxEvents int64

	// OOMGroup tells that memory.oom.group is set at a visible level: one OOM kill
	// there kills all of its processes.
	OOMGroup bool

	// HostTotal is MemTotal and HostAvailable MemAvailable of /proc/meminfo.
	HostTotal     int64
	HostAvailable int64

	// LimitFrom and AvailableFrom name the file that decided Limit, and the file of
	// the limit that decided Available, or what was asked in place of a file
	// ("systemd: web.service/MemoryMax"). They differ where a wider level is fuller
	// than a narrow one. They are empty where the limit of SetLimit decided.
	LimitFrom     string
	AvailableFrom string
}

// Budget holds the kernel's files open. Its methods may be called from several
// goroutines.
type Budget struct {
	root string

	mu         sync.Mutex
	closed     bool
	found      bool   // places, rung and levels are known
	places     places // where the cgroups are mounted, and the process is in them
	rung       rung
	levels     []level // the process's own first, the mount's root last
	host       file    // /proc/meminfo
	overcommit file    // vm.overcommit_memory
	marks      marks   // of /proc/zoneinfo, read when they matter
	marksAt    time.Time
	stay       string // Stay's; "" is none
	ceiling    int64  // SetLimit's; 0 is none
	in         input

	feed   *feed // nil where files answer
	late   []late
	quotas []quota
	notes  []Source
	missed []Missed
}

// ErrClosed is returned by the methods of a Budget after Close.
var ErrClosed = errors.New("budget is closed")

// Open finds the memory files of the cgroup that this process is in. Where there
// are none it asks the other sources, for two seconds at most, and where those on sockets
// do not answer the processes for as long; where none answers
// the host's own numbers serve, so the error is that not even those can be read, or
// a *FormatError. The caller closes the Budget.
func Open() (*Budget, error) { return OpenAt("") }

// OpenAt is Open for files below root: root/proc/self/mountinfo,
// root/proc/self/cgroup, root/proc/meminfo and the cgroup mounts that the first of
// them names, each under root. So are the sockets and processes.
func OpenAt(root string) (*Budget, error) {
	b := &Budget{root: strings.TrimRight(root, "/"), in: input{buf: make([]byte, 8<<10)}}
	err := b.open()
	if err == nil && b.rung == rungHost {
		b.climb()
	}
	if err == nil && b.rung == rungHost {
		_, err = b.readHost()
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

func (b *Budget) open() error {
	b.in.start()
	b.host = file{path: b.root + "/proc/meminfo"}
	b.marksAt = time.Time{}
	b.overcommit = file{path: b.root + "/proc/sys/vm/overcommit_memory"}
	b.in.sockets = file{path: b.root + "/proc/net/sockstat"}
	b.rung, b.levels = b.memoryLevels()
	b.trim()
	b.found = b.in.err == nil
	return b.in.err
}

// Stay makes dir, the process's cgroup or one around it, the innermost level that
// is looked at, also when the process moves itself into a child of it and the
// files have to be looked for again.
func (b *Budget) Stay(dir string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stay = dir
	b.trim()
}

// trim leaves out the levels within the one that Stay names.
func (b *Budget) trim() {
	for b.stay != "" && len(b.levels) > 1 && strings.HasPrefix(b.levels[0].dir, b.stay+"/") {
		_ = b.levels[0].close()
		b.levels = b.levels[1:]
	}
}

// Read reads the numbers anew. Where there are files it allocates nothing and costs
// one pread a file. Files that have gone, as after a move to another cgroup that
// ended the old one, are looked for again; where they stay missing, what remains is
// used. The error is a *FormatError where a file does not say what the kernel would
// say, an *os.PathError where one is there and could not be opened or read, else
// that neither a cgroup nor the host tells how much memory there is, or that the
// source which is asked in place of files has not answered for 10 s.
func (b *Budget) Read() (Memory, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.current()
}

// current is Read for a caller that holds the lock.
func (b *Budget) current() (Memory, error) {
	if b.closed {
		return Memory{}, ErrClosed
	}
	if err := b.ask(); err != nil {
		return Memory{}, err
	}
	if b.feed != nil {
		return b.read()
	}
	if b.found {
		if m, err := b.read(); !b.stale() {
			return m, err
		}
	}
	_ = b.release()
	if err := b.open(); err != nil {
		return Memory{}, err
	}
	return b.read()
}

func (b *Budget) read() (Memory, error) {
	b.in.start()
	host, err := b.readHost()
	m := Memory{
		Limit:         host.total,
		Used:          host.total - host.available,
		Available:     math.MaxInt64,
		Headroom:      host.available,
		SwapUsed:      host.swapTotal - host.swapFree,
		SwapLimit:     host.swapTotal,
		HostTotal:     host.total,
		HostAvailable: host.available,
		LimitFrom:     b.host.path,
	}
	known := err == nil
	var within, clean int64 // what reclaim gives in the levels before
	for i := range b.levels {
		l := &b.levels[i]
		u := b.readLevel(i, host.swapTotal > 0)
		// What can be reclaimed within a level can be in it, which its memory.stat may not
		// know yet where the other is new.
		u.reclaimable, u.clean = max(u.reclaimable, within), max(u.clean, clean)
		within, clean = max(within, min(u.reclaimable, u.used)), max(clean, min(u.clean, u.used))
		if i == 0 {
			m.OOMKills, m.MaxEvents = u.oomKills, u.maxEvents
			if u.hasSwap {
				m.SwapUsed = u.swapUsed
			}
			if b.ceiling > 0 {
				own := u
				own.limit, own.free = b.ceiling, b.ceiling-u.used
				m.apply(own, "", known)
				known = true
			}
		}
		if u.hasHigh && (!m.HasHigh || u.high < m.High) {
			m.High, m.HasHigh = u.high, true
		}
		if u.swapLimited && u.swapLimit < m.SwapLimit {
			m.SwapLimit, m.SwapLimited = u.swapLimit, true
		}
		m.OOMGroup = m.OOMGroup || u.oomGroup
		if u.limited {
			from := l.limit.path
			if u.hidden {
				from = l.stat.path
			}
			m.apply(u, from, known)
			known = true
		}
		if u.hasRoom {
			m.Headroom = min(m.Headroom, u.room)
		}
		if b.rung == rungProcesses && !m.Limited {
			m.Used = u.used
		}
	}
	if b.in.err != nil {
		return Memory{}, b.in.err
	}
	if !known {
		return Memory{}, err
	}
	if len(b.levels) == 0 && b.ceiling > 0 {
		m.apply(usage{limit: b.ceiling, used: m.Used, free: b.ceiling - m.Used}, "", true)
	}
	if err == nil {
		b.applyHost(&m, host)
		if b.in.err != nil {
			return Memory{}, b.in.err
		}
	}
	m.Available = min(m.Available, m.Limit)
	m.Headroom = min(m.Headroom, m.Available)
	return m, nil
}

// applyHost narrows m to what the host has.
func (b *Budget) applyHost(m *Memory, h host) {
	n := int64(math.MaxInt64)
	if h.available < m.Available {
		if now := time.Now(); now.Sub(b.marksAt) >= marksAge {
			if b.marks = b.readMarks(); b.in.err == nil {
				b.marksAt = now
			}
		}
		n = h.taking(b.marks)
	}
	// Without overcommitting mmap(2) refuses what is above CommitLimit.
	if mode, ok := b.overcommit.value(&b.in); ok && mode == 2 && h.hasCommit {
		n = min(n, max(0, h.commit))
	}
	if n <= m.Available {
		m.Available, m.AvailableFrom = n, b.host.path
	}
}

// SetLimit sets a softer limit of n bytes for the process's own level, to stay
// below something that cannot be seen: a platform's quota, a hidden parent. It
// holds from the next Read. An n of 0 or less removes it.
func (b *Budget) SetLimit(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ceiling = max(0, n)
}

// Rung names the kind of source that answers: "cgroup v2", "cgroup v1", "systemd",
// "cgmanager", "processes" (their proportional set size, summed) or "host".
func (b *Budget) Rung() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rung.String()
}

// Place is the directory of the memory cgroup that the process itself is in, and
// whether it is one of cgroup v1. It is false where there is none and only the
// host limits.
func (b *Budget) Place() (dir string, v1, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.levels) == 0 || b.feed != nil {
		return "", false, false
	}
	return b.levels[0].dir, b.rung == rungCgroup1, true
}

// Cgroup2 is the directory of the cgroup v2 that the process itself is in, also
// where that tells nothing of memory, as the machine's root does not. It is false
// where no cgroup v2 is mounted.
func (b *Budget) Cgroup2() (dir string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	dirs := b.places.find("memory", true)
	if len(dirs) == 0 {
		return "", false
	}
	return dirs[0], true
}

// Close closes the files. A second Close does nothing.
func (b *Budget) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.hangUp()
	}
	b.closed = true
	return b.release()
}

func (b *Budget) release() error {
	err := errors.Join(b.host.close(), b.overcommit.close(), b.in.sockets.close())
	for i := range b.levels {
		err = errors.Join(err, b.levels[i].close())
	}
	b.levels = nil
	return err
}

// stale tells whether a file that could be read before cannot be any more.
func (b *Budget) stale() bool {
	for i := range b.levels {
		l := &b.levels[i]
		if l.limit.lost || l.usage.lost || l.stat.lost {
			return true
		}
	}
	return b.host.lost
}
