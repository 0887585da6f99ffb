package budget

import (
	"bytes"
	"os"
	"time"
)

// marks are sums over all zones of memory, in bytes: what the kernel's allocator
// manages, and its watermarks.
type marks struct {
	managed, low, high int64
}

// marksAge is how old the marks may be: vm.min_free_kbytes, which they follow, and
// the memory that there is change seldom, and the file is long.
const marksAge = 5 * time.Minute

// readMarks reads /proc/zoneinfo; without it there are none.
func (b *Budget) readMarks() marks {
	path := b.root + "/proc/zoneinfo"
	text, err := b.in.all(path)
	if err != nil {
		return marks{}
	}
	m, f := parseZoneinfo(text)
	b.in.reject(path, f)
	page := int64(os.Getpagesize())
	return marks{m.managed * page, m.low * page, m.high * page}
}

// parseZoneinfo adds up the lines "low", "high" and "managed" of
// /proc/zoneinfo (proc(5)), in pages.
func parseZoneinfo(text []byte) (marks, flaw) {
	var m marks
	for at := 1; len(text) > 0; at++ {
		line, rest, ended := bytes.Cut(text, newline)
		text = rest
		if !ended {
			return marks{}, flaw{at, line, wantLine}
		}
		name, number, _ := bytes.Cut(bytes.TrimLeft(line, " "), space)
		var to *int64
		switch string(name) {
		case "low":
			to = &m.low
		case "high":
			to = &m.high
		case "managed":
			to = &m.managed
		default:
			continue
		}
		n, ok := parseNumber(bytes.TrimLeft(number, " "))
		if !ok || n > mostPages-*to {
			return marks{}, flaw{at, line, "a name and a number of pages"}
		}
		*to += n
	}
	return m, flaw{}
}

// mostPages is above any memory, and its bytes are within int64 for every size of
// page.
const mostPages = 1 << 40

// taking is what one process can take before the kernel kills, where available
// is what can be had without trouble: MemAvailable leaves the high watermarks free,
// where the kernel kills below the low ones, and counts neither the last of the page
// cache nor of the reclaimable slab, up to half of it (mm/show_mem.c,
// si_mem_available). Marks that are not those of this memory, as where lxcfs shows
// a container's own MemTotal, do not count.
func (h host) taking(m marks) int64 {
	if h.available == 0 || m.managed < h.total-h.total/16 || m.managed > h.total+h.total/16 {
		return h.available
	}
	more := max(0, m.high-m.low) + min(h.file/2, m.low) + min(h.slab/2, m.low) - (h.slab - reclaimableSlab(h.slab))
	return min(h.total, h.available+max(0, more))
}

// reclaimableSlab is how much of n bytes of slab that counts as reclaimable can be
// reclaimed: all but 512 KiB for names and inodes in use, and what the kernel keeps for
// pages.
func reclaimableSlab(n int64) int64 { return max(0, n-512<<10) }
