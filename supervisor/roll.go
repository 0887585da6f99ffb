package supervisor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/memsup/memsup/policy"
)

// known is what a type's workers ran before a reload: what is gone back to where the
// new does not come up.
type known struct {
	Type
	env []string
}

// rollPatience is how long a worker that is to be replaced waits for what passes by
// itself, as another type's start, before it is stopped first.
const rollPatience = time.Minute

// roll replaces the next worker that is to be restarted, one at a time in each type:
// the next goes when the one before is ready and the old one is gone.
func (s *supervisor) roll(now time.Duration) {
	for _, t := range s.types {
		next, busy := t.turn(now)
		switch {
		case busy:
			t.dueSince = 0
		case next == nil:
			t.before, t.dueSince = nil, 0
			s.asksRoom(t, false)
		default:
			if t.dueSince == 0 {
				t.dueSince = now
			}
			next.delays = 0
			if next.state != ready || !t.StartFirst || !s.watches() || !s.memOK {
				s.stopFirst(next, "rolling restart")
				continue
			}
			s.replaceWhereRoom(next, now)
		}
	}
}

// turn finds the next worker of a type that is to be restarted. One without a process
// is started at once. Busy is that another one is coming or going.
func (t *processType) turn(now time.Duration) (next *worker, busy bool) {
	for _, w := range t.slots {
		switch {
		case w.roll && (w.state == backoff || w.state == finished):
			w.roll, w.early, w.delays = false, nil, 0
			w.state, w.until = backoff, now
			busy = true
		case w.state == stopping, w.state == backoff, w.replaces != nil, w.state == starting && !w.roll:
			busy = true
		case w.roll && next == nil:
			next = w
		}
	}
	return next, busy
}

// replaceWhereRoom has a worker's replacement started beside it where memory and
// limits hold both, and else stops it first.
func (s *supervisor) replaceWhereRoom(w *worker, now time.Duration) {
	t := w.typ
	switch {
	case s.crowded(t):
		s.stopFirst(w, "rolling restart; no limit holds one more beside it")
		return
	case w.narrow:
		s.stopFirst(w, "rolling restart; memory did not hold the new one beside it")
		return
	}
	if s.asksRoom(t, true) {
		return // the next look tells
	}
	holds, why := s.policy.Holds(t.index)
	switch {
	case holds:
		s.startBeside(w, "rolling restart")
	case why.Passing() && now-t.dueSince < rollPatience:
	default:
		s.stopFirst(w, "rolling restart; stopped first: "+why.String())
	}
}

// asksRoom has the policy find out with each look whether one more of a type fits, or
// not any more, and says whether that is new.
func (s *supervisor) asksRoom(t *processType, asks bool) bool {
	p := &s.pcfg.Types[t.index]
	if p.Replacing == asks {
		return false
	}
	if p.Replacing = asks; asks {
		s.decide, s.nextLook = true, 0
	}
	return true
}

// replace carries out a recycling of the policy's.
func (s *supervisor) replace(w *worker, a *policy.Action) {
	switch {
	case w.successor != nil:
		s.stop(w, remove, a.Reason)
	case a.First && w.typ.StartFirst && w.state == ready && !s.crowded(w.typ):
		s.startBeside(w, "")
	default:
		if w.trial && w.state == starting {
			s.rollBack(w, "was stopped for memory before it was ready")
		}
		s.stop(w, restart, a.Reason)
	}
}

// startBeside adds a worker that takes another one's place when it is ready.
func (s *supervisor) startBeside(w *worker, reason string) {
	n := w.typ.add()
	n.replaces, w.successor = w, n
	n.inherit(w)
	if reason != "" {
		reason += "; " + n.name + " starts first"
		s.log.info("replace "+w.name, "reason", reason)
		s.keepDecision(Decision{Action: "replace", Worker: w.name, Reason: reason})
	}
	s.decide = true
}

// stopFirst stops a worker that is to be replaced, and notes that its next process is
// on trial.
func (s *supervisor) stopFirst(w *worker, reason string) {
	s.stop(w, restart, reason)
	w.trial = true
}

// unproven says whether what a type's workers start from is what a rolling restart
// tries, while some run that would be kept.
func (t *processType) unproven() bool {
	return t.before != nil && slices.ContainsFunc(t.slots, func(w *worker) bool { return w.state == ready })
}

// rolling says whether some of a type's workers still run, or may start again, from what
// ran before a rolling restart.
func (t *processType) rolling() bool {
	return t.before != nil || slices.ContainsFunc(t.slots, func(w *worker) bool { return w.roll })
}

// takeOver has a worker that became ready take the place of the one that it replaces.
func (s *supervisor) takeOver(w *worker) {
	w.trial = false
	if old := w.replaces; old != nil {
		w.replaces, old.successor = nil, nil
		s.stop(old, remove, w.name+" took its place")
	}
}

// part undoes that a worker replaces another one, or is replaced.
func (w *worker) part() {
	if w.replaces != nil {
		w.replaces.successor = nil
	}
	if w.successor != nil {
		w.successor.replaces = nil
	}
	w.replaces, w.successor = nil, nil
}

// rollBack ends the rolling restart of a type whose next worker did not become ready:
// the others go on as they are, and what starts from now on is what ran before.
func (s *supervisor) rollBack(w *worker, why string) {
	t := w.typ
	beside := w.replaces != nil
	w.part()
	var kept []string
	for _, other := range slices.Clone(t.slots) {
		other.roll, other.trial = false, false
		if other != w && other.replaces != nil { // of the same release
			s.stop(other, remove, "the restart was rolled back")
		}
		if other != w && other.alive() && other.state != stopping {
			kept = append(kept, other.name)
		}
	}
	text := w.name + " " + why
	if b := t.before; b != nil && handsOn(b.Listen, t.Listen) {
		uses := t.Uses // of the limits that there are now
		t.Type, t.env = b.Type, b.env
		t.Uses = uses
		t.release++
		text += "; what starts is what ran before"
	}
	t.before = nil
	if len(kept) > 0 {
		text += fmt.Sprintf("; kept: %s", strings.Join(kept, ", "))
	}
	s.log.error("rolled back: " + text)
	s.keepDecision(Decision{Action: "rollback", Worker: t.Name, Reason: text})
	switch {
	case !beside:
	case w.alive():
		s.stop(w, remove, "it did not become ready")
	default:
		s.dropWorker(w)
	}
	s.configurePolicy()
}
