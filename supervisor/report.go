package supervisor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/memsup/memsup/procfile"
)

// keptDecisions is how many decisions status shows.
const keptDecisions = 64

// decided notes a decision of the policy's and says it in the log.
func (s *supervisor) decided(action, worker, reason string, noticeUS *int64) {
	if s.c.Observe {
		for _, old := range s.decisions[max(0, len(s.decisions)-4):] {
			if old.Action == action && old.Worker == worker {
				return
			}
		}
		s.log.info("would "+action+" "+worker, "reason", reason)
	} else {
		s.log.info(action+" "+worker, "reason", reason)
	}
	s.keepDecision(Decision{NoticeUS: noticeUS, Action: action, Worker: worker, Reason: reason})
}

// keepDecision keeps a decision that was made just now, for the status, and tells those
// who listen.
func (s *supervisor) keepDecision(d Decision) {
	d.At = time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	if len(s.decisions) == keptDecisions {
		s.decisions = append(s.decisions[:0], s.decisions[1:]...)
	}
	s.decisions = append(s.decisions, d)
	s.tell(d)
}

// status is everything as it is now.
func (s *supervisor) status() *Status {
	now := s.now()
	st := &Status{
		Version: s.c.Version, Mode: "act", UptimeMS: now.Milliseconds(),
		Types: []TypeStatus{}, Workers: []Worker{}, Decisions: slices.Clone(s.decisions),
	}
	if st.Decisions == nil {
		st.Decisions = []Decision{}
	}
	switch {
	case s.c.Command != nil:
		st.Mode = "command"
	case s.c.Observe:
		st.Mode = "observe"
	}
	st.Container = s.container()
	for _, t := range s.types {
		st.Types = append(st.Types, s.typeStatus(t))
		for w := range t.all() {
			st.Workers = append(st.Workers, w.status(now))
		}
	}
	st.Health = s.health()
	return st
}

func (s *supervisor) container() Container {
	c := Container{Sources: []string{}}
	if rung := s.rung(); rung != "" {
		c.Rung = &rung
	}
	if s.budget == nil {
		return c
	}
	if now := s.now(); now-s.cpuAt >= time.Second {
		if s.readCPU(now) && s.watches() {
			s.configurePolicy()
		}
	}
	m, err := s.sys.memory()
	if err != nil {
		s.blind = err.Error()
	} else {
		s.blind = ""
		headroom := m.Headroom
		if s.watches() {
			s.fillWorkers()
			s.obs.Headroom = m.Headroom
			headroom = max(0, headroom-s.policy.Debit(&s.pcfg, &s.obs))
			reserve := s.pcfg.ReserveFor(m.Limit)
			c.Reserve = &reserve
		}
		c.Limit, c.Used, c.Available, c.Headroom, c.Swap = &m.Limit, &m.Used, &m.Available, &headroom, &m.SwapUsed
		c.OOMKills = m.OOMKills - s.oomBase
		c.Sources = append(c.Sources, s.budget.Rung())
		if m.LimitFrom != "" {
			c.Sources = append(c.Sources, m.LimitFrom)
		}
	}
	if s.cpu.Limit > 0 {
		cpus := float64(s.cpu.Limit) / 1000
		c.CPULimit = &cpus
		c.Sources = append(c.Sources, s.cpu.LimitFrom)
	}
	if s.pressure != nil {
		if some, full, ok := s.pressure.PSI(); ok {
			some, full := s.average.Add(s.now(), some, full)
			c.Pressure = &Pressure{float64(some) / 10, float64(full) / 10}
		}
	}
	if ceiling, known := s.policy.Ceiling(); known {
		c.Ceiling = &ceiling
	}
	return c
}

func (s *supervisor) typeStatus(t *processType) TypeStatus {
	st := TypeStatus{Name: t.Name, Wanted: s.wanted(t), Pinned: t.pin != nil}
	st.Min, st.Max = s.rangeOf(t)
	for w := range t.all() {
		if w.keeps() {
			continue
		}
		if w.alive() {
			st.Running++
		}
		if w.state == ready && !w.health.leaving {
			st.Ready++
		}
		if w.state == finished && !w.gaveUp {
			st.Wanted-- // it did its work
		}
	}
	if s.c.Command != nil {
		return st
	}
	if cost, known := s.policy.Cost(t.index); known {
		st.Cost = &cost
	}
	if start, warm, peak := s.policy.Costs(t.index); start > 0 {
		st.Costs = &Costs{Start: start, Peak: peak}
		if warm > 0 {
			st.Costs.Warm = &warm
		}
	}
	if demand := s.policy.Demanded(t.index); demand != "" {
		st.Demand = &demand
	}
	reason := s.policy.Blocked(t.index).String()
	if p := t.prefork; p != nil && p.failed != "" {
		reason = fmt.Sprintf("%s; asked again in %s", p.failed, max(0, p.retry-s.now()).Round(time.Second))
	}
	if t.stopped {
		reason = "stopped"
	} else if len(t.held) > 0 {
		reason = t.waiting()
	} else if i := slices.IndexFunc(t.slots, func(w *worker) bool { return w.state == finished }); i >= 0 && reason != "" {
		reason = t.slots[i].name + " " + t.slots[i].lastExit + " and is not started again"
	}
	if reason != "" {
		st.BlockedReason = &reason
	}
	return st
}

func (w *worker) status(now time.Duration) Worker {
	st := Worker{Name: w.name, Type: w.typ.Name, State: w.state.String(), Restarts: w.restarts}
	if lastExit := w.lastExit; lastExit != "" {
		st.LastExit = &lastExit
	}
	if !w.alive() {
		return st
	}
	if text := w.health.text; text != "" {
		st.StatusText = &text
	}
	pid := w.pid
	st.PID, st.UptimeMS = &pid, (now - w.since).Milliseconds()
	if w.measured {
		memory, cpu := w.bytes, float64(w.cpu)/10
		st.Memory, st.CPU = &memory, &cpu
	}
	if w.leaf != nil {
		if peak, ok := w.leaf.Peak(); ok {
			st.Peak = &peak
		}
	}
	return st
}

// health is one word and, where that is not ok, why.
func (s *supervisor) health() string {
	if s.ending {
		return "stopping"
	}
	var failing []string
	for _, t := range s.types {
		for _, w := range t.slots {
			if w.gaveUp || w.state == backoff && w.delays > 0 || w.state == finished && w.illEnded {
				failing = append(failing, w.name+" "+w.lastExit)
			}
		}
	}
	if len(failing) > 0 {
		return "failing: " + strings.Join(failing, ", ")
	}
	if s.blind != "" {
		return "blind: " + s.blind
	}
	if short, why := s.policy.Short(); short {
		return "short: " + why
	}
	return "ok"
}

// answer deals with one client's request.
func (s *supervisor) answer(r request) (out reply) {
	if r.status {
		if measured := s.measureFor(s.now()); measured != nil && !r.again {
			return reply{measured: measured}
		}
		return reply{status: s.status()}
	}
	if r.events != nil {
		return reply{err: s.hear(r.events, r.leave)}
	}
	if s.c.Command != nil && r.exec != nil {
		return reply{err: errors.New("a single command has no types: run a Procfile")}
	}
	if s.c.Command != nil {
		return reply{err: fmt.Errorf("a single command cannot be scaled, restarted or stopped: run a Procfile")}
	}
	if s.ending {
		return reply{err: errStopping}
	}
	switch {
	case r.scale != nil:
		return reply{err: s.scale(r.scale)}
	case r.restart != "":
		return reply{err: s.restart(r.restart)}
	case r.stop != "":
		return reply{err: s.setStopped(r.stop, true)}
	case r.start != "":
		return reply{err: s.setStopped(r.start, false)}
	case r.exec != nil:
		f, err := s.foreground(r.exec)
		return reply{exec: f, err: err}
	}
	return reply{}
}

func (s *supervisor) find(name string) (*processType, error) {
	names := make([]string, len(s.types))
	for i, t := range s.types {
		if t.Name == name {
			return t, nil
		}
		names[i] = t.Name
	}
	return nil, fmt.Errorf("no process type %q is run here; there are: %s", name, strings.Join(names, ", "))
}

// scale pins types to ranges, or takes the pin away for auto: all of them or,
// where one is wrong, none.
func (s *supervisor) scale(wishes map[string]string) error {
	pins := map[*processType]*procfile.Range{}
	for name, text := range wishes {
		t, err := s.find(name)
		if err != nil {
			return err
		}
		if text == "auto" {
			pins[t] = nil
			continue
		}
		r, err := procfile.ParseRange(text)
		if err != nil {
			return fmt.Errorf("%s=%s: %w", name, text, err)
		}
		if n := max(r.Min, r.Max); n > t.mostPorts() {
			_, err := procfile.Port(name, t.Port, n)
			return err
		}
		pins[t] = &r
	}
	if err := s.exceeds(pins); err != nil {
		return err
	}
	for t, r := range pins {
		t.pin = r
		s.log.info("scaled", "type", t.Name, "to", wishes[t.Name])
	}
	s.configurePolicy()
	s.nextLook = 0
	return nil
}

func (s *supervisor) pin(t *processType, lo, hi int) {
	t.pin = &procfile.Range{Min: lo, Max: hi}
	s.configurePolicy()
	s.nextLook = 0
}

// restart orders a rolling restart of a type, TYPE, or of one worker, TYPE.N.
func (s *supervisor) restart(target string) error {
	name, index, one := strings.Cut(target, ".")
	t, err := s.find(name)
	if err != nil {
		return err
	}
	found := false
	for w := range t.all() {
		if w.master != nil {
			if one && itoa(w.index) == index && w.alive() {
				s.stop(w, restart, "restart")
				found = true
			}
			continue
		}
		if (!one || itoa(w.index) == index) && !(w.state == stopping && w.after == remove) {
			w.roll, found = true, true
		}
	}
	if !found {
		return fmt.Errorf("no worker %s is running", target)
	}
	return nil
}

// setStopped stops every worker of a type, or has the type run again, with
// what it failed at before forgotten.
func (s *supervisor) setStopped(name string, stopped bool) error {
	t, err := s.find(name)
	if err != nil {
		return err
	}
	was := t.stopped
	t.stopped = stopped
	if err := s.exceeds(nil); err != nil && !stopped {
		t.stopped = was
		return err
	}
	if stopped {
		t.begun, t.held = false, nil
	}
	for _, w := range t.slots {
		w.early, w.delays = nil, 0
		if !stopped && w.state == finished {
			w.state, w.until = backoff, s.now()
		}
	}
	s.configurePolicy()
	s.nextLook = 0
	return nil
}
