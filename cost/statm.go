package cost

import "syscall"

var pageSize = int64(syscall.Getpagesize())

// A statm is what /proc/PID/statm says of one process, in bytes.
type statm struct {
	resident int64
	shared   int64 // resident pages of files and of shared memory
}

// private returns the resident anonymous pages, those shared by fork included.
func (s statm) private() int64 {
	return s.resident - s.shared
}

// parseStatm reads pages: total, resident, shared and more.
func parseStatm(b []byte) (statm, bool) {
	var n [3]int64
	for i := range n {
		var ok bool
		if n[i], b, ok = decimal(b); !ok || len(b) == 0 || b[0] != ' ' {
			return statm{}, false
		}
		b = b[1:]
	}
	return statm{resident: n[1] * pageSize, shared: n[2] * pageSize}, true
}

// follow reads statm of p into p.now. A process found gone is marked as ended.
func (t *table) follow(p *process) {
	b, err := t.fs.read(p.pid, "statm")
	p.follow(b, err)
}

func (p *process) follow(b []byte, err error) {
	if err != nil {
		p.ended = gone(err)
		return
	}
	s, ok := parseStatm(b)
	switch {
	case !ok:
	case s.resident == 0 && p.now.resident > 0:
		p.ended = true // its memory is gone already: it keeps what it had
	default:
		p.now = s
	}
}
