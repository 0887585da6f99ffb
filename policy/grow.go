package policy

import "fmt"

// grow finds for each type why it does not grow, and lets one type grow by one
// worker where nothing else was decided, or has another one make way for it.
func (s *State) grow(l *look) {
	best := -1
	for i := range s.types {
		t := &s.types[i]
		t.block = s.blocked(l, i)
		if (t.block.why == nothing || t.block.why == justFits) && (best < 0 || s.growsBefore(l, i, best)) {
			best = i
		}
	}
	if best < 0 {
		s.makeWay(l)
		return
	}
	for i := range s.types {
		if t := &s.types[i]; i != best && t.block.why == nothing {
			t.block = Block{why: otherTurn, name: l.c.Types[best].Name}
		}
	}
	t := &s.types[best]
	if len(s.actions) > 0 || t.block.why != nothing {
		return
	}
	cost, _ := s.Cost(best)
	s.actions = append(s.actions, Action{Kind: Up, Type: best, Reason: t.demand.because() + fmt.Sprintf(
		"headroom %s holds cost %s + reserve %s", size(s.spare(l)), size(cost), size(l.reserve))})
	t.wanted++
	if t.rise.middle == 0 && !t.tried {
		t.hold.until = l.now // it is forgotten while this one lasts, not while there is no room
	}
	t.tried = true
	t.oneMore.until.until = min(t.oneMore.until.until, l.now)
	t.below = max(0, t.low-t.wanted)
	t.demand.follow(l.now)
}

// growsBefore says whether type a has the next turn before type b: one below
// its minimum, then the higher priority, then the smaller part of its maximum.
func (s *State) growsBefore(l *look, a, b int) bool {
	x, y := &s.types[a], &s.types[b]
	if (x.below > 0) != (y.below > 0) {
		return x.below > 0
	}
	if p, q := l.c.Types[a].Priority, l.c.Types[b].Priority; p != q {
		return p > q
	}
	return float64(x.wanted)/float64(x.high) < float64(y.wanted)/float64(y.high)
}

// spare is the headroom less what workers will take that are starting, or wanted and
// not there.
func (s *State) spare(l *look) int64 {
	return plus(l.headroom, -plus(l.owed, s.missing()))
}

// missing is what workers will take that are wanted and not there.
func (s *State) missing() (all int64) {
	for i := range s.types {
		t := &s.types[i]
		if missing := int64(t.wanted - t.live); missing > 0 {
			cost, _ := s.Cost(i)
			all = plus(all, min(missing, 1<<12)*cost)
		}
	}
	return all
}

// hold finds out, for each type that asks, whether memory holds one more worker. What
// was just decided goes first.
func (s *State) hold(l *look) {
	for i := range s.types {
		t := &s.types[i]
		switch {
		case !l.c.Types[i].Replacing:
			t.holds = Block{why: notAsked}
		case len(s.actions) > 0:
			t.holds = Block{why: otherTurn, name: l.c.Types[s.actions[0].Type].Name}
		default:
			t.holds = s.lacks(l, i, true)
		}
	}
}

// blocked is why type i does not grow.
func (s *State) blocked(l *look, i int) Block {
	t := &s.types[i]
	_, known := s.Cost(i)
	hold, pause, mourning := t.hold.left(l.now), t.pause.left(l.now), t.mourning.left(l.now)
	if t.rise.middle == 0 {
		hold = max(hold, t.eased-l.now)
	}
	demand, limit := t.undemanded(), s.limited(l.c, i)
	switch {
	case t.wanted >= t.high:
		return Block{why: atMaximum, maximum: t.high}
	case demand.why != nothing:
		return demand
	case limit.why != nothing:
		return limit
	}
	lacks := s.lacks(l, i, false)
	if lacks.why == surges {
		t.unfit = l.now
	}
	fits := t.unfit + 2*lasting - l.now
	switch {
	case lacks.why == noLimit, lacks.why == memoryShort:
		return lacks
	case !known:
		return Block{why: costUnknown, name: l.c.Types[i].Name, index: max(1, t.lowest)}
	case pause > 0:
		return Block{why: growthPaused, name: l.c.Types[i].Name, index: t.failed, wait: pause}
	case mourning > 0:
		return Block{why: killedBack, wait: mourning}
	case hold > 0:
		return Block{why: takenBack, wait: hold}
	case lacks.why == nothing && t.unfit > 0 && fits > 0:
		return Block{why: justFits, wait: fits}
	}
	return lacks
}

// lacks is why memory does not hold one more worker of type i beside those that run
// and are wanted. Where none of its release was measured it is taken to be as large
// as one of the release before. Rolling, it may start beside others that start, once
// it is known what these will take; and where the type stops a worker first (InPlace),
// what it and those that are stopping have is given back before.
func (s *State) lacks(l *look, i int, rolling bool) Block {
	t := &s.types[i]
	cost, known := s.Cost(i)
	if !known {
		cost = t.past
	}
	switch {
	case l.limit <= 0:
		return Block{why: noLimit}
	case s.short:
		return Block{why: memoryShort}
	case cost <= 0:
		return Block{why: costUnknown, name: l.c.Types[i].Name, index: max(1, t.lowest)}
	case l.unknown, l.starting > 0 && !rolling:
		return Block{why: someStarting, name: l.c.Types[l.first.Type].Name, index: l.first.Index}
	case l.loading != nil && !rolling:
		w := l.loading
		return Block{why: stillLoading, name: l.c.Types[w.Type].Name, index: w.Index, wait: l.now - w.Since}
	case t.live < t.wanted && !(rolling && known):
		return Block{why: notRunning, fewer: t.wanted - t.live}
	case l.o.PressureSome >= hardSome/2 || l.o.PressureFull >= hardFull/2:
		return Block{why: underPressure, some: l.o.PressureSome, full: l.o.PressureFull}
	case s.waitKill || s.suspect > 0:
		return Block{why: justKilled}
	case l.net > 0:
		return Block{why: memoryGoes, rate: int64(l.net)}
	}
	spare, dip, more, filling := s.spare(l), plus(s.trough.least(), -l.owed), i, l.filling
	if rolling && l.c.Types[i].InPlace {
		filling = plus(filling, min(int64(max(0, t.wanted-t.live)), 1<<12)*t.fills(cost))
		cost, more = max(0, cost-s.smallest(l, i)), -1
		spare, dip = plus(spare, l.returning), plus(dip, plus(l.returning, -s.missing()))
	}
	if spare < plus(cost, l.reserve) {
		return Block{why: noRoom, room: spare, cost: cost, reserve: l.reserve}
	}
	if plus(spare, -l.coming) < plus(cost, l.reserve) {
		return Block{why: stillGrowing, room: spare, coming: l.coming, cost: cost, reserve: l.reserve}
	}
	if plus(spare, -plus(l.coming, filling)) < plus(cost, l.reserve) {
		return Block{why: stillFilling, room: spare, coming: plus(l.coming, filling), cost: cost, reserve: l.reserve}
	}
	if surge := s.surge(more); surge > l.reserve && plus(spare, l.passing-l.coming) < plus(cost, surge) {
		return Block{why: surges, room: plus(spare, l.passing), cost: cost, coming: surge}
	}
	if plus(dip, -l.coming) < plus(cost, l.reserve/2) {
		return Block{why: dips, room: dip, cost: cost, reserve: l.reserve}
	}
	if s.upFrom > l.now {
		return Block{why: justStopped, wait: s.upFrom - l.now}
	}
	return Block{}
}

// smallest is the least that stopping one of a type's ready workers gives back.
func (s *State) smallest(l *look, kind int) (least int64) {
	for i := range l.o.Workers {
		w := &l.o.Workers[i]
		if cost := bytes(w.Cost); w.Type == kind && w.Phase == Ready && (least == 0 || cost < least) {
			least = cost
		}
	}
	return least
}
