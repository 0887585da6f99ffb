package budget

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
func (l *level) read1(in *input, own, need, swap bool) usage {
	var u usage
	u.limit, u.limited = l.limit.limitValue(in)
	if own {
		if text, err := l.events.read(in); err == nil {
			var f flaw
			u.oomKills, _, f = parseEvents(text)
			in.reject(l.events.path, f)
		}
		u.maxEvents, _ = l.failcnt.value(in)
		// Charged first, this is the counter that fails where both limits are equal.
		both, _ := l.swapFails.value(in)
		u.maxEvents = add(u.maxEvents, both)
	}
	if l.hasHidden {
		need = true
	}
	var s stat
	if u.limited || need {
		u.used, _ = l.usage.value(in)
		if text, err := l.stat.read(in); err == nil {
			var f flaw
			s, f = parseStat1(text)
			in.reject(l.stat.path, f)
			u.reclaimable, u.clean = s.reclaim(0)
		}
		if l.hasHidden && s.hasHierarchicalLimit && (!u.limited || s.hierarchicalLimit < u.limit) {
			u.limit, u.limited, u.hidden = s.hierarchicalLimit, true, true
		}
		u.free = u.limit - u.used
	}
	if swap {
		l.readSwap1(in, own, &u)
	}
	return u
}

// readSwap1 reads the limit and usage of memory and swap together. That limit
// can refuse anonymous memory before the memory's own does: what was swapped out
// counts against it.
func (l *level) readSwap1(in *input, own bool, u *usage) {
	both, limited := l.swapLimit.limitValue(in)
	limited = limited && u.limited
	if !limited && !own {
		return
	}
	used, ok := l.swapUsage.value(in)
	if !ok {
		return
	}
	memory := u.used
	if !u.limited {
		memory, _ = l.usage.value(in)
	}
	u.swapUsed, u.hasSwap = max(0, used-memory), true
	if limited {
		u.swapLimit, u.swapLimited = max(0, both-u.limit), true
		u.free = min(u.free, both-used)
	}
}

// stat1Keys are the lines of memory.stat that parseStat1 looks at.
var stat1Keys = []string{"total_inactive_file", "total_active_file", "total_dirty", "total_writeback", "hierarchical_memory_limit"}

// parseStat1 parses memory.stat of cgroup v1.
func parseStat1(text []byte) (stat, flaw) {
	n, f := parseKeyed(text, stat1Keys)
	if f.line == 0 && (n[0] < 0 || n[1] < 0) {
		f = flaw{countLines(text), nil, "a line of total_inactive_file and one of total_active_file"}
	}
	return stat{
		inactiveFile: n.or0(0), activeFile: n.or0(1), dirty: n.or0(2), writeback: n.or0(3),
		hierarchicalLimit: n[4], hasHierarchicalLimit: n[4] >= 0 && n[4] < unlimited1,
	}, f
}
