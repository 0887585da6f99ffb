package budget

import (
	"errors"
	"math"
)

// level is one directory of the memory cgroup.
type level struct {
	dir       string
	hasHidden bool // v1: the outermost visible level, with ancestors above it

	limit, usage, stat   file
	events               file
	swapLimit, swapUsage file
	high, oomGroup       file // v2
	failcnt, swapFails   file // v1
	peak, swapPeak       file // for LimitReached; swapPeak is v1's
	room                 file // systemd's MemoryAvailable
}

// files are the files that l names, in the order in which Sources shows them.
func (l *level) files() []*file {
	return []*file{
		&l.limit, &l.high, &l.usage, &l.room, &l.peak, &l.stat, &l.swapLimit, &l.swapUsage, &l.swapPeak,
		&l.events, &l.failcnt, &l.swapFails, &l.oomGroup,
	}
}

func (l *level) close() error {
	var err error
	for _, f := range l.files() {
		err = errors.Join(err, f.close())
	}
	return err
}

// ownOnly tells whether Read looks at f in the process's own level alone.
func (l *level) ownOnly(f *file) bool {
	return f == &l.events || f == &l.failcnt || f == &l.swapFails
}

// readLevel reads the level of index i.
func (b *Budget) readLevel(i int, swap bool) usage {
	own := i == 0
	need := own && b.ceiling > 0
	if b.rung.v1() {
		return b.levels[i].read1(&b.in, own, need, swap)
	}
	return b.levels[i].read2(&b.in, own, need, swap)
}

// usage is one reading of one level.
type usage struct {
	limit       int64
	limited     bool
	hidden      bool // limit is that of an ancestor above the mount's root
	used        int64
	free        int64 // limit − used; may be negative
	reclaimable int64
	clean       int64 // the inactive and clean part of reclaimable

	high        int64
	hasHigh     bool
	room        int64 // what systemd says is free
	hasRoom     bool
	swapUsed    int64
	hasSwap     bool
	swapLimit   int64
	swapLimited bool
	oomKills    int64
	maxEvents   int64
	oomGroup    bool
}

// apply narrows m to a level's limit. Without known there is nothing to narrow:
// the level is the first that tells anything.
func (m *Memory) apply(u usage, from string, known bool) {
	if !known || u.limit < m.Limit || !m.Limited && u.limit == m.Limit {
		m.Limit, m.Limited, m.Used, m.LimitFrom = u.limit, true, u.used, from
	}
	// memory.stat may lag the usage, so it may promise more than there is.
	reclaimable := min(u.reclaimable, u.used)
	available := max(0, u.free+reclaimable)
	if available < m.Available {
		m.Available, m.AvailableFrom = available, from
	}
	headroom := max(0, u.free+min(u.clean, reclaimable))
	if !known || headroom < m.Headroom {
		m.Headroom = headroom
	}
}

// memoryLevels finds the levels of the memory controller: v1 if it is there, else
// v2. A level without a memory.max or memory.limit_in_bytes, as v2's real root
// or a directory for which the controller is off, is left out.
func (b *Budget) memoryLevels() (rung, []level) {
	places := b.findPlaces()
	b.places = places
	if dirs := places.find("memory", false); len(dirs) > 0 {
		if levels := b.levels1(dirs); len(levels) > 0 {
			return rungCgroup1, levels
		}
	}
	if dirs := places.find("memory", true); len(dirs) > 0 {
		var levels []level
		for _, dir := range dirs {
			l := level2(dir)
			if !l.answers(&b.in) {
				_ = l.close()
				continue
			}
			levels = append(levels, l)
		}
		if len(levels) > 0 {
			return rungCgroup2, levels
		}
	}
	return rungHost, nil
}

// levels1 stops below a parent without memory.use_hierarchy: such a parent (before
// Linux 5.11) does not count what its children use.
func (b *Budget) levels1(dirs []string) []level {
	var levels []level
	for i, dir := range dirs {
		l := level1(dir)
		if !l.answers(&b.in) {
			_ = l.close()
			continue
		}
		if i > 0 && len(levels) > 0 {
			f := file{path: dir + "/memory.use_hierarchy"}
			n, ok := f.value(&b.in)
			f.close()
			if ok && n == 0 {
				_ = l.close()
				break
			}
		}
		levels = append(levels, l)
	}
	if len(levels) > 0 {
		last := &levels[len(levels)-1]
		last.hasHidden = !exists(last.dir + "/release_agent")
	}
	return levels
}

// untold marks the files that the level's source does not have.
func (l *level) untold() {
	for _, f := range l.files() {
		if f.path == "" {
			f.state, f.problem = fileMissing, errUntold
		}
	}
}

var errUntold = errors.New("not told")

// answers tells whether the level has a limit or a usage to read.
func (l *level) answers(in *input) bool {
	if _, err := l.limit.read(in); err == nil {
		return true
	}
	_, err := l.usage.read(in)
	return err == nil
}

// add adds two quantities that are not negative, up to the largest int64.
func add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
