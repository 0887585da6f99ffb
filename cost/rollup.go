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
	p.base, p.then, p.exact = bytes, p.now.private(), ok
}

// rollup reads smaps_rollup of p by p.way or, if that is refused, by the next.
func (t *table) rollup(p *process) (bytes int64, ok bool) {
	var b []byte
	err := error(syscall.EACCES)
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
	if err == syscall.ESRCH { // it is ending and has no memory any more
		p.swap = 0
		return 0, true
	}
	if err != nil {
		return 0, false
	}
	p.swap, _ = kibibytes(b, "SwapPss")
	return parseRollup(b)
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
