package budget

// level2 names the memory files of one directory of cgroup v2, as
// Documentation/admin-guide/cgroup-v2.rst lists them.
func level2(dir string) level {
	return level{
		dir:       dir,
		limit:     file{path: dir + "/memory.max"},
		usage:     file{path: dir + "/memory.current"},
		peak:      file{path: dir + "/memory.peak"},
		stat:      file{path: dir + "/memory.stat"},
		events:    file{path: dir + "/memory.events"},
		swapLimit: file{path: dir + "/memory.swap.max"},
		swapUsage: file{path: dir + "/memory.swap.current"},
		high:      file{path: dir + "/memory.high"},
		oomGroup:  file{path: dir + "/memory.oom.group"},
	}
}

// read2 reads one level: always the limits, usage and statistics where there is a
// limit or need asks for them, the counts of the process's own level. A limit of
// "max" is no number and so no limit.
func (l *level) read2(buf *[]byte, own, need, swap bool) usage {
	var u usage
	u.limit, u.limited = l.limit.value(buf)
	u.high, u.hasHigh = l.high.value(buf)
	group, _ := l.oomGroup.value(buf)
	u.oomGroup = group == 1
	if swap {
		u.swapLimit, u.swapLimited = l.swapLimit.value(buf)
	}
	if own {
		if text, err := l.events.read(buf); err == nil {
			u.oomKills, u.maxEvents = parseEvents(text)
		}
		if swap {
			u.swapUsed, u.hasSwap = l.swapUsage.value(buf)
		}
	}
	if !u.limited && !need {
		return u
	}
	u.used, _ = l.usage.value(buf)
	u.free = u.limit - u.used
	if text, err := l.stat.read(buf); err == nil {
		u.reclaimable, u.clean = parseStat2(text).reclaim()
	}
	return u
}

// stat is what memory.stat tells about reclaim, children included.
type stat struct {
	inactiveFile, activeFile int64
	dirty, writeback         int64
	slabReclaimable          int64
	hierarchicalLimit        int64 // v1 only
	hasHierarchicalLimit     bool
}

// reclaim is what can be reclaimed, and its part that costs neither I/O nor time.
func (s stat) reclaim() (all, clean int64) {
	all = add(add(s.inactiveFile, s.activeFile), s.slabReclaimable)
	clean = max(0, s.inactiveFile-add(s.dirty, s.writeback))
	return all, clean
}

// parseStat2 parses memory.stat of cgroup v2.
func parseStat2(text []byte) stat {
	var s stat
	for len(text) > 0 {
		var line []byte
		line, text = nextLine(text)
		key, value, ok := cutKey(line)
		if !ok {
			continue
		}
		switch string(key) {
		case "inactive_file":
			s.inactiveFile = value
		case "active_file":
			s.activeFile = value
		case "file_dirty":
			s.dirty = value
		case "file_writeback":
			s.writeback = value
		case "slab_reclaimable":
			s.slabReclaimable = value
		}
	}
	return s
}

// parseEvents parses memory.events.
func parseEvents(text []byte) (oomKills, maxEvents int64) {
	for len(text) > 0 {
		var line []byte
		line, text = nextLine(text)
		key, value, ok := cutKey(line)
		if !ok {
			continue
		}
		switch string(key) {
		case "oom_kill":
			oomKills = value
		case "max":
			maxEvents = value
		}
	}
	return oomKills, maxEvents
}
