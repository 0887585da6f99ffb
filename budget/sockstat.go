package budget

import "bytes"

// pinned is the part of slab_reclaimable that the sockets of this network namespace
// keep in use, 1 KiB each: the kernel counts a socket's inode and name there as well
// (sock_inode_cache, dentry).
func (in *input) pinned() int64 {
	if in.used >= 0 {
		return in.used << 10
	}
	in.used = 0
	if text, err := in.sockets.read(in); err == nil {
		n, f := parseSockstat(text)
		in.reject(in.sockets.path, f)
		in.used = n
	}
	return in.used << 10
}

// parseSockstat parses the first line of /proc/net/sockstat (proc(5)), "sockets: used
// N".
func parseSockstat(text []byte) (int64, flaw) {
	line, _, ended := bytes.Cut(text, newline)
	number, isUsed := bytes.CutPrefix(line, []byte("sockets: used "))
	n, ok := parseNumber(number)
	if !ended || !isUsed || !ok || n > 1<<40 {
		return 0, flaw{1, line, `"sockets: used" and a number`}
	}
	return n, flaw{}
}
