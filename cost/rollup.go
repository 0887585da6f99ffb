package cost

import (
	"bytes"
	"syscall"
)

// A way is how to read the exact bytes of a process. What was refused is not
// tried again while the process has the same owner, because security modules
// may log each refusal.
type way uint8

const (
	byRollup way = iota // smaps_rollup
	byOwner             // smaps_rollup with the file system ids of the process's owner
	byStatus            // statm and status
)

// measure reads the exact bytes of p: from smaps_rollup if it can, else
// resident − shared from statm and VmSwap from status. A process found gone is
// marked as ended.
func (t *table) measure(p *process) {
	p.exact = false
	b, uid, gid, err := t.fs.readOwned(p.pid, "statm")
	if p.follow(b, err); err != nil {
		return
	}
	if p.uid != uid || p.gid != gid {
		p.uid, p.gid, p.way = uid, gid, byRollup
	}
	bytes, ok := t.rollup(p)
	if !ok {
		if b, err = t.fs.read(p.pid, "status"); err != nil {
			p.ended = gone(err)
			return
		}
		p.swap, _ = kibibytes(b, "VmSwap")
		bytes = p.now.private() + p.swap
	}
	p.base, p.then, p.exact, p.high = bytes, p.now.private(), ok, 0
	if b, err = t.fs.read(p.pid, "status"); err == nil && !p.vfork {
		high, _ := kibibytes(b, "VmHWM")
		p.high = max(0, high-p.now.resident)
	}
}

// rollup is the exact bytes of p, as smaps_rollup tells them.
func (t *table) rollup(p *process) (bytes int64, ok bool) {
	b, err := t.readRollup(p)
	if err == syscall.ESRCH { // it is ending and has no memory any more
		p.swap = 0
		return 0, true
	}
	if err != nil {
		return 0, false
	}
	p.swap, _ = kibibytes(b, "SwapPss")
	if bytes, ok = parseRollup(b); p.private && ok {
		bytes, ok = kibibytes(b, "Private_Dirty")
		bytes += p.swap
	}
	if p.vfork = ok && t.borrows(p, b); p.vfork {
		bytes, p.swap = 0, 0
	}
	return bytes, ok
}

// readRollup reads smaps_rollup of p by p.way or, if that is refused, by the next.
func (t *table) readRollup(p *process) (b []byte, err error) {
	err = syscall.EACCES
	if p.way == byRollup {
		if b, err = t.fs.read(p.pid, "smaps_rollup"); refused(err) {
			p.way = byOwner
		}
	}
	if p.way == byOwner {
		if t.fs.euid == 0 && (p.uid != 0 || int(p.gid) != t.fs.egid) {
			b, err = t.fs.readAs(p.uid, p.gid, p.pid, "smaps_rollup")
		}
		if refused(err) {
			p.way = byStatus
		}
	}
	return b, err
}

// borrows tells whether text, the smaps_rollup of p, is that of its parent's own memory,
// in which a child runs from vfork(2) or posix_spawn(3) until it executes a program:
// nothing in it differs, and the pages do not count as shared by the two. The parent's is
// read for it only where the two are about the same size.
func (t *table) borrows(p *process, text []byte) bool {
	parent := t.find(p.ppid)
	if parent == nil || parent.owner != p.owner || !p.near(parent) {
		return false
	}
	own, ok := kibibytes(text, "Pss_Anon")
	all, okAll := kibibytes(text, "Anonymous") // Linux 5.4, as the other
	if !ok || !okAll || own/3 <= all/4 {
		return false
	}
	t.other = append(t.other[:0], text...)
	text, err := t.readRollup(parent)
	return err == nil && bytes.Equal(text, t.other)
}

// near tells whether p has about as much memory as its parent, as one has that runs in
// it: the two are not looked at in the same instant.
func (p *process) near(parent *process) bool {
	a, b := p.now.resident, parent.now.resident
	return !parent.ended && max(a, b)-min(a, b) <= a/16
}

// parseRollup returns Pss_Anon + Pss_Shmem + SwapPss of smaps_rollup in bytes.
//
// Before Linux 5.4 there is only Pss, file pages included. From it parseRollup
// makes Private_Dirty + SwapPss + the share that Shared_Dirty has, in
// proportion to Shared_Clean, of the rest of Pss (Pss − Private_Clean −
// Private_Dirty): anonymous and shared memory is dirty and program text is
// clean, except for clean anonymous pages and dirty mapped files.
func parseRollup(b []byte) (bytes int64, ok bool) {
	swap, _ := kibibytes(b, "SwapPss")
	if anon, ok := kibibytes(b, "Pss_Anon"); ok {
		shmem, ok := kibibytes(b, "Pss_Shmem")
		return anon + shmem + swap, ok
	}
	pss, ok := kibibytes(b, "Pss")
	if !ok {
		return 0, false
	}
	private, _ := kibibytes(b, "Private_Dirty")
	privateClean, _ := kibibytes(b, "Private_Clean")
	shared, _ := kibibytes(b, "Shared_Dirty")
	sharedClean, _ := kibibytes(b, "Shared_Clean")
	rest := max(0, pss-private-privateClean)
	if shared+sharedClean > 0 {
		rest = int64(float64(rest) * float64(shared) / float64(shared+sharedClean))
	}
	return private + rest + swap, true
}

// kibibytes returns, in bytes, the value of a line "key: 1234 kB".
func kibibytes(b []byte, key string) (int64, bool) {
	for len(b) > 0 {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		if len(line) <= len(key) || string(line[:len(key)]) != key || line[len(key)] != ':' {
			continue
		}
		n, unit, ok := decimal(bytes.TrimLeft(line[len(key)+1:], " \t"))
		return n << 10, ok && string(unit) == " kB"
	}
	return 0, false
}
