package policy

import "time"

// Victim is the index of the worker of type t to stop when fewer are wanted: one
// that is to take another's place, else the one that leaks fastest, else one that is
// clearly idle, else the youngest. It is zero where none is left to stop.
func (s *State) Victim(_ *Config, o *Observation, t int) (index int) {
	i, _ := s.pick(o, t, nil)
	if i < 0 {
		return 0
	}
	return o.Workers[i].Index
}

// growsFastest and keepsGrowing are why pick finds a worker that is itself the cause.
const growsFastest, keepsGrowing = "grows fastest", "keeps growing"

// pick finds the worker of a type that goes first, and in words why it does.
func (s *State) pick(o *Observation, t int, chosen []bool) (worker int, because string) {
	extra, leaking, grown, idle, youngest := -1, -1, -1, -1, -1
	var gain int64
	var second int64
	for i := range o.Workers {
		w := &o.Workers[i]
		if w.Type != t || w.Phase >= Stopping || i < len(chosen) && chosen[i] {
			continue
		}
		if youngest < 0 || younger(w, &o.Workers[youngest]) {
			youngest = i
		}
		if w.Extra {
			extra = i
		}
		if w.Phase != Ready {
			continue
		}
		if leaks(w, o.Now) && (leaking < 0 || w.Growth > o.Workers[leaking].Growth) {
			leaking = i
		}
		if i < len(s.tracks) && s.tracks[i].is(w) {
			if g := s.gain(w, &s.tracks[i], o.Now, false); g > gain {
				gain, grown = g, i
			}
		}
		switch {
		case idle < 0:
			idle, second = i, -1
		case w.CPU < o.Workers[idle].CPU:
			idle, second = i, o.Workers[idle].CPU
		case second < 0 || w.CPU < second:
			second = w.CPU
		}
	}
	switch {
	case extra >= 0:
		return extra, "was to take another's place"
	case leaking >= 0:
		return leaking, growsFastest
	case grown >= 0:
		return grown, keepsGrowing
	case idle >= 0 && o.Workers[idle].CPU <= (second-50)/2:
		return idle, "is idle"
	default:
		return youngest, "is the youngest"
	}
}

// swollen is the worker of a type that takes clearly more than others of it, again and
// again, and in words why it goes; else the one that would go.
func (s *State) swollen(l *look, worker int, because string) (int, string) {
	kind, most := l.o.Workers[worker].Type, int64(0)
	t := &s.types[kind]
	if t.extra > 0 || because == keepsGrowing {
		return worker, because
	}
	for i := range l.o.Workers {
		w := &l.o.Workers[i]
		if w.Type != kind || w.Phase != Ready || t.outdated(w) {
			continue
		}
		if beyond := t.beyond(&s.tracks[i]); beyond >= max(2*mib, t.usual()/8, most) {
			worker, because, most = i, "takes most", beyond
		}
	}
	return worker, because
}

// usual is the most that a type's warm workers have in a turn, at the mean.
func (t *typeState) usual() int64 { return t.highs / max(t.warmed, 1) }

// beyond is how much more one of them has.
func (t *typeState) beyond(k *track) int64 {
	if !k.warmed || t.warmed == 0 {
		return 0
	}
	return k.high - t.usual()
}

// younger prefers, of workers of the same age, the one that gives more back.
func younger(a, b *Worker) bool {
	if a.Since != b.Since {
		return a.Since > b.Since
	}
	if a.Cost != b.Cost {
		return a.Cost > b.Cost
	}
	return a.Index > b.Index
}

// leaks says whether a worker's growth is clear over its life: what it would
// add in a minute, or in its age, is an eighth of it and at least 1 MiB.
func leaks(w *Worker, now time.Duration) bool {
	age := min(max(now-w.Since, 0), time.Minute)
	grown := float64(w.Growth) * age.Seconds()
	return w.Phase == Ready && grown >= float64(max(mib, bytes(w.Cost)/8))
}

// yields is the type that gives up a worker: of those that may the one of the lowest
// priority, of equals the later one; -1 where there is none.
func (s *State) yields(c *Config, may func(kind int) bool) int {
	best := -1
	for i := range s.types {
		if may(i) && (best < 0 || c.Types[i].Priority <= c.Types[best].Priority) {
			best = i
		}
	}
	return best
}

// runsExtra says whether a type runs a worker that is to take another's place.
func (s *State) runsExtra(kind int) bool { return s.types[kind].extra > 0 }

// aboveMinimum and aboveNothing say whether a type runs and wants more workers than
// it has to.
func (s *State) aboveMinimum(kind int) bool { return s.types[kind].above(s.types[kind].low) }
func (s *State) aboveNothing(kind int) bool { return s.types[kind].above(0) }

func (t *typeState) above(low int) bool { return t.wanted > low && t.live > low }

// warning is how long before the end of memory a worker must be told to stop.
func warning(w *Worker) time.Duration {
	stop := min(w.StopTime, 10*time.Minute)
	if stop <= 0 {
		stop = 2 * time.Second
	}
	return stop*3/2 + 500*time.Millisecond
}
