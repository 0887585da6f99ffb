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
// limit or need asks for them, the counts of the process's own level.
func (l *level) read2(in *input, own, need, swap bool) usage {
	var u usage
	u.limit, u.limited = l.limit.limitValue(in)
	u.high, u.hasHigh = l.high.limitValue(in)
	if l.room.state == fileTold {
		u.room, u.hasRoom = l.room.value(in)
	}
	group, _ := l.oomGroup.value(in)
	u.oomGroup = group == 1
	if swap {
		u.swapLimit, u.swapLimited = l.swapLimit.limitValue(in)
	}
	if own {
		if text, err := l.events.read(in); err == nil {
			var f flaw
			u.oomKills, u.maxEvents, f = parseEvents(text)
			in.reject(l.events.path, f)
		}
	}
	if swap && (own || u.swapLimited) {
		u.swapUsed, u.hasSwap = l.swapUsage.value(in)
	}
	if !u.limited && !need && l.usage.state != fileTold {
		return u
	}
	u.used, _ = l.usage.value(in)
	u.free = u.limit - u.used
	if text, err := l.stat.read(in); err == nil {
		s, f := parseStat2(text)
		in.reject(l.stat.path, f)
		pinned := int64(0)
		if reclaimableSlab(s.slabReclaimable) > 0 {
			pinned = in.pinned()
		}
		u.reclaimable, u.clean = s.reclaim(pinned)
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

// reclaim is what can be reclaimed, and its part that costs neither I/O nor time;
// pinned is what of the slab is in use.
func (s stat) reclaim(pinned int64) (all, clean int64) {
	all = add(add(s.inactiveFile, s.activeFile), reclaimableSlab(s.slabReclaimable-pinned))
	clean = max(0, s.inactiveFile-add(s.dirty, s.writeback))
	return all, clean
}

// stat2Keys are the lines of memory.stat that parseStat2 looks at.
var stat2Keys = []string{"inactive_file", "active_file", "file_dirty", "file_writeback", "slab_reclaimable"}

// parseStat2 parses memory.stat of cgroup v2.
func parseStat2(text []byte) (stat, flaw) {
	n, f := parseKeyed(text, stat2Keys)
	if f.line == 0 && (n[0] < 0 || n[1] < 0) {
		f = flaw{countLines(text), nil, "a line of inactive_file and one of active_file"}
	}
	return stat{
		inactiveFile: n.or0(0), activeFile: n.or0(1), dirty: n.or0(2), writeback: n.or0(3),
		slabReclaimable: n.or0(4),
	}, f
}

// eventKeys are the lines of memory.events that parseEvents looks at.
var eventKeys = []string{"oom_kill", "max"}

// parseEvents parses memory.events, and of v1's memory.oom_control what is told
// of kills: nothing before Linux 4.13.
func parseEvents(text []byte) (oomKills, maxEvents int64, f flaw) {
	n, f := parseKeyed(text, eventKeys)
	return n.or0(0), n.or0(1), f
}
