package budget

import (
	"bytes"
	"os"
	"strconv"
)

// Meminfo is one picture of the container's memory by the names of
// /proc/meminfo (proc_meminfo(5)), in bytes, each a multiple of 1024. What is
// used is told of the level whose limit decides (Memory.LimitFrom), as its
// memory.stat has it; a number that the kernel does not tell by cgroup is 0.
// No number is negative or above MemTotal (above SwapTotal, for what is in swap),
// and these hold: MemFree ≤ MemAvailable ≤ MemTotal, MemFree + Buffers + Cached +
// SReclaimable ≤ MemTotal, Shmem ≤ Cached, SwapFree ≤ SwapTotal.
//
// Where only the host limits, every number is the host's. The zero Meminfo is ready
// for ReadMeminfo.
type Meminfo struct {
	// Limited is Memory's: false where only the host limits.
	Limited bool

	// MemTotal and MemAvailable are Memory's Limit and Available. MemFree is the
	// limit less the usage, but no more than MemAvailable: where a wider level or
	// the host is fuller than the container, the room up to the own limit is not
	// all to be had.
	MemTotal, MemFree, MemAvailable int64

	// Cached is all of the page cache, with Shmem and with what the kernel shows of
	// the host as Buffers, which is 0. Mlocked is Unevictable: the kernel tells no
	// other number by cgroup, and little else is unevictable in a container.
	Buffers, Cached, SwapCached    int64
	Active, ActiveAnon, ActiveFile int64
	Inactive, InactiveAnon         int64
	InactiveFile                   int64
	Unevictable, Mlocked           int64

	// SwapTotal is Memory.SwapLimit. SwapFree is what the fullest level leaves of
	// its swap limit, and no more than the host's.
	SwapTotal, SwapFree, Zswap, Zswapped int64

	Dirty, Writeback, AnonPages, Mapped, Shmem int64

	// Kernel memory is not told by cgroup v1.
	KReclaimable, Slab, SReclaimable, SUnreclaim   int64
	KernelStack, PageTables, SecPageTables, Percpu int64

	AnonHugePages, ShmemHugePages, FileHugePages int64

	untold int64  // lines of memory that the kernel never tells by cgroup: 0
	text   []byte // the host's /proc/meminfo
}

// number is m's number for a line of /proc/meminfo, nil for a line that is no
// matter of a cgroup: CommitLimit, VmallocTotal, HugePages_Total and the like.
func (m *Meminfo) number(name []byte) *int64 {
	switch string(name) {
	case "MemTotal":
		return &m.MemTotal
	case "MemFree":
		return &m.MemFree
	case "MemAvailable":
		return &m.MemAvailable
	case "Buffers":
		return &m.Buffers
	case "Cached":
		return &m.Cached
	case "SwapCached":
		return &m.SwapCached
	case "Active":
		return &m.Active
	case "Inactive":
		return &m.Inactive
	case "Active(anon)":
		return &m.ActiveAnon
	case "Inactive(anon)":
		return &m.InactiveAnon
	case "Active(file)":
		return &m.ActiveFile
	case "Inactive(file)":
		return &m.InactiveFile
	case "Unevictable":
		return &m.Unevictable
	case "Mlocked":
		return &m.Mlocked
	case "SwapTotal":
		return &m.SwapTotal
	case "SwapFree":
		return &m.SwapFree
	case "Zswap":
		return &m.Zswap
	case "Zswapped":
		return &m.Zswapped
	case "Dirty":
		return &m.Dirty
	case "Writeback":
		return &m.Writeback
	case "AnonPages":
		return &m.AnonPages
	case "Mapped":
		return &m.Mapped
	case "Shmem":
		return &m.Shmem
	case "KReclaimable":
		return &m.KReclaimable
	case "Slab":
		return &m.Slab
	case "SReclaimable":
		return &m.SReclaimable
	case "SUnreclaim":
		return &m.SUnreclaim
	case "KernelStack":
		return &m.KernelStack
	case "PageTables":
		return &m.PageTables
	case "SecPageTables":
		return &m.SecPageTables
	case "Percpu":
		return &m.Percpu
	case "AnonHugePages":
		return &m.AnonHugePages
	case "ShmemHugePages":
		return &m.ShmemHugePages
	case "FileHugePages":
		return &m.FileHugePages
	case "ShadowCallStack", "NFS_Unstable", "Bounce", "WritebackTmp", "ShmemPmdMapped", "FilePmdMapped":
		return &m.untold
	}
	return nil
}

// ReadMeminfo reads m anew: Read, and then /proc/meminfo, the memory.stat of the
// level that decides and the swap of all levels. It allocates nothing once m's own
// buffer has its size. The error is Read's, or that there is no /proc/meminfo; m is
// empty then.
func (b *Budget) ReadMeminfo(m *Meminfo) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.readMeminfo(m)
	if err == nil && b.stale() { // the cgroup has gone since Read's part
		err = b.readMeminfo(m)
	}
	if err != nil {
		*m = Meminfo{text: m.text[:0]}
	}
	return err
}

func (b *Budget) readMeminfo(m *Meminfo) error {
	memory, err := b.current()
	if err != nil {
		return err
	}
	text, err := b.host.read(&b.in)
	if err != nil {
		return &os.PathError{Op: "read", Path: b.host.path, Err: err}
	}
	*m = Meminfo{text: append(m.text[:0], text...)}
	b.in.reject(b.host.path, m.parseHost())
	if memory.Limited {
		swapFree := b.swapFree(m.SwapFree)
		if l := b.decides(memory.LimitFrom); l != nil {
			*m = Meminfo{text: m.text}
			if text, err := l.stat.read(&b.in); err == nil {
				b.in.reject(l.stat.path, m.parseStat(text, b.rung.v1()))
			}
		}
		m.narrow(memory, swapFree)
	}
	return b.in.err
}

// decides is the level whose file Memory.LimitFrom names. There is none where
// SetLimit's limit is all that is known beside the host.
func (b *Budget) decides(from string) *level {
	for i := range b.levels {
		l := &b.levels[i]
		if from == "" || from == l.limit.path || from == l.stat.path {
			return l
		}
	}
	return nil
}

// swapFree is the least that a level leaves of its swap limit, at most free.
func (b *Budget) swapFree(free int64) int64 {
	for i := range b.levels {
		if u := b.readLevel(i, true); u.hasSwap && u.swapLimited {
			free = min(free, max(0, u.swapLimit-u.swapUsed))
		}
	}
	return free
}

// parseHost parses m.text, the host's /proc/meminfo.
func (m *Meminfo) parseHost() flaw {
	for at, rest := 1, m.text; len(rest) > 0; at++ {
		line, after, ok := bytes.Cut(rest, newline)
		if !ok {
			return flaw{at, line, wantLine}
		}
		rest = after
		name, value, _ := bytes.Cut(line, colon)
		to := m.number(name)
		if to == nil {
			continue
		}
		n, ok := parseKB(value)
		if !ok {
			return flaw{at, line, wantKB}
		}
		*to = n
	}
	return flaw{}
}

// narrow makes m's numbers those of a container with this memory. What is used of
// it is already there, from memory.stat, which may lag the usage.
func (m *Meminfo) narrow(memory Memory, swapFree int64) {
	m.Limited, m.untold = true, 0
	m.MemTotal = memory.Limit
	m.MemAvailable = memory.Available
	m.MemFree = min(max(0, memory.Limit-memory.Used), memory.Available)
	m.SwapTotal = memory.SwapLimit
	m.SwapFree = max(0, min(swapFree, memory.SwapLimit-memory.SwapUsed))
	for _, n := range []*int64{&m.MemTotal, &m.MemFree, &m.MemAvailable, &m.SwapTotal, &m.SwapFree} {
		*n = wholeKiB(*n)
	}

	used := m.MemTotal - m.MemFree
	for _, n := range []*int64{
		&m.SReclaimable, &m.SUnreclaim, &m.KernelStack, &m.PageTables, &m.SecPageTables, &m.Percpu,
		&m.Buffers, &m.Cached, &m.SwapCached, &m.Zswap, &m.Dirty, &m.Writeback,
		&m.AnonPages, &m.Mapped, &m.Shmem, &m.AnonHugePages, &m.ShmemHugePages, &m.FileHugePages,
		&m.ActiveAnon, &m.ActiveFile, &m.InactiveAnon, &m.InactiveFile, &m.Unevictable,
	} {
		*n = wholeKiB(min(*n, used))
	}
	m.Zswapped = wholeKiB(min(m.Zswapped, m.SwapTotal))
	m.SwapCached = min(m.SwapCached, m.SwapTotal)

	m.Buffers = min(m.Buffers, used-m.SReclaimable)
	m.Cached = min(m.Cached, used-m.SReclaimable-m.Buffers)
	m.Shmem = min(m.Shmem, m.Cached)
	m.ActiveFile = min(m.ActiveFile, used-m.ActiveAnon)
	m.InactiveFile = min(m.InactiveFile, used-m.InactiveAnon)
	m.SUnreclaim = min(m.SUnreclaim, used-m.SReclaimable)
	m.Active = m.ActiveAnon + m.ActiveFile
	m.Inactive = m.InactiveAnon + m.InactiveFile
	m.Mlocked = m.Unevictable
	m.KReclaimable = m.SReclaimable
	m.Slab = m.SReclaimable + m.SUnreclaim
}

func wholeKiB(n int64) int64 { return n &^ 1023 }

// Append appends the text of /proc/meminfo with m's numbers to buf: the lines of
// the host's own file in their order and the kernel's format, or that file as it is
// where only the host limits. It allocates only where buf is too small.
func (m *Meminfo) Append(buf []byte) []byte {
	if !m.Limited {
		return append(buf, m.text...)
	}
	for rest := m.text; len(rest) > 0; {
		var line []byte
		line, rest = nextLine(rest)
		name, _, _ := bytes.Cut(line, colon)
		if n := m.number(name); n != nil {
			buf = appendKB(buf, name, *n)
		} else {
			buf = append(append(buf, line...), '\n')
		}
	}
	return buf
}

// appendKB appends a line as fs/proc/meminfo.c prints it: the name in 16 columns,
// the number of KiB in 8, or as many as it needs.
func appendKB(buf, name []byte, bytes int64) []byte {
	var digits [20]byte
	number := strconv.AppendInt(digits[:0], bytes>>10, 10)
	start := len(buf)
	buf = append(append(buf, name...), ':')
	for len(buf)-start < max(16, 16+8-len(number)) {
		buf = append(buf, ' ')
	}
	return append(append(buf, number...), " kB\n"...)
}
