package policy

import (
	"fmt"
	"time"
)

// State is what Decide remembers from one look to the next. The zero value is
// ready to use. It is not safe for use by several goroutines at once.
type State struct {
	types   []typeState
	actions []Action
	history history
	costs   []int64
	chosen  []bool
	tracks  []track // of the last observation's Workers
	trough  trough
	surges  []surged      // of all workers, and with one more of each type
	fitted  time.Duration // when there last was room for a surge
	dipped  time.Duration // since when it is lower than ever; zero is not
	crested time.Duration // when it last was near its crest

	looks   int
	now     time.Duration
	limit   int64
	lowered time.Duration // when the limit fell; zero is never
	promise int64         // to starting workers, not yet seen taken

	oomKills, maxEvents int64
	killed              bool // the kernel killed since the look before
	waitKill            bool // and the worker's end is still waited for
	killedAt            time.Duration
	explained           int  // the look that saw a worker end that way
	reached             bool // MaxEvents rose at reachedAt
	reachedAt           time.Duration
	suspect             int64 // a ceiling to be confirmed, from a kill at suspectAt
	suspectAt           time.Duration
	ceiling             int64
	capped              bool

	lowSince, hardSince time.Duration
	low, hard           int // looks in a row
	relief              time.Duration
	reclaim             int64
	short               bool
	shortRoom           int64
	shortReserve        int64
	tight               bool
	crest               int64 // the most that was free since tight was said

	recycleWait backoff
	recycled    life
	replaced    [6]time.Duration // see replace; oldest first, zero is never
	reserveFree time.Duration    // when it last was
	finished    life             // the one that was last sent SIGKILL
	stops       []stop
	before      float64       // look.net before the first of them
	upFrom      time.Duration // no up before it
	loaded      time.Duration // when look.loading will have loaded, as last seen: no up before it
}

// typeState is what is remembered of one process type.
type typeState struct {
	begun     bool
	wanted    int
	below     int // how far under Min it may go, with memory.oom.group
	low, high int // Min and Max as last given
	memory    int64
	past      int64 // what a worker of the release before cost

	live, ready, starting, lowest int
	stopping, extra               int
	coming                        int64 // to those that are ready
	grown                         int64 // by those that are ready, since they were
	young                         bool  // one that is ready is not warm
	highs                         int64 // of those that are warm, in sum
	warmed                        int64 // how many they are
	costs                         []int64
	cost, least                   int64  // learned, zero is unknown; smallest when ready
	fresh, filled, warm, rise     recent // see track
	proved                        recent // rise of those that were ready for proof, and a hint at it
	before, lately                recent // bytes in 30 s, see hint, while nothing is proved
	away                          recent // ns from its start until it was ready, and to stop
	peak                          int64
	spikes                        spikes
	release                       int
	changed                       bool
	released                      time.Duration // if changed: what started before is of another release

	met       time.Duration    // when the first of its release was ready
	hinted    time.Duration    // when proved began with a hint; zero is never
	elders    [2]time.Duration // when the two oldest were ready that have not shown whether they leak
	stopTakes int64            // the most that went while one of it, alone, was stopping

	hold, pause backoff
	tried       bool    // one was added since hold began
	mourning    backoff // for a kill by the kernel: so many do not fit
	failed      int     // index of the worker that ended before it was ready
	over        life    // the one that is above Type.Recycle
	overSince   time.Duration
	larger      int // in the last observation's Workers, or -1
	block       Block
	holds       Block // why memory does not hold one more, if asked
	demand      demand
	oneMore     oneMore
	eased       time.Duration // until when no other takes the room of one that went for spikes
	unfit       time.Duration // when what workers take for a moment last had no room beside one more
	denied      time.Duration // since when memory denies what demand asks for; zero is not
}

// life is one run of one worker.
type life struct {
	known    bool
	kind     int // its type
	index    int
	since    time.Duration
	observed bool // in the last observation
}

func lifeOf(w *Worker) life {
	return life{known: true, kind: w.Type, index: w.Index, since: w.Since}
}

func (l life) is(w *Worker) bool {
	return l.known && l.kind == w.Type && l.index == w.Index && l.since == w.Since
}

// Decide takes one observation and answers with what is to be done now, in that
// order, and usually with nothing. The answer is valid until the next call.
// Instants of successive observations do not go back. A Config with types
// added, removed or reordered needs Resize first.
func (s *State) Decide(c *Config, o *Observation) []Action {
	s.actions, s.reclaim = s.actions[:0], 0
	s.fit(c, o)
	l := s.observe(c, o)
	unexplained := s.learnExits(o)
	s.followLimit(o)
	s.tighten(&l)
	s.weigh(&l)
	if l.limit > 0 {
		s.shrink(&l, unexplained)
		s.finish(&l)
		s.replaceLarge(&l)
	}
	s.comply(&l)
	s.giveBack(&l)
	s.grow(&l)
	s.makeRoom(&l)
	s.hold(&l)
	s.looks++
	s.now = o.Now
	return s.actions
}

// fit takes over the bounds of the configuration.
func (s *State) fit(c *Config, o *Observation) {
	for len(s.types) < len(c.Types) {
		s.types = append(s.types, typeState{})
	}
	s.types = s.types[:len(c.Types)]
	for i := range s.types {
		t, from := &s.types[i], &c.Types[i]
		t.low = max(0, from.Min)
		t.high = max(t.low, from.Max)
		t.memory = bytes(from.Memory)
		if !t.begun {
			t.begun, t.wanted, t.release = true, t.low, from.Release
		}
		if t.release != from.Release {
			t.past, _ = s.Cost(i)
			t.release, t.changed, t.released = from.Release, true, o.Now
			t.cost, t.least, t.peak, t.stopTakes, t.fresh, t.filled, t.warm, t.rise = 0, 0, 0, 0, recent{}, recent{}, recent{}, recent{}
			t.before, t.lately, t.hinted = recent{}, recent{}, 0
			t.spikes, t.proved, t.away, t.unfit, t.eased = spikes{}, recent{}, recent{}, 0, 0
		}
		if !o.OOMGroup {
			t.below = 0
		}
		t.below = min(t.below, t.low)
		t.wanted = min(max(t.wanted, t.low-t.below), t.high)
		t.below = max(0, t.low-t.wanted)
	}
}

// followLimit notes a limit that moved: what an old limit taught about growing
// does not hold under a higher one, and shrinking into a lower one is no fault
// of an up.
func (s *State) followLimit(o *Observation) {
	limit := bytes(o.Limit)
	if s.looks > 0 && limit < s.limit {
		s.lowered = o.Now
	}
	if s.looks > 0 && limit > s.limit {
		for i := range s.types {
			t := &s.types[i]
			t.unfit = 0
			if cost, known := s.Cost(i); known && limit-s.limit >= cost {
				t.hold.until, t.eased = min(t.hold.until, o.Now), 0
				t.mourning.until = min(t.mourning.until, o.Now)
			}
		}
	}
	s.limit = limit
}

// learnExits follows workers that ended by themselves, and says whether the
// kernel killed something that no worker's end explains, nor does within a
// second: the kernel counts a kill before the process has ended.
func (s *State) learnExits(o *Observation) (unexplained bool) {
	for i := range o.Exits {
		e := &o.Exits[i]
		if e.OOM {
			s.explained = s.looks + 1
		}
		if e.Asked || e.Extra || !s.has(e.Type) {
			continue
		}
		t := &s.types[e.Type]
		failed := e.Grown && !e.Ready
		if failed {
			t.failed = e.Index
			t.pause.raise(o.Now, 10*time.Second, 30*time.Minute)
		}
		if (failed || e.OOM) && t.wanted > t.low {
			t.wanted--
			if e.OOM {
				s.takeBack(t, o.Now)
				t.mourning.raise(o.Now, 30*time.Minute, 24*time.Hour)
			}
		}
	}
	if s.killed {
		s.waitKill, s.killedAt = true, o.Now
	}
	if s.explained > 0 && s.looks+1-s.explained <= 1 {
		s.waitKill = false
	}
	unexplained = s.waitKill && o.Now-s.killedAt >= time.Second
	s.waitKill = s.waitKill && !unexplained
	return unexplained
}

// takeBack makes the next up of a type wait, and for ten seconds that of every
// type: what was stopped gives its memory back before anybody plans with it.
// Following a limit that was just lowered does not count as a fault of the up.
func (s *State) takeBack(t *typeState, now time.Duration) {
	s.upFrom = now + lasting
	if s.lowered > 0 && now-s.lowered < 30*time.Second {
		return
	}
	if t.hold.left(now) == t.hold.wait && t.hold.wait > 0 {
		return // the same look took one back already
	}
	if !t.tried && t.rise.middle == 0 {
		t.hold.until = max(t.hold.until, now) // nothing lasted that could tell
	}
	t.tried = false
	t.hold.raise(now, 30*time.Second, time.Hour)
}

func (s *State) has(t int) bool { return t >= 0 && t < len(s.types) }

// Resize follows a configuration whose types were added, removed or reordered:
// from names, for each new type, the index that it had, or -1.
func (s *State) Resize(from []int) {
	old := s.types
	s.types = make([]typeState, len(from))
	for i, j := range from {
		if j >= 0 && j < len(old) {
			s.types[i] = old[j]
			s.types[i].over = life{}
		}
	}
	s.recycled, s.finished = life{}, life{}
	s.stops = s.stops[:0]
}

// Wanted is the number of workers of type t to keep running: its minimum until
// it is first decided, and within minimum and maximum as last given. Only with
// memory.oom.group can it be below the minimum.
func (s *State) Wanted(t int) int {
	if !s.has(t) {
		return 0
	}
	return s.types[t].wanted
}

// Cost is what one more worker of type t is expected to take, in bytes: the
// upper median of what the ready ones kept when there last was one, or what workers had
// that were warm where that is more; else Type.Memory.
func (s *State) Cost(t int) (bytes int64, known bool) {
	if !s.has(t) {
		return 0, false
	}
	x := &s.types[t]
	if expected, known := x.expected(); known && x.rise.middle > 0 {
		return expected, true
	} else if x.cost > 0 {
		return max(x.cost, expected), true
	}
	return s.types[t].memory, s.types[t].memory > 0
}

// Debit is what starting workers were promised and have not yet taken, in
// bytes: all the headroom where the cost of one of them is not known.
func (s *State) Debit(_ *Config, o *Observation) int64 {
	var owed int64
	unknown := false
	for i := range o.Workers {
		w := &o.Workers[i]
		if w.Phase != Starting || !s.has(w.Type) {
			continue
		}
		cost, known := s.Cost(w.Type)
		if !known {
			unknown = true
		}
		owed = plus(owed, max(0, cost-bytes(w.Cost)))
	}
	if _, _, headroom := s.room(o); unknown {
		return max(owed, headroom)
	}
	return owed
}

// NextLook is how long the next observation may be away: the time in which
// half of what is available would go at the fastest growth seen and at least 64
// MiB a second, within 50 ms and 5 s; at most a second where demand is a backlog.
// Headroom is no matter of time: the cache that it leaves out goes first.
func (s *State) NextLook(o *Observation) time.Duration {
	const soonest, latest = 50 * time.Millisecond, 5 * time.Second
	if s.waitKill || s.suspect > 0 || s.low == 1 {
		return soonest
	}
	_, available, _ := s.room(o)
	rate := max(s.history.fastest, 64*mib)
	next := float64(max(0, available)) / 2 / rate
	// Three samples make a trend: take them while it still matters.
	if step := s.history.step(); float64(available) < 8*step {
		next = min(next, 0.25)
	}
	if s.loaded > o.Now {
		next = min(next, (s.loaded - o.Now).Seconds())
	}
	return min(max(time.Duration(next*float64(time.Second)), soonest), s.latest(latest))
}

// Holds says whether memory holds one more worker of type t beside all that run and
// start, whatever is wanted, and if not why, as of the last look. Config.Types'
// Replacing asks for it; with InPlace the question is whether it holds one that takes
// the place of another which is stopped first. Each answer is good for one worker: the
// next look sees it start.
func (s *State) Holds(t int) (bool, Block) {
	if !s.has(t) {
		return false, Block{}
	}
	return s.types[t].holds.why == nothing, s.types[t].holds
}

// Blocked is why type t does not grow.
func (s *State) Blocked(t int) Block {
	if !s.has(t) {
		return Block{}
	}
	return s.types[t].block
}

// Short says whether memory is short while every type is at its minimum, and
// in words how short.
func (s *State) Short() (bool, string) {
	if !s.short {
		return false, ""
	}
	return true, fmt.Sprintf("%s available, under half the reserve of %s, and nothing runs above its minimum",
		size(s.shortRoom), size(s.shortReserve))
}

// Ceiling is the limit learned from kills below the limit that is seen, in
// bytes.
func (s *State) Ceiling() (bytes int64, known bool) { return s.ceiling, s.capped }
