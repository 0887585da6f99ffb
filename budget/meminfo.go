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

// parseMeminfo parses /proc/meminfo, whose "kB" are 1024 bytes. Kernels before
// 3.14 print no MemAvailable; free memory and the file pages stand in for it.
func parseMeminfo(text []byte) (host, flaw) {
	var h host
	var free, inactiveFile, activeFile int64
	hasAvailable := false
	for at := 1; len(text) > 0; at++ {
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			return host{}, flaw{at, text, wantLine}
		}
		line := text[:i]
		text = text[i+1:]
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			continue
		}
		var to *int64
		switch string(line[:colon]) {
		case "MemTotal":
			to = &h.total
		case "MemFree":
			to = &free
		case "MemAvailable":
			to = &h.available
			hasAvailable = true
		case "Active(file)":
			to = &activeFile
		case "Inactive(file)":
			to = &inactiveFile
		case "SReclaimable":
			to = &h.slab
		case "SwapTotal":
			to = &h.swapTotal
		case "SwapFree":
			to = &h.swapFree
		default:
			continue
		}
		n, ok := parseKB(line[colon+1:])
		if !ok {
			return host{}, flaw{at, line, wantKB}
		}
		*to = n
	}
	if h.total == 0 {
		return host{}, flaw{1, nil, "the text of meminfo, with a MemTotal above 0"}
	}
	h.file = add(activeFile, inactiveFile)
	if !hasAvailable {
		h.available = add(free, h.file)
	}
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
