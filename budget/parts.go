package budget

import "os"

// Parts is what memory is used for, in bytes: of the process's own level, children
// included, or of the host where there is no memory cgroup. It does not add up to
// the usage, in which there is also what the kernel keeps for itself.
type Parts struct {
	// Anon is anonymous memory (anon of memory.stat on cgroup v2, total_rss on v1,
	// where pages in the swap cache count as well; AnonPages of /proc/meminfo).
	Anon int64

	// File is the page cache, tmpfs and shared memory included (file, total_cache;
	// Cached + Buffers), and Shmem these alone (shmem, total_shmem; Shmem). Kernels
	// that do not tell Shmem have it 0.
	File  int64
	Shmem int64

	// PagesIn and PagesOut are how often a page was charged and given back since the
	// level was made (total_pgpgin, total_pgpgout): cgroup v1 alone tells them, and
	// HasPages says so.
	PagesIn, PagesOut int64
	HasPages          bool
}

// Parts reads memory.stat of the process's own level, or /proc/meminfo. Unlike Read
// it does not look for files that have gone. The error is a *FormatError where the
// file does not say what the kernel would say, else that it cannot be read.
func (b *Budget) Parts() (Parts, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return Parts{}, ErrClosed
	}
	b.in.start()
	file, parse := &b.host, parseParts
	if len(b.levels) > 0 {
		file, parse = &b.levels[0].stat, parseParts2
		if b.rung.v1() {
			parse = parseParts1
		}
	}
	text, err := file.read(&b.in)
	if b.in.err != nil {
		return Parts{}, b.in.err
	}
	if err != nil {
		path := file.path
		if path == "" { // systemd does not tell it
			path = b.levels[0].dir
		}
		return Parts{}, &os.PathError{Op: "read", Path: path, Err: err}
	}
	p, f := parse(text)
	b.in.reject(file.path, f)
	return p, b.in.err
}

var (
	parts2Keys = []string{"anon", "file", "shmem"}
	parts1Keys = []string{"total_rss", "total_cache", "total_shmem", "total_pgpgin", "total_pgpgout"}
)

// parseParts2 parses memory.stat of cgroup v2.
func parseParts2(text []byte) (Parts, flaw) {
	n, f := parseKeyed(text, parts2Keys)
	if f.line == 0 && (n[0] < 0 || n[1] < 0) {
		f = flaw{countLines(text), nil, "a line of anon and one of file"}
	}
	if f.line > 0 {
		return Parts{}, f
	}
	return Parts{Anon: n[0], File: n[1], Shmem: n.or0(2)}, flaw{}
}

// parseParts1 parses memory.stat of cgroup v1.
func parseParts1(text []byte) (Parts, flaw) {
	n, f := parseKeyed(text, parts1Keys)
	if f.line == 0 && (n[0] < 0 || n[1] < 0) {
		f = flaw{countLines(text), nil, "a line of total_rss and one of total_cache"}
	}
	if f.line > 0 {
		return Parts{}, f
	}
	return Parts{
		Anon: n[0], File: n[1], Shmem: n.or0(2),
		PagesIn: n.or0(3), PagesOut: n.or0(4), HasPages: n[3] >= 0 && n[4] >= 0,
	}, flaw{}
}

// parseParts parses /proc/meminfo. A host has anonymous memory.
func parseParts(text []byte) (Parts, flaw) {
	m := Meminfo{text: text}
	f := m.parseHost()
	if f.line == 0 && m.AnonPages == 0 {
		f = flaw{1, nil, "the text of meminfo, with a line of AnonPages"}
	}
	if f.line > 0 {
		return Parts{}, f
	}
	return Parts{Anon: m.AnonPages, File: add(m.Cached, m.Buffers), Shmem: m.Shmem}, flaw{}
}
