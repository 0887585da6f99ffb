package supervisor

import (
	"slices"
	"time"
)

// waitsFor names the types that a type's start waits for: those that it comes after
// and that have fewer workers ready than their minimum, and a release that has not done
// its work. Once there was none the type goes on whatever becomes of them, until a user
// stops it. One that does not run here is not waited for.
func (s *supervisor) waitsFor(t *processType) []string {
	if t.begun || s.c.Command != nil {
		return nil
	}
	var names []string
	for _, other := range s.types {
		after := other.First && other != t || slices.Contains(t.After, other.Name)
		if after && !s.complete(other) {
			names = append(names, other.Name)
		}
	}
	return names
}

// hold notes what a type's start waits for, and says that it does.
func (s *supervisor) hold(t *processType) {
	waited := len(t.held) > 0
	t.held = s.waitsFor(t)
	if t.begun = len(t.held) == 0; !t.begun && !waited {
		s.log.info(t.waiting())
	}
}

// waiting is what a type that is held waits for, in words.
func (t *processType) waiting() string {
	text := t.Name + " waits for "
	for i, name := range t.held {
		if i > 0 {
			text += ", "
		}
		text += name
	}
	return text
}

// complete says whether as many workers of a type are ready as its minimum asks for.
// One that ended well and is not to be restarted has done its work, and a release has
// only then.
func (s *supervisor) complete(t *processType) bool {
	lo, _ := s.rangeOf(t)
	n := 0
	for w := range t.all() {
		switch well := w.state == finished && !w.gaveUp && !w.illEnded; {
		case well && (t.First || w.keeps()): // a master's workers went with it
			return true
		case well, w.state == ready && !w.keeps():
			n++
		}
	}
	if t.First {
		return false
	}
	return n >= min(lo, s.wanted(t))
}

// awaited says whether a type waits for this one.
func (s *supervisor) awaited(t *processType) bool {
	return slices.ContainsFunc(s.types, func(other *processType) bool { return slices.Contains(other.held, t.Name) })
}

// vain says whether a type waits for one whose workers have all ended for good, and
// not well: nobody but a user can have it start.
func (s *supervisor) vain(t *processType) bool {
	return !t.begun && slices.ContainsFunc(t.held, func(name string) bool {
		other := s.typeNamed(name)
		if other == nil {
			return false
		}
		return s.vain(other) || len(other.slots) > 0 && len(other.slots) == other.finished()
	})
}

// stopInOrder sends the workers of each type their stop signal, at memsup's end, when
// no worker of a type that comes after it is left: what a worker uses stays while it
// finishes. When half of the grace is over everybody gets it.
func (s *supervisor) stopInOrder(now time.Duration) {
	s.inOrder = false
	for _, t := range s.types {
		stays := now < s.orderBy && s.needed(t)
		s.inOrder = s.inOrder || stays
		for i := len(t.slots) - 1; i >= 0; i-- {
			w := t.slots[i]
			if stays && (w.state == starting || w.state == ready) {
				continue
			}
			s.stop(w, remove, "memsup is ending")
			w.until = s.endBy
		}
	}
}

// needed says whether a worker is left of a type that comes after this one, also by
// way of others that have ended.
func (s *supervisor) needed(t *processType) bool {
	names := []string{t.Name}
	for i := 0; i < len(names); i++ {
		for other := range s.everyType() {
			if other == t || !slices.Contains(other.After, names[i]) {
				continue
			}
			if slices.ContainsFunc(other.slots, (*worker).alive) {
				return true
			}
			if !slices.Contains(names, other.Name) {
				names = append(names, other.Name)
			}
		}
	}
	return false
}
