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

// roll replaces workers that are to be restarted: of each type as many at once as it
// says, the next when one before is ready and the old one is gone. Each type begins
// with one at most in each turn: the next look tells whether memory holds another.
func (s *supervisor) roll(now time.Duration) {
	for _, t := range s.types {
		next, under := t.turn(now)
		if next == nil || under > 0 {
			t.dueSince = 0
		} else if t.dueSince == 0 {
			t.dueSince = now
		}
		switch {
		case next == nil:
			s.asksRoom(t, false, false)
			if under == 0 {
				t.before = nil
			}
		case under < max(t.AtOnce, 1):
			next.delays = 0
			s.replaceNext(next, under > 0, now)
		}
	}
}

// turn finds the next worker of a type that is to be restarted, and under how many
// places another one is coming or going. One without a process is started at once.
func (t *processType) turn(now time.Duration) (next *worker, under int) {
	for _, w := range t.slots {
		switch {
		case w.roll && (w.state == backoff || w.state == finished):
			w.roll, w.early, w.delays = false, nil, 0
			w.state, w.until = backoff, now
			under++
		case w.state == stopping, w.state == backoff, w.replaces != nil, w.state == starting && !w.roll:
			under++
		case w.roll && w.successor == nil && next == nil:
			next = w
		}
	}
	return next, under
}

// replaceNext replaces a worker in its turn: where the type starts the new one first,
// beside it, if memory and limits hold both, and else the old one is stopped first. While
// others are being replaced it is left for later where that would pass memory, a limit,
// or the fewest workers that are to serve.
func (s *supervisor) replaceNext(w *worker, others bool, now time.Duration) {
	t := w.typ
	sees := s.watches() && s.memOK && s.blind == ""
	beside := sees && t.StartFirst && w.state == ready
	switch {
	case !beside && !others:
		s.stopFirst(w, "rolling restart")
	case !beside && !(sees && s.spares(w)):
	case beside && s.crowded(t, (*worker).lasts):
		if !others {
			s.stopFirst(w, "rolling restart; no limit holds one more beside it")
		}
	case beside && w.narrow:
		if !others {
			s.stopFirst(w, "rolling restart; memory did not hold the new one beside it")
		}
	case s.asksRoom(t, true, !beside), s.decide:
		s.nextLook = 0 // it tells
	default:
		holds, why := s.policy.Holds(t.index)
		switch {
		case holds && beside:
			s.startBeside(w, "rolling restart")
		case holds:
			s.stopFirst(w, "rolling restart")
		case others, why.Passing() && now-t.dueSince < rollPatience:
		default:
			s.stopFirst(w, "rolling restart; stopped first: "+why.String())
		}
	}
}

// spares says whether the worker serves nobody, or the type's minimum does without it.
func (s *supervisor) spares(w *worker) bool {
	lo, _ := s.rangeOf(w.typ)
	for _, other := range w.typ.slots {
		if other != w && other.serves() {
			lo--
		}
	}
	return lo <= 0 || !w.serves()
}

// asksRoom has the policy find out with each look whether one more of a type fits, or
// one in place of another, or not any more, and says whether that is new.
func (s *supervisor) asksRoom(t *processType, asks, inPlace bool) bool {
	p := &s.pcfg.Types[t.index]
	if p.Replacing == asks && p.InPlace == inPlace {
		return false
	}
	p.Replacing, p.InPlace = asks, inPlace
	s.decide = s.decide || asks
	return true
}

// replace carries out a recycling of the policy's.
func (s *supervisor) replace(w *worker, a *policy.Action) {
	switch {
	case w.successor != nil:
		s.stop(w, remove, a.Reason)
	case a.First && w.typ.StartFirst && w.state == ready && !s.crowded(w.typ, (*worker).lasts):
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
	s.decide, s.nextLook = true, 0
}

// stopFirst stops a worker that is to be replaced, and notes that its next process is
// on trial.
func (s *supervisor) stopFirst(w *worker, reason string) {
	s.stop(w, restart, reason)
	w.trial = true
	s.nextLook = 0 // the next one may go beside it
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

// rollBack ends the rolling restart of a type of which a worker did not become ready:
// those that are not ready either go, the others go on as they are, and what starts
// from now on is what ran before.
func (s *supervisor) rollBack(w *worker, why string) {
	t := w.typ
	beside := w.replaces != nil
	w.part()
	text := w.name + " " + why
	b := t.before
	goesBack := b != nil && handsOn(b.Listen, t.Listen)
	if goesBack {
		uses := t.Uses // of the limits that there are now
		t.Type, t.env = b.Type, b.env
		t.Uses = uses
		t.release++
		text += "; what starts is what ran before"
	}
	t.before = nil
	var kept []string
	var others []*worker
	for _, other := range t.slots {
		switch {
		case other == w:
		case other.replaces != nil, goesBack && other.trial && other.state == starting:
			others = append(others, other)
		case other.alive() && other.state != stopping:
			kept = append(kept, other.name)
		}
		other.roll, other.trial = false, false
	}
	if len(kept) > 0 {
		text += fmt.Sprintf("; kept: %s", strings.Join(kept, ", "))
	}
	s.log.error("rolled back: " + text)
	s.keepDecision(Decision{Action: "rollback", Worker: t.Name, Reason: text})
	if beside {
		others = append(others, w)
	}
	for _, other := range others {
		after := restart
		if other == w || other.replaces != nil {
			after = remove
		}
		if other.alive() {
			s.stop(other, after, "it did not become ready")
		} else {
			s.dropWorker(other)
		}
	}
	s.configurePolicy()
}
