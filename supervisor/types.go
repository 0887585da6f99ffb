package supervisor

import (
	"iter"
	"slices"

	"golang.org/x/sys/unix"
)

// setTypes makes c's types the ones that are run: at the start, and again when the
// user's files were read anew. What a worker's start depends on and changed
// makes the type's workers restart one after the other. An error changes
// nothing.
func (s *supervisor) setTypes(config *Config) error {
	var next []*processType
	var opened []int
	from := make([]int, 0, len(config.Types))
	for i, c := range config.Types {
		t := &processType{Type: c, env: config.Env, index: i, listen: -1, demand: &demand{}}
		if c.Prefork != nil {
			t.prefork = &prefork{}
		}
		from = append(from, -1)
		old := s.typeNamed(c.Name)
		if old != nil && (old.prefork != nil) == (t.prefork != nil) { // other workers else
			from[i] = old.index
		}
		switch {
		case c.Listen == "":
		case old != nil && old.Listen == c.Listen:
			t.listen = old.listen
		default:
			fd, err := listen(c.Listen)
			if err != nil {
				for _, fd := range opened {
					unix.Close(fd)
				}
				return err
			}
			t.listen = fd
			opened = append(opened, fd)
		}
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
			old.Listen != t.Listen || old.Port != t.Port || old.ExportText != t.ExportText || !old.runsAs(t)
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
		}
	}
	s.leaving = slices.DeleteFunc(s.leaving, func(t *processType) bool { return len(t.slots) == 0 })
	for _, old := range s.types {
		kept := slices.Contains(from, old.index)
		if old.listen >= 0 && !slices.ContainsFunc(next, func(t *processType) bool { return t.listen == old.listen }) {
			unix.Close(old.listen)
		}
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
	s.policy.Resize(from)
	s.recorder.Resize(from)
	s.configurePolicy()
	return nil
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
// ended for good has done its work.
func (w *worker) rolls() bool { return w.state != finished || w.typ.Restart == RestartAlways }

// reload has the user's files read anew, beside the loop: a file may be a pipe
// that nobody writes.
func (s *supervisor) reload() {
	if s.c.Reload == nil || s.ending {
		return
	}
	if s.reloading {
		s.reloadDue = true
		return
	}
	s.reloading = true
	go func() {
		c, err := s.c.Reload()
		s.reloads <- reloaded{c, err}
	}()
}

type reloaded struct {
	c   *Config
	err error
}

// reloaded takes over what was read. Files that are wrong change nothing.
func (s *supervisor) reloaded(c *Config, err error) {
	s.reloading = false
	if s.reloadDue {
		s.reloadDue = false
		s.reload()
	}
	if s.ending {
		return
	}
	if err != nil {
		s.log.error("cannot reload: nothing was changed", "error", err)
		return
	}
	c.Types = slices.DeleteFunc(c.Types, func(t Type) bool { return t.First && s.typeNamed(t.Name) == nil }) // it is too late to be first
	if err := s.setTypes(c); err != nil {
		s.log.error("cannot reload: nothing was changed", "error", err)
		return
	}
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
	}
	s.configurePolicy()
	s.nextLook = 0
	s.log.info("reloaded", "types", len(s.types))
}
