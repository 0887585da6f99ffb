package policy

import (
	"testing"
	"time"
)

// add takes a look, and every so many of them a turn.
func (p *spikes) add(i int, has, had int64) {
	if i%10 == 0 {
		p.reach(had)
		p.turn(had, &own{})
	}
	p.look(0, has, &own{})
}

// together is the surge of so many workers of one type, and of another's that have
// no spikes.
func together(p *spikes, n int) int64 {
	s := State{types: []typeState{{wanted: 7}, {spikes: *p, wanted: n}}}
	return s.surge(-1)
}

// TestSurge: how many have a spike at once follows from how often one has it.
func TestSurge(t *testing.T) {
	often := func(every int) *spikes {
		p := &spikes{}
		for i := range 4000 {
			has := int64(0)
			if i%every == 0 {
				has = 32 * mib
			}
			p.add(i, has, 32*mib)
		}
		return p
	}
	for _, test := range []struct {
		every, workers int
		least, most    int64 // in spikes that were seen, of nine eighths each at most
	}{
		{1, 4, 4, 5},
		{4, 1, 1, 2},
		{4, 4, 4, 5},
		{20, 10, 5, 8},
		{4000, 10, 2, 4},
		{4000, 64, 2, 6},
	} {
		got := together(often(test.every), test.workers)
		if got < test.least*32*mib || got > test.most*32*mib {
			t.Errorf("one look in %d, %d workers: %s", test.every, test.workers, size(got))
		}
	}
	p := often(20)
	for n := range 200 {
		if a, b := together(p, n), together(p, n+1); a > b {
			t.Errorf("%d workers take %s, %d take %s", n, size(a), n+1, size(b))
		}
	}
	var unseen spikes // by any look
	for i := range 4000 {
		unseen.add(i, 0, 32*mib)
	}
	if got := together(&unseen, 10); got < 2*32*mib || got > 5*32*mib {
		t.Errorf("every turn had one that no look met, and 10 workers take %s", size(got))
	}
	if got := together(new(spikes), 5); got != 0 {
		t.Errorf("no spike was seen, and they take %d", got)
	}
}

// TestSpikesGrow: wider bins hold what the narrow ones did.
func TestSpikesGrow(t *testing.T) {
	var p spikes
	for i := range 1000 {
		p.add(i, int64(i%3)*4*mib, 8*mib)
	}
	before := together(&p, 3)
	p.add(0, 200*mib, 200*mib)
	if after := together(&p, 3); before < 24*mib || before > 32*mib || after < 200*mib || after > 450*mib {
		t.Errorf("before %s, after %s", size(before), size(after))
	}
}

// TestSurgeOfTypes: spikes of two types meet more seldom than each one's own worst
// ones, and the larger one's alone are no less.
func TestSurgeOfTypes(t *testing.T) {
	var web, jobs spikes
	for i := range 4000 {
		has := int64(0)
		if i%25 == 0 {
			has = 16 * mib
		}
		web.add(i, has, 16*mib)
		if has = 0; i%10 == 0 {
			has = int64(1+i/10%8) * 10 * mib
		}
		jobs.add(i, has, 80*mib)
	}
	s := State{types: []typeState{{spikes: web, wanted: 6}, {spikes: jobs, wanted: 2}}}
	both, one, other := s.surge(-1), together(&web, 6), together(&jobs, 2)
	if both >= one+other || both <= max(one, other) {
		t.Errorf("%s at once, where one type has %s and the other %s", size(both), size(one), size(other))
	}
	if more := s.surge(0); more < both {
		t.Errorf("%s with one more, %s without", size(more), size(both))
	}
	more := s.surge(0)
	if s.types[0].wanted++; more != s.surge(-1) {
		t.Errorf("%s with one more, and %s once it runs", size(more), size(s.surge(-1)))
	}
	s.types[0].wanted--
	s.types[0].extra = 4 // are to take others' places
	if beside := s.surge(0); beside <= more || s.surge(-1) != both {
		t.Errorf("%s with one more beside four that replace others, %s without these", size(beside), size(more))
	}
	s.types[0].extra = 0
	s.types[1].wanted = 0
	if alone := s.surge(-1); alone != one {
		t.Errorf("%s where no other worker is wanted, %s alone", size(alone), size(one))
	}
}

// TestBinsWiden: where a larger spike makes bins twice as wide, they go on holding
// every look and turn that the narrow ones held.
func TestBinsWiden(t *testing.T) {
	var p spikes
	for i := range int64(160) {
		p.add(int(10*i), 1+i%16*mib, 16*mib)
	}
	p.add(0, 0, 20*mib)
	var looks, turns float64
	for _, b := range p.bins {
		looks += b.looks
		turns += b.turns
	}
	if looks != 160-10 || turns != 161 { // a tenth had next to nothing
		t.Errorf("bins of %s hold %v looks and %v turns of 150 and 161", size(p.unit), looks, turns)
	}
}

// TestSurgeOfEach: a worker that was seen to have no spikes counts as such beside one that
// has them, and one that nobody has seen yet as both.
func TestSurgeOfEach(t *testing.T) {
	p := &spikes{}
	tracks := make([]track, 9)
	for i := range tracks {
		tracks[i].life, tracks[i].counts = life{known: true, index: i + 1}, true
	}
	for i := range 4000 {
		has := int64(0)
		if i%5 == 0 {
			has = 32 * mib
		}
		p.reach(has)
		now := time.Duration(i+1) * time.Second
		p.look(now, has, &tracks[0].own)
		for j := range tracks[1:] {
			p.look(now, 0, &tracks[1+j].own)
		}
	}
	surge := func(tracks []track, n int) int64 {
		return (&State{types: []typeState{{spikes: *p, wanted: n}}, tracks: tracks}).surge(-1)
	}
	if each, all := surge(tracks, 9), surge(nil, 9); each >= all || each < 32*mib {
		t.Errorf("nine have %s at once, and %s where nobody is known", size(each), size(all))
	}
	if known, unknown := surge(tracks[1:], 8), surge(tracks[1:], 10); known >= unknown {
		t.Errorf("eight without spikes have %s at once, and %s with two that nobody knows", size(known), size(unknown))
	}
	tracks[0].counts = false
	if left, gone := surge(tracks, 8), surge(tracks[1:], 8); left != gone {
		t.Errorf("%s at once while one is leaving, %s when it has left", size(left), size(gone))
	}
	before := tracks[1].own
	p.look(before.at, 32*mib, &tracks[1].own)
	if tracks[1].own != before {
		t.Error("a second look in one second counts")
	}
}

// TestOwnSpikes: the spikes of a type's only worker are its own, though bins become wider.
func TestOwnSpikes(t *testing.T) {
	var s State
	c := Config{Types: []Type{{Max: 1}}}
	for i := range int64(2000) {
		w := Worker{Index: 1, Phase: Ready, Cost: 100 * mib}
		if i%3 == 0 {
			w.Cost += i / 10 * mib
		}
		w.Peak = w.Cost
		s.Decide(&c, &Observation{Now: time.Duration(i) * 5 * time.Second, Limit: gib, Limited: true, Available: gib, Headroom: gib, Workers: []Worker{w}})
		if i >= 1000 { // and is halved
			break
		}
		for j, b := range s.types[0].spikes.bins {
			if own := s.tracks[0].own.bins[j]; float64(own.looks) != b.looks || float64(own.turns) != b.turns {
				t.Fatalf("bin %d of %s holds %v looks and %v turns, and the worker's own %v and %v",
					j, size(s.types[0].spikes.unit), b.looks, b.turns, own.looks, own.turns)
			}
		}
	}
	if unit := s.types[0].spikes.unit; unit < 4*mib {
		t.Errorf("bins are %s wide", size(unit))
	}
}

// TestLoadingIsNoSpike: what a worker takes as it loads what it serves with stays, though
// it is ready.
func TestLoadingIsNoSpike(t *testing.T) {
	c := Config{Types: []Type{{Name: "web", Min: 1, Max: 1}}}
	var s State
	for now := 500 * time.Millisecond; now < 10*time.Second; now += 250 * time.Millisecond {
		cost := int64(min(now.Seconds(), 3) * 20 * mib)
		s.Decide(&c, &Observation{Now: now, Limit: gib, Workers: []Worker{{Index: 1, Phase: Ready, Cost: cost, Peak: cost + 5*mib}}})
	}
	for i, b := range s.types[0].spikes.bins {
		if b.looks > 0 {
			t.Errorf("%.0f looks met spikes of up to %d MiB", b.looks, i+1)
		}
	}
}
