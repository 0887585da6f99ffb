package budget

import (
	"bytes"
	"strconv"
)

// Source is one number that a Budget uses and where it comes from.
type Source struct {
	Name    string // what it is, by the kernel's name: "memory.max", "MemTotal"
	File    string // the file or system call that tells it
	Value   string // what it says, without unit as the kernel prints it; bytes for MemTotal and the like
	Missing string // why there is no value; empty where there is one
}

// Sources reads everything anew and lists each number with its file: the levels of
// the memory cgroup from the process's own outwards, then the host, the
// resource limits and the CPUs. A number that is missing is listed with the
// reason.
func (b *Budget) Sources() []Source {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	_ = b.ask() // what is told below is told with its reason where it is missing
	var s []Source
	if b.rung == rungHost {
		s = append(s, Source{Name: "memory cgroup", File: b.root + "/proc/self/mountinfo", Missing: "no level with a limit or usage to read"})
	}
	for i := range b.levels {
		l := &b.levels[i]
		for _, f := range l.files() {
			switch {
			case f.path == "" || i > 0 && l.ownOnly(f) || f == &l.stat && b.rung == rungProcesses:
			case f == &l.stat && b.rung.v1():
				s = append(s, b.keys(f, stat1Keys)...)
			case f == &l.stat:
				s = append(s, b.keys(f, stat2Keys)...)
			case f == &l.events && b.rung.v1():
				s = append(s, b.keys(f, eventKeys[:1])...)
			case f == &l.events:
				s = append(s, b.keys(f, eventKeys)...)
			default:
				s = append(s, b.single(f))
			}
		}
	}
	s = append(s, b.notes...)
	s = append(s, b.hostSources()...)
	s = append(s, rlimitSources()...)
	return append(s, b.cpuSources()...)
}

// single is the source of a file of one number.
func (b *Budget) single(f *file) Source {
	s := Source{Name: base(f.path), File: f.path}
	text, err := f.read(&b.in)
	if err != nil {
		s.Missing = err.Error()
		return s
	}
	s.Value = string(bytes.TrimSpace(text))
	return s
}

// keys are the sources of some lines of a flat keyed file.
func (b *Budget) keys(f *file, names []string) []Source {
	var list []Source
	text, err := f.read(&b.in)
	for _, name := range names {
		s := Source{Name: name, File: f.path, Missing: "not in the file"}
		if err != nil {
			s.Missing = err.Error()
		}
		for rest := text; len(rest) > 0; {
			var line []byte
			line, rest = nextLine(rest)
			if key, value, ok := bytes.Cut(line, []byte(" ")); ok && string(key) == name {
				s.Value, s.Missing = string(value), ""
			}
		}
		list = append(list, s)
	}
	return list
}

func (b *Budget) hostSources() []Source {
	path := b.host.path
	h, err := b.readHost()
	if err != nil {
		return []Source{{Name: "MemTotal", File: path, Missing: err.Error()}}
	}
	if b.host.state == fileMissing {
		path = "sysinfo(2)"
	}
	return []Source{
		bytesSource("MemTotal", path, h.total),
		bytesSource("MemAvailable", path, h.available),
		bytesSource("SwapTotal", path, h.swapTotal),
		bytesSource("SwapFree", path, h.swapFree),
	}
}

func (b *Budget) cpuSources() []Source {
	var s []Source
	var in input // a file that is not as it should be is listed as it is
	for _, q := range cpuQuotas(&in, b.places, b.quotas) {
		s = append(s, Source{Name: base(q.file), File: q.file, Value: q.text})
	}
	for _, l := range b.cpuSets(&in, b.places) {
		source := Source{Name: l.name, File: l.file, Value: l.text}
		if l.err != nil {
			source.Missing = l.err.Error()
		}
		s = append(s, source)
	}
	return s
}

func bytesSource(name, file string, n int64) Source {
	return Source{Name: name, File: file, Value: strconv.FormatInt(n, 10)}
}
