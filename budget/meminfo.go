package budget

import (
	"bytes"
	"math"
	"os"
	"syscall"
)

// host is what the host has, in bytes.
type host struct {
	total, available    int64
	swapTotal, swapFree int64
	file, slab          int64 // page cache on the file lists, reclaimable slab
	commit              int64 // CommitLimit − Committed_AS
	hasCommit           bool
}

// readHost reads /proc/meminfo. Where /proc is not mounted sysinfo(2) serves, which
// does not tell MemAvailable: free memory and buffers stand in for it.
func (b *Budget) readHost() (host, error) {
	text, err := b.host.read(&b.in)
	if err == nil {
		h, f := parseMeminfo(text)
		b.in.reject(b.host.path, f)
		return h, b.in.err
	}
	var info syscall.Sysinfo_t
	if b.root != "" || syscall.Sysinfo(&info) != nil {
		return host{}, &os.PathError{Op: "read", Path: b.host.path, Err: err}
	}
	unit := int64(info.Unit)
	h := host{
		total:     int64(info.Totalram) * unit,
		available: int64(info.Freeram+info.Bufferram) * unit,
		swapTotal: int64(info.Totalswap) * unit,
		swapFree:  int64(info.Freeswap) * unit,
	}
	return h.clamped(), nil
}

// The lines of /proc/meminfo that parseMeminfo looks at.
const (
	memTotal = iota
	memFree
	memAvailable
	activeFile
	inactiveFile
	sReclaimable
	swapTotal
	swapFree
	commitLimit
	committedAS
	meminfoLines
)

func meminfoLine(name []byte) int {
	switch string(name) {
	case "MemTotal":
		return memTotal
	case "MemFree":
		return memFree
	case "MemAvailable":
		return memAvailable
	case "Active(file)":
		return activeFile
	case "Inactive(file)":
		return inactiveFile
	case "SReclaimable":
		return sReclaimable
	case "SwapTotal":
		return swapTotal
	case "SwapFree":
		return swapFree
	case "CommitLimit":
		return commitLimit
	case "Committed_AS":
		return committedAS
	}
	return -1
}

// parseMeminfo parses /proc/meminfo, whose "kB" are 1024 bytes. Kernels before
// 3.14 print no MemAvailable; free memory and the file pages stand in for it.
func parseMeminfo(text []byte) (host, flaw) {
	var found [meminfoLines]int64
	for i := range found {
		found[i] = -1
	}
	at := 1
	for ; len(text) > 0; at++ {
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			return host{}, flaw{at, text, wantLine}
		}
		line := text[:i]
		text = text[i+1:]
		name, value, isLine := bytes.Cut(line, colon)
		k := meminfoLine(name)
		if !isLine || k < 0 {
			continue
		}
		n, ok := parseKB(value)
		if !ok {
			return host{}, flaw{at, line, wantKB}
		}
		found[k] = n
	}
	h := host{
		total: found[memTotal], available: found[memAvailable], slab: max(0, found[sReclaimable]),
		swapTotal: found[swapTotal], swapFree: found[swapFree],
		file:   add(max(0, found[activeFile]), max(0, found[inactiveFile])),
		commit: found[commitLimit] - found[committedAS], hasCommit: found[commitLimit] >= 0 && found[committedAS] >= 0,
	}
	old := h.available < 0
	switch {
	case h.total <= 0:
		return host{}, flaw{1, nil, "the text of meminfo, with a MemTotal above 0"}
	case (h.swapTotal < 0) != (h.swapFree < 0):
		return host{}, flaw{at, nil, "a line of SwapTotal and one of SwapFree"}
	case old && (found[memFree] < 0 || found[activeFile] < 0 || found[inactiveFile] < 0):
		return host{}, flaw{at, nil, "a line of MemAvailable"}
	case old:
		h.available = add(found[memFree], h.file)
	}
	h.swapTotal, h.swapFree = max(0, h.swapTotal), max(0, h.swapFree)
	return h.clamped(), flaw{}
}

// parseKB parses "     24684092 kB" to bytes.
func parseKB(text []byte) (int64, bool) {
	text, ok := bytes.CutSuffix(bytes.TrimLeft(text, " "), []byte(" kB"))
	n, isNumber := parseNumber(text)
	if !ok || !isNumber || n > math.MaxInt64>>10 {
		return 0, false
	}
	return n << 10, true
}

// clamped keeps what is free within what there is.
func (h host) clamped() host {
	h.available = min(h.available, h.total)
	h.swapFree = min(h.swapFree, h.swapTotal)
	return h
}
