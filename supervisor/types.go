package supervisor

import (
	"iter"
	"slices"
)

// setTypes makes c's types the ones that are run: at the start, and again when the
// user's files were read anew. What a worker's start depends on and changed
// makes the type's workers restart one after the other. The sockets are those
// that its types list, as openSockets gave them.
func (s *supervisor) setTypes(config *Config, sockets []*socket) {
	var next []*processType
	from := make([]int, 0, len(config.Types))
	for i, c := range config.Types {
		t := &processType{Type: c, env: config.Env, index: i, demand: &demand{}}
		if c.Prefork != nil {
			t.prefork = &prefork{}
		}
		from = append(from, -1)
		old := s.typeNamed(c.Name)
		if old != nil && (old.prefork != nil) == (t.prefork != nil) { // other workers else
			from[i] = old.index
		}
		s.take(t, sockets)
		next = append(next, t)
	}
	for i, t := range next {
		if from[i] < 0 {
			continue
		}
		old := s.types[from[i]]
		t.prefork = old.prefork
		t.slots, t.pin, t.stopped, t.hinted, t.stopTime = old.slots, old.pin, old.stopped, old.hinted, old.stopTime
		t.begun, t.held = old.begun, old.held
		if old.Demand == t.Demand && old.DemandCommand == t.DemandCommand {
			t.demand = old.demand
		}
		changed := old.Command != t.Command || !slices.Equal(old.Argv, t.Argv) || !slices.Equal(old.Env, t.Env) ||
			!handsOn(old.Listen, t.Listen) || old.Port != t.Port || old.ExportText != t.ExportText || old.Lens != t.Lens || !old.runsAs(t)
		if t.release = old.release; changed {
			t.release++
		}
		changed = changed || !slices.Equal(old.env, t.env)
		changed = changed || old.notifies() != t.notifies() || old.watchdog() != t.watchdog()
		if t.before = old.before; changed && t.before == nil {
			t.before = &known{old.Type, old.env}
		}
		for w := range t.all() {
			w.typ = t
			// Lowering memory.high has its writer wait for reclaim: that is for
			// the worker's next start, when there is nothing to reclaim.
			if t.Brake == 0 || old.Brake > 0 && t.Brake > old.Brake {
				s.brake(w)
			}
			w.roll = w.roll || changed && w.rolls() && w.master == nil
			if changed && w.replaces != nil && w.alive() {
				s.stop(w, remove, "what it was to take over with has changed again")
			}
		}
	}
	s.leaving = slices.DeleteFunc(s.leaving, func(t *processType) bool { return len(t.slots) == 0 })
	for _, old := range s.types {
		kept := slices.Contains(from, old.index)
		if kept {
			continue
		}
		reason := "its type was removed from the Procfile"
		if slices.ContainsFunc(next, func(t *processType) bool { return t.Name == old.Name }) {
			reason = "its type has another actuator now"
		}
		for _, w := range slices.Clone(old.slots) {
			s.stop(w, remove, reason)
		}
		s.leaving = append(s.leaving, old)
	}
	s.types = next
	s.admitUsers()
	s.setSockets(sockets)
	s.policy.Resize(from)
	s.recorder.Resize(from)
	s.configurePolicy()
}

// everyType gives the types and those that a reload removed.
func (s *supervisor) everyType() iter.Seq[*processType] {
	return func(yield func(*processType) bool) {
		for _, t := range s.types {
			if !yield(t) {
				return
			}
		}
		for _, t := range s.leaving {
			if !yield(t) {
				return
			}
		}
	}
}

func (s *supervisor) typeNamed(name string) *processType {
	for _, t := range s.types {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// rolls says whether a change of its type starts the worker anew: one that
// ended for good has done its work, and a release runs once.
func (w *worker) rolls() bool {
	return !w.typ.First && (w.state != finished || w.typ.Restart == RestartAlways)
}

// reload has the user's files read anew, beside the loop: a file may be a pipe
// that nobody writes. New sockets are opened there too.
func (s *supervisor) reload() {
	if s.c.Reload == nil || s.ending {
		return
	}
	if s.reloading {
		s.reloadDue = true
		return
	}
	s.reloading = true
	have, tidied := s.sockets, s.tidied
	go func() {
		r := reloaded{}
		if r.c, r.err = s.c.Reload(); r.err == nil {
			if tidied != nil { // the same path may be wanted again
				<-tidied
			}
			r.sockets, r.err = openSockets(r.c.Types, have)
		}
		s.reloads <- r
	}()
}

type reloaded struct {
	c       *Config
	sockets []*socket
	err     error
}

// reloaded takes over what was read. Files that are wrong, and sockets that cannot
// be opened, change nothing.
func (s *supervisor) reloaded(r reloaded) {
	s.reloading = false
	defer func() { // with the sockets that this one has left open
		if s.reloadDue {
			s.reloadDue = false
			s.reload()
		}
	}()
	if s.ending {
		s.retire(without(r.sockets, s.sockets))
		return
	}
	if r.err != nil {
		s.log.error("cannot reload: nothing was changed", "error", r.err)
		return
	}
	c := r.c
	c.Types = slices.DeleteFunc(c.Types, func(t Type) bool { return t.First && s.typeNamed(t.Name) == nil }) // it is too late to be first
	s.setTypes(c, r.sockets)
	s.openNotifier()
	// What was decided at the start stays: outputs, the socket, the log, the
	// recording.
	c.Prefix, c.Color, c.Control, c.LogLevel, c.LogJSON = s.c.Prefix, s.c.Color, s.c.Control, s.c.LogLevel, s.c.LogJSON
	c.Record, c.User = s.c.Record, s.c.User
	again := c.RuntimeMetrics != s.c.RuntimeMetrics
	s.c = c
	s.watchFiles(c.Watch)
	if again {
		s.openMetrics()
	}
	if s.budget != nil {
		s.budget.SetLimit(c.Limit)
		s.lenses.setLimit(c.Limit)
	}
	s.configurePolicy()
	s.nextLook = 0
	s.log.info("reloaded", "types", len(s.types))
}
