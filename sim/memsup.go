package sim

import (
	"fmt"
	"time"

	"github.com/memsup/memsup/policy"
)

// Memsup is package policy as the supervisor drives it: when it looks and
// measures, what it does with a decision, and when a worker is started anew. Types
// whose workers have a master run under the signal actuator: the master chooses
// who goes.
type Memsup struct {
	// Youngest says that a master stops its youngest worker, as puma does;
	// gunicorn and uWSGI stop the oldest.
	Youngest bool

	blind    bool // growth is not measured: for a test
	config   policy.Config
	state    policy.State
	seen     policy.Observation
	slots    []*slot
	spare    []*slot
	stopTime []time.Duration // by type
	exact    time.Duration   // when one was last measured exactly
	measured time.Duration   // when any was
	due      time.Duration   // when the policy wants to look again
}

// slot is a worker's place: supervisor's worker.
type slot struct {
	kind, index int
	phase       phase
	w           *Worker
	until       time.Duration // backoff: start then; stopping: SIGKILL then
	asked       time.Duration
	again       bool // starts anew when it has stopped
	killed      bool
	grown       bool
	delays      int
	settle      policy.Settling

	turn      time.Duration // when it was last measured exactly
	measured  bool
	sampled   time.Duration
	bytes     int64
	growth    int64
	cpu       int64
	cpuTime   time.Duration
	own, anon int64 // at its turn: what it would give back, and its anonymous memory
	high      int64 // at its turn: its most memory, above that
}

type phase uint8

const (
	backoff phase = iota
	starting
	ready
	stopping
)

// Own is what memsup itself takes, in bytes: its anonymous memory, which test/bench
// measures, and what the kernel keeps for it.
const Own = 3 << 20

// The supervisor's times.
const (
	startLook  = 250 * time.Millisecond
	calm       = 5 * time.Minute
	firstDelay = 100 * time.Millisecond
	earlyDelay = time.Second
	maxDelay   = time.Minute
	drain      = time.Minute
)

// Begin forgets everything.
func (m *Memsup) Begin(c *Container) {
	*m = Memsup{Youngest: m.Youngest, blind: m.blind}
	m.config.Reserve, m.config.ReservePercent = c.s.ReserveBytes, c.s.ReservePercent
	for i := range c.s.Types {
		t := &c.s.Types[i]
		m.config.Types = append(m.config.Types, policy.Type{
			Name: t.Name, Min: t.Min, Max: t.Max, MaxFixed: true, Priority: t.Priority,
			MasterChooses: !t.Alone,
		})
	}
	m.stopTime = make([]time.Duration, len(c.s.Types))
	m.exact, m.measured = -time.Hour, -time.Hour
	c.Own(Own)
}

// Blocked is for each type why it does not grow.
func (m *Memsup) Blocked() (why []string) {
	for kind := range m.config.Types {
		why = append(why, m.state.Blocked(kind).String())
	}
	return why
}

// Look is one turn of the supervisor's loop.
func (m *Memsup) Look(c *Container) time.Duration {
	for _, s := range m.slots {
		if s.phase == stopping && !s.killed && c.now >= s.until {
			m.kill(c, s)
		}
	}
	if c.now >= m.due {
		m.sample(c)
		m.decide(c)
	}
	m.reconcile(c)
	next := m.due
	for _, s := range m.slots {
		if s.phase == backoff || s.phase == stopping && !s.killed {
			next = min(next, s.until)
		}
	}
	return next - c.now
}

func (m *Memsup) decide(c *Container) {
	m.observe(c)
	actions := m.state.Decide(&m.config, &m.seen)
	m.seen.Exits = m.seen.Exits[:0]
	for i := range actions {
		m.act(c, &actions[i])
	}
	next := m.state.NextLook(&m.seen)
	for _, s := range m.slots {
		if s.phase == starting || s.phase == backoff {
			next = min(next, startLook)
		}
	}
	m.due = c.now + next
}

// Ended is the reaping of a worker.
func (m *Memsup) Ended(c *Container, w *Worker, how End) {
	s := m.slot(w.Type, w.Index)
	if s == nil || s.w != w {
		return
	}
	was := s.phase
	m.seen.Exits = append(m.seen.Exits, policy.Exit{
		Type: s.kind, Index: s.index, Ready: was == ready, OOM: how == OOM, Asked: was == stopping, Grown: s.grown,
	})
	m.due = c.now
	s.w = nil
	if was == stopping {
		if !s.killed {
			t := &m.stopTime[s.kind]
			*t = max(c.now-s.asked, *t-*t/8)
		}
		if !s.again {
			m.drop(s)
			return
		}
		s.phase, s.until = backoff, c.now
		if s.delays > 0 {
			s.until += s.delay()
		}
		return
	}
	if was == ready {
		s.delays = 0
	} else {
		s.delays++
	}
	s.phase, s.until = backoff, c.now+s.delay()
}

func (s *slot) delay() time.Duration {
	if s.delays == 0 {
		return firstDelay
	}
	return min(earlyDelay<<min(s.delays-1, 10), maxDelay)
}

// sample is the meter: all are measured cheaply, one a second exactly, besides
// those that never were. While memory is plenty nobody is.
func (m *Memsup) sample(c *Container) {
	unready := false
	var turn *slot
	for _, s := range m.slots {
		if s.w == nil {
			continue
		}
		unready = unready || s.phase == starting || !s.measured
		if s.measured && (turn == nil || s.turn < turn.turn) {
			turn = s
		}
	}
	if c.limit-c.Anon() > max(1<<30, c.limit/4) && !unready && c.now-m.measured < calm {
		return
	}
	m.measured = c.now
	if c.now-m.exact < time.Second {
		turn = nil
	} else if turn != nil {
		m.exact = c.now
	}
	for _, s := range m.slots {
		if s.w == nil {
			continue
		}
		anon := s.w.RSS()
		if !s.measured || s == turn {
			s.turn, s.own, s.anon, s.high = c.now, s.w.Private(), anon, s.w.MaxRSS()-anon
		}
		bytes := max(0, s.own+anon-s.anon)
		if span := c.now - s.sampled; s.measured && span > 0 {
			if !m.blind {
				s.growth = (s.growth + int64(float64(bytes-s.bytes)/span.Seconds())) / 2
			}
			s.cpu = int64(float64(s.w.CPU()-s.cpuTime) * 1000 / float64(span))
		}
		s.measured, s.bytes, s.cpuTime, s.sampled = true, bytes, s.w.CPU(), c.now
		if s.phase == starting && s.settled(c, bytes) {
			s.phase, s.grown, s.delays = ready, false, 0
		}
	}
}

// settled says whether a worker that starts is ready.
func (s *slot) settled(c *Container, bytes int64) bool {
	if after := c.s.Types[s.kind].Ready; after > 0 {
		return c.now-s.w.Since >= after
	}
	return s.settle.Look(c.now-s.w.Since, bytes)
}

func (m *Memsup) observe(c *Container) {
	o := &m.seen
	cache, active := c.Cache()
	o.Now, o.Limit, o.Limited, o.OOMGroup = c.now, c.limit, true, c.s.OOMGroup
	o.Used = c.Anon() + cache
	o.Available = o.Limit - c.Anon()
	o.Headroom = o.Available - active
	o.OOMKills, o.MaxEvents = c.kills, c.reached+c.kills
	o.PressureSome = int64(1000 * c.Pressure())
	o.Workers = o.Workers[:0]
	for _, s := range m.slots {
		if s.w == nil {
			continue
		}
		phase := policy.Starting
		switch s.phase {
		case ready:
			phase = policy.Ready
		case stopping:
			phase = policy.Stopping
		}
		o.Workers = append(o.Workers, policy.Worker{
			Type: s.kind, Index: s.index, Phase: phase, Since: s.w.Since,
			Cost: s.bytes, Peak: s.own + s.high, Growth: s.growth, CPU: s.cpu, StopTime: m.stopTime[s.kind],
		})
	}
}

// act carries out a decision.
func (m *Memsup) act(c *Container, a *policy.Action) {
	s := m.slot(a.Type, a.Index)
	if a.Kind == policy.Down && !c.s.Types[a.Type].Alone {
		s = m.chosen(a.Type)
	}
	if a.Kind != policy.Up && (s == nil || s.w == nil) {
		return
	}
	switch a.Kind {
	case policy.Up:
		s = m.add(a.Type)
		s.grown = true
	case policy.Down:
		m.stop(c, s, false)
	case policy.Recycle:
		if s.phase == starting {
			s.delays++
		}
		m.stop(c, s, true)
	case policy.Kill:
		m.kill(c, s)
	}
	if c.Recording() {
		c.Note(a.Kind.String(), fmt.Sprintf("%s.%d", c.s.Types[a.Type].Name, s.index), a.Reason)
	}
}

// chosen is who a master stops when it is told to run one fewer.
func (m *Memsup) chosen(kind int) (best *slot) {
	for _, s := range m.slots {
		if s.kind != kind || s.w == nil || s.phase == stopping {
			continue
		}
		if best == nil || m.Youngest && s.w.Since >= best.w.Since || !m.Youngest && s.w.Since < best.w.Since {
			best = s
		}
	}
	return best
}

func (m *Memsup) stop(c *Container, s *slot, again bool) {
	if s.phase == stopping {
		s.again = s.again && again
		return
	}
	s.phase, s.again, s.asked, s.until = stopping, again, c.now, c.now+drain
	c.Stop(s.w)
}

func (m *Memsup) kill(c *Container, s *slot) {
	s.killed = true
	c.Kill(s.w)
}

// reconcile starts who is missing, and stops who is no longer wanted.
func (m *Memsup) reconcile(c *Container) {
	for kind := range c.s.Types {
		staying := 0
		for _, s := range m.slots {
			if s.kind == kind && (s.phase != stopping || s.again) {
				staying++
			}
		}
		want := m.state.Wanted(kind)
		for ; staying < want; staying++ {
			m.add(kind)
		}
		for ; staying > want; staying-- {
			s := m.surplus(kind)
			if s == nil {
				break
			}
			if s.w == nil {
				m.drop(s)
			} else {
				m.stop(c, s, false)
			}
		}
	}
	for _, s := range m.slots {
		if s.phase == backoff && c.now >= s.until {
			*s = slot{kind: s.kind, index: s.index, phase: starting, grown: s.grown, delays: s.delays}
			s.w = c.Start(s.kind, s.index)
		}
	}
}

func (m *Memsup) surplus(kind int) *slot {
	for i := len(m.slots) - 1; i >= 0; i-- {
		if s := m.slots[i]; s.kind == kind && s.phase == backoff {
			return s
		}
	}
	if s := m.slot(kind, m.state.Victim(&m.config, &m.seen, kind)); s != nil && s.phase != stopping {
		return s
	}
	for i := len(m.slots) - 1; i >= 0; i-- {
		if s := m.slots[i]; s.kind == kind && s.phase != stopping {
			return s
		}
	}
	return nil
}

func (m *Memsup) slot(kind, index int) *slot {
	for _, s := range m.slots {
		if s.kind == kind && s.index == index {
			return s
		}
	}
	return nil
}

// add makes a place under the lowest number that is free.
func (m *Memsup) add(kind int) *slot {
	index := 1
	for m.slot(kind, index) != nil {
		index++
	}
	s := new(slot)
	if n := len(m.spare); n > 0 {
		s, m.spare = m.spare[n-1], m.spare[:n-1]
	}
	*s = slot{kind: kind, index: index}
	m.slots = append(m.slots, s)
	return s
}

func (m *Memsup) drop(s *slot) {
	for i, other := range m.slots {
		if other == s {
			m.slots = append(m.slots[:i], m.slots[i+1:]...)
			m.spare = append(m.spare, s)
			return
		}
	}
}
