package budget

import "math"

// level1 names the memory files of one directory of cgroup v1, as
// Documentation/admin-guide/cgroup-v1/memory.rst lists them.
func level1(dir string) level {
	return level{
		dir:       dir,
		limit:     file{path: dir + "/memory.limit_in_bytes"},
		usage:     file{path: dir + "/memory.usage_in_bytes"},
		stat:      file{path: dir + "/memory.stat"},
		events:    file{path: dir + "/memory.oom_control"},
		swapLimit: file{path: dir + "/memory.memsw.limit_in_bytes"},
		swapUsage: file{path: dir + "/memory.memsw.usage_in_bytes"},
		peak:      file{path: dir + "/memory.max_usage_in_bytes"},
		swapPeak:  file{path: dir + "/memory.memsw.max_usage_in_bytes"},
		failcnt:   file{path: dir + "/memory.failcnt"},
		swapFails: file{path: dir + "/memory.memsw.failcnt"},
	}
}

// read1 is read2 for cgroup v1. The outermost level's memory.stat also tells
// the limit of ancestors that cannot be seen.
func (l *level) read1(buf *[]byte, own, need, swap bool) usage {
	var u usage
	u.limit, u.limited = l.limit.limitValue(buf)
	if own {
		if text, err := l.events.read(buf); err == nil {
			u.oomKills, _ = parseEvents(text)
		}
		u.maxEvents, _ = l.failcnt.value(buf)
		// Charged first, this is the counter that fails where both limits are equal.
		both, _ := l.swapFails.value(buf)
		u.maxEvents = add(u.maxEvents, both)
	}
	if l.hasHidden {
		need = true
	}
	var s stat
	if u.limited || need {
		u.used, _ = l.usage.value(buf)
		if text, err := l.stat.read(buf); err == nil {
			s = parseStat1(text)
			u.reclaimable, u.clean = s.reclaim()
		}
		if l.hasHidden && s.hasHierarchicalLimit && (!u.limited || s.hierarchicalLimit < u.limit) {
			u.limit, u.limited, u.hidden = s.hierarchicalLimit, true, true
		}
		u.free = u.limit - u.used
	}
	if swap {
		l.readSwap1(buf, own, &u)
	}
	return u
}

// readSwap1 reads the limit and usage of memory and swap together. That limit
// can refuse anonymous memory before the memory's own does: what was swapped out
// counts against it.
func (l *level) readSwap1(buf *[]byte, own bool, u *usage) {
	both, limited := l.swapLimit.limitValue(buf)
	limited = limited && u.limited
	if !limited && !own {
		return
	}
	used, ok := l.swapUsage.value(buf)
	if !ok {
		return
	}
	memory := u.used
	if !u.limited {
		memory, _ = l.usage.value(buf)
	}
	u.swapUsed, u.hasSwap = max(0, used-memory), true
	if limited {
		u.swapLimit, u.swapLimited = max(0, both-u.limit), true
		u.free = min(u.free, both-used)
	}
}

// limitValue reads a limit of v1, where no limit is the largest int64 rounded
// down to a page.
func (f *file) limitValue(buf *[]byte) (int64, bool) {
	n, ok := f.value(buf)
	return n, ok && n < unlimited1
}

// unlimited1 is below the v1 kernel's "no limit" for every size of page and above
// every memory.
const unlimited1 = math.MaxInt64 - 1<<20

// parseStat1 parses memory.stat of cgroup v1.
func parseStat1(text []byte) stat {
	var s stat
	for len(text) > 0 {
		var line []byte
		line, text = nextLine(text)
		key, value, ok := cutKey(line)
		if !ok {
			continue
		}
		switch string(key) {
		case "total_inactive_file":
			s.inactiveFile = value
		case "total_active_file":
			s.activeFile = value
		case "total_dirty":
			s.dirty = value
		case "total_writeback":
			s.writeback = value
		case "hierarchical_memory_limit":
			s.hierarchicalLimit, s.hasHierarchicalLimit = value, value < unlimited1
		}
	}
	return s
}
