package supervisor

import (
	"fmt"
	"strings"
	"time"

	"github.com/memsup/memsup/budget"
	"github.com/memsup/memsup/policy"
)

// openBudget finds out how much memory and CPU there is.
func (s *supervisor) openBudget() {
	b, err := budget.Open()
	if err != nil {
		s.log.warn("cannot tell how much memory there is: no worker is started or stopped for memory", "error", err)
		s.blind = err.Error()
		return
	}
	b.SetLimit(s.c.Limit)
	s.budget = b
	s.sys.memory = b.Read
	if m, err := b.Read(); err != nil {
		s.blind = err.Error()
	} else {
		s.mem, s.memOK, s.limitTold = m, true, m
		s.oomSeen, s.oomBase = m.OOMKills, m.OOMKills
	}
	s.readCPU(0)
}

// readCPU reads the CPU limit, which may change as the memory's may.
func (s *supervisor) readCPU(now time.Duration) (changed bool) {
	cpu, err := s.budget.CPU()
	if err != nil {
		s.once("cpu", "cannot read how much CPU there is", "error", err)
		return false
	}
	if changed = s.cpu.Limit > 0 && cpu.Limit != s.cpu.Limit; changed {
		s.log.info("the CPU limit changed", "from", s.cpu, "to", cpu, "source", cpu.LimitFrom)
	}
	s.cpu, s.cpuAt = cpu, now
	return changed
}

// greet says once what was found.
func (s *supervisor) greet() {
	source := s.mem.LimitFrom
	if source == "" {
		source = "--limit"
	}
	if !s.memOK {
		s.log.info("memsup "+s.c.Version, "limit", "unknown", "watching", s.rung())
		return
	}
	s.log.info("memsup "+s.c.Version, "limit", mib(s.mem.Limit), "source", source, "available", mib(s.mem.Available),
		"reserve", mib(s.pcfg.ReserveFor(s.mem.Limit)), "watching", s.rung())
	if missed := s.budget.Missed(); len(missed) > 0 {
		why := make([]string, len(missed))
		for i, m := range missed {
			why[i] = m.Rung + " (" + m.Why + ")"
		}
		s.log.info("no cgroup's files tell of memory", "asked instead", s.budget.Rung(), "not", strings.Join(why, ", "))
	}
	if s.mem.OOMGroup {
		s.log.warn("memory.oom.group is set: one kill by the kernel ends the whole container, so workers go earlier, below their minimum too")
	}
}

// watches says whether memory is watched and acted on: a single command is
// nobody's to stop.
func (s *supervisor) watches() bool { return s.c.Command == nil && s.budget != nil }

// look reads the container's memory. It is read anew before each decision:
// a figure that is older than the observation would look like standing still.
func (s *supervisor) look(now time.Duration) bool {
	m, err := s.sys.memory()
	if err != nil {
		s.once("memory", "cannot read how much memory there is", "error", err)
		s.blind = err.Error()
		return false
	}
	s.blind = ""
	changed := s.memOK && (m.Limit != s.mem.Limit || m.Limited != s.mem.Limited)
	s.tellLimit(now, &m)
	// cgroup v1's failcnt does not always count what ends in an OOM kill; v2's
	// max does, and its peak is often but page cache.
	s.obs.LimitReached = s.budget != nil && s.memOK && m.OOMKills > s.mem.OOMKills &&
		s.budget.Rung() == "cgroup v1" && s.budget.LimitReached()
	if s.oomSince == 0 && m.OOMKills > s.oomSeen {
		s.oomThen = s.memoryFields()
	}
	s.mem, s.memOK, s.memAt = m, true, now
	s.feel(now)
	if s.budget != nil && now-s.cpuAt >= cpuLook && s.readCPU(now) {
		changed = true
	}
	if changed {
		s.configurePolicy()
	}
	s.noteOOM(now)
	return true
}

// tellLimit tells of a limit that is another one than was told last. One that
// alternates from look to look would fill the log, so a change soon after another is
// told later, if it lasts.
func (s *supervisor) tellLimit(now time.Duration, m *budget.Memory) {
	told := s.limitTold
	if told.Limit == m.Limit && told.Limited == m.Limited || told.Limit != 0 && now < s.limitQuiet {
		return
	}
	if told.Limit != 0 {
		s.log.info("the limit changed", "from", mib(told.Limit), "to", mib(m.Limit), "source", m.LimitFrom)
		s.limitQuiet = now + quiet
	}
	s.limitTold = *m
}

// fillMemory writes the container's part of the observation.
func (s *supervisor) fillMemory(now time.Duration) {
	o, m := &s.obs, &s.mem
	o.Now = now
	o.Limit, o.Limited, o.Used = m.Limit, m.Limited, m.Used
	o.Available, o.Headroom = m.Available, m.Headroom
	o.OOMKills, o.MaxEvents, o.OOMGroup = m.OOMKills, m.MaxEvents, m.OOMGroup
}

// fillWorkers writes the workers' part of the observation.
func (s *supervisor) fillWorkers() {
	o := &s.obs
	o.Workers = o.Workers[:0]
	for _, t := range s.types {
		for w := range t.all() {
			if !w.alive() && w.master == nil || w.keeps() && w.state != starting {
				continue // a master counts until its workers are known
			}
			along := w.master != nil && w.master.state == stopping // its master takes it along
			if along && !w.alive() {
				continue
			}
			phase := policy.Ready
			switch {
			case w.state == stopping || along:
				phase = policy.Stopping
			case w.state == starting || w.state == backoff: // without a process: its master is about to start one
				phase = policy.Starting
			}
			o.Workers = append(o.Workers, policy.Worker{
				Type: t.index, Index: w.index, Phase: phase, Since: w.since,
				Cost: w.bytes, Peak: w.high, Growth: w.growth, CPU: w.cpu, StopTime: t.stopTime, Extra: w.replaces != nil,
			})
		}
	}
}

// decideAndAct asks the policy and does what it says.
func (s *supervisor) decideAndAct(now time.Duration) {
	s.decide = false
	if !s.look(now) {
		s.nextLook = now + longestLook
		return
	}
	s.fillMemory(now)
	s.fillWorkers()
	s.fillDemand()
	s.obs.Exits = append(s.obs.Exits[:0], s.exits...)
	s.exits = s.exits[:0]
	actions := s.policy.Decide(&s.pcfg, &s.obs)
	defer s.recorder.Look(&s.pcfg, &s.obs, actions)
	for _, a := range actions {
		s.kill(a)
	}
	killed := s.sinceNotice()
	s.warnWorkers(now, actions)
	for _, a := range actions {
		s.act(a, killed)
	}
	s.spoke = time.Time{}
	s.reclaim(s.policy.Reclaim())
	s.sweep()
	s.hint()
	s.keepWire(now)
	s.nextLook = now + s.policy.NextLook(&s.obs)
	if s.heard != nil && !s.demand.any && s.mem.Headroom > 1<<30 && s.nextLook == now+longestLook {
		s.nextLook += longestLook // the kernel would speak
	}
	if s.oomSince > 0 {
		s.nextLook = min(s.nextLook, s.oomDue(now))
	}
	starts := false
	for _, w := range s.byPID {
		starts = starts || w.state == starting || w.typ.restless()
	}
	if starts {
		s.nextLook = min(s.nextLook, now+startLook)
	}
	if !starts && !s.lean {
		s.lean = true
		dropStartup()
	}
}

const (
	longestLook = 5 * time.Second
	// cpuLook is how old the CPU limit may be: it takes many more files than memory
	// and decides less.
	cpuLook = 5 * time.Minute
	// startLook is while a worker starts: nobody knows yet how fast it grows.
	startLook = 250 * time.Millisecond
)

// kill carries out the decisions that cannot wait for anything else.
func (s *supervisor) kill(a policy.Action) {
	if a.Kind != policy.Kill || s.c.Observe {
		return
	}
	if w := s.types[a.Type].slot(a.Index); w != nil && w.alive() {
		s.killForMemory(w)
	}
}

// act carries out one decision, or in observe mode says what it would be. The
// signal comes first and the words after it. Kills were carried out killed after
// the kernel's notice.
func (s *supervisor) act(a policy.Action, killed *int64) {
	t := s.types[a.Type]
	name := t.Name
	var w *worker
	if a.Kind != policy.Up {
		if w = t.slot(a.Index); w == nil {
			return
		}
		if a.Kind != policy.Down || t.prefork == nil {
			name = w.name
		}
	}
	if !s.c.Observe {
		switch {
		case t.prefork != nil && a.Kind < policy.Recycle: // its master is asked, by what is wanted
		case a.Kind == policy.Up:
			w = t.add()
			w.grown = true
			name = w.name
		case a.Kind == policy.Down:
			if old := w.replaces; old != nil {
				old.narrow = true
			}
			s.stop(w, remove, a.Reason)
		case a.Kind == policy.Recycle:
			s.spaceOut(w)
			s.replace(w, &a)
		}
	}
	noticed := killed
	if a.Kind != policy.Kill {
		noticed = s.sinceNotice()
	}
	s.decided(a.Kind.String(), name, a.Reason, noticed)
	if s.mem.OOMGroup && a.Kind != policy.Up {
		s.testify(a.Kind.String()+" "+name+": "+a.Reason, nil)
	}
}

// infancy is how long a worker may load yet what it serves with, though it said that it
// is ready: gunicorn says so before its own workers are there.
const infancy = 10 * time.Second

// spaceOut has a slot whose workers are recycled as soon as they start wait before the
// next one, longer each time: what one of them takes does not fit, and the next one
// takes the same.
func (s *supervisor) spaceOut(w *worker) {
	switch {
	case w.state == starting:
		w.delays++
	case s.now()-w.since < infancy:
		w.hasty++
		w.delays = w.hasty
	default:
		w.hasty = 0
	}
}

// sinceNotice is how long ago the kernel spoke, where that led here.
func (s *supervisor) sinceNotice() *int64 {
	if s.spoke.IsZero() {
		return nil
	}
	us := time.Since(s.spoke).Microseconds()
	return &us
}

// hint says once of a type that nobody scaled that memory holds more of it.
func (s *supervisor) hint() {
	for _, t := range s.types {
		if t.hinted || !t.Unscaled || !s.mem.Limited {
			continue
		}
		cost, known := s.policy.Cost(t.index)
		if !known || t.staying() == 0 || t.slots[0].state != ready {
			continue
		}
		t.hinted = true
		room := s.mem.Headroom - s.policy.Debit(&s.pcfg, &s.obs) - s.pcfg.ReserveFor(s.mem.Limit)
		if n := min(room/max(cost, 1), int64(AutoMax(s.cpu)-1)); n > 0 {
			s.log.info(fmt.Sprintf("memory would hold %d more of %s: --scale %s=auto", n, t.Name, t.Name),
				"one takes", mib(cost), "headroom", mib(s.mem.Headroom))
		}
	}
}
