package leaf

import (
	"bytes"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Cost is what the container would get back if the worker ended, in bytes:
// anonymous memory, shmem and what the kernel keeps for it and cannot drop, sockets'
// buffers included, from memory.stat, and memory.swap.current. The page cache is no part of it, as
// memory.current has it. It is false where the cgroup is gone. It allocates
// nothing.
func (l *Leaf) Cost() (n int64, ok bool) {
	text := l.read(l.stat)
	if text == nil {
		return 0, false
	}
	n = cost(text)
	if text := l.read(l.swap); text != nil {
		swap, _ := number(bytes.TrimSuffix(text, newline))
		n += swap
	}
	return n, true
}

// cost is Cost's part of memory.stat. Before Linux 5.18 there is no line of all
// that the kernel keeps, but one for each kind.
func cost(stat []byte) int64 {
	var memory, kernel, kinds, reclaimable int64
	for len(stat) > 0 {
		line, rest, _ := bytes.Cut(stat, newline)
		stat = rest
		key, text, found := bytes.Cut(line, space)
		value, ok := number(text)
		if !found || !ok {
			continue
		}
		switch string(key) {
		case "anon", "shmem", "sock":
			memory += value
		case "kernel":
			kernel = value
		case "kernel_stack", "pagetables", "percpu", "slab_unreclaimable":
			kinds += value
		case "slab_reclaimable":
			reclaimable = value
		}
	}
	return memory + max(kinds, kernel-reclaimable)
}

// Parts is what a cgroup is charged with, in bytes: anon, file (shmem included)
// and shmem of memory.stat, and memory.swap.current.
type Parts struct{ Anon, File, Shmem, Swap int64 }

// Parts is false where the cgroup is gone.
func (l *Leaf) Parts() (p Parts, ok bool) {
	stat := l.read(l.stat)
	if stat == nil {
		return Parts{}, false
	}
	for len(stat) > 0 {
		line, rest, _ := bytes.Cut(stat, newline)
		stat = rest
		key, text, _ := bytes.Cut(line, space)
		value, _ := number(text)
		switch string(key) {
		case "anon":
			p.Anon = value
		case "file":
			p.File = value
		case "shmem":
			p.Shmem = value
		}
	}
	if text := l.read(l.swap); text != nil {
		p.Swap, _ = number(bytes.TrimSuffix(text, newline))
	}
	return p, true
}

// Peak is the most that the cgroup was charged with in bytes, page cache included:
// memory.peak, Linux 5.19. Before 6.12 it is that of all workers that were in it.
// It is false where the kernel does not tell.
func (l *Leaf) Peak() (n int64, ok bool) {
	return number(bytes.TrimSuffix(l.read(l.peak), newline))
}

// OOMKills is how many processes in the cgroup the kernel has killed for memory:
// oom_kill of memory.events.
func (l *Leaf) OOMKills() int64 {
	for text := l.read(l.events); len(text) > 0; {
		line, rest, _ := bytes.Cut(text, newline)
		text = rest
		if value, found := bytes.CutPrefix(line, oomKill); found {
			n, _ := number(value)
			return n
		}
	}
	return 0
}

var newline, space, oomKill = []byte("\n"), []byte(" "), []byte("oom_kill ")

// read gives the text of an open file of the kernel's, nil where it has none.
// The kernel makes it in memory, so the Go scheduler is not told of the call.
func (l *Leaf) read(fd int) []byte {
	if fd < 0 {
		return nil
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(&l.buf[0])), uintptr(len(l.buf)), 0, 0, 0)
	if errno != 0 {
		return nil
	}
	return l.buf[:n]
}

// number reads a decimal number.
func number(text []byte) (n int64, ok bool) {
	if len(text) == 0 || len(text) > 18 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
