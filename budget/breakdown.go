package budget

import (
	"bytes"
	"math"
)

// parseStat takes from memory.stat what the level's memory is used for. v1 tells
// it of the level alone as well, and of all that is below it by names that begin
// with "total_".
func (m *Meminfo) parseStat(text []byte, v1 bool) flaw {
	for at := 1; len(text) > 0; at++ {
		line, after, ok := bytes.Cut(text, newline)
		if !ok {
			return flaw{at, line, wantLine}
		}
		text = after
		name, number, _ := bytes.Cut(line, space)
		var to *int64
		if !v1 {
			to = m.told2(name)
		} else if name, ok := bytes.CutPrefix(name, total); ok {
			to = m.told1(name)
		}
		if to == nil {
			continue
		}
		n, ok := parseNumber(number)
		if !ok || n == math.MaxInt64 {
			return flaw{at, line, wantKeyed}
		}
		*to = n
	}
	return flaw{}
}

var total = []byte("total_")

// told2 is the number that a line of cgroup v2's memory.stat gives
// (Documentation/admin-guide/cgroup-v2.rst).
func (m *Meminfo) told2(name []byte) *int64 {
	switch string(name) {
	case "anon":
		return &m.AnonPages
	case "file": // without swapcached, which the kernel counts as file pages of the host alone
		return &m.Cached
	case "kernel_stack":
		return &m.KernelStack
	case "pagetables":
		return &m.PageTables
	case "sec_pagetables":
		return &m.SecPageTables
	case "percpu":
		return &m.Percpu
	case "zswap":
		return &m.Zswap
	case "zswapped":
		return &m.Zswapped
	case "file_mapped":
		return &m.Mapped
	case "file_dirty":
		return &m.Dirty
	case "file_writeback":
		return &m.Writeback
	case "anon_thp":
		return &m.AnonHugePages
	case "file_thp":
		return &m.FileHugePages
	case "shmem_thp":
		return &m.ShmemHugePages
	case "slab_reclaimable":
		return &m.SReclaimable
	case "slab_unreclaimable":
		return &m.SUnreclaim
	}
	return m.toldAlike(name)
}

// told1 is the number that a "total_" line of cgroup v1's memory.stat gives
// (Documentation/admin-guide/cgroup-v1/memory.rst).
func (m *Meminfo) told1(name []byte) *int64 {
	switch string(name) {
	case "rss": // anonymous pages; not what ps calls RSS
		return &m.AnonPages
	case "cache":
		return &m.Cached
	case "mapped_file":
		return &m.Mapped
	case "dirty":
		return &m.Dirty
	case "writeback":
		return &m.Writeback
	case "rss_huge":
		return &m.AnonHugePages
	}
	return m.toldAlike(name)
}

// toldAlike is what both versions have by the same name.
func (m *Meminfo) toldAlike(name []byte) *int64 {
	switch string(name) {
	case "shmem":
		return &m.Shmem
	case "swapcached":
		return &m.SwapCached
	case "inactive_anon":
		return &m.InactiveAnon
	case "active_anon":
		return &m.ActiveAnon
	case "inactive_file":
		return &m.InactiveFile
	case "active_file":
		return &m.ActiveFile
	case "unevictable":
		return &m.Unevictable
	}
	return nil
}
