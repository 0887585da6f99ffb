package policy

import (
	"testing"
	"time"
)

func TestTight(t *testing.T) {
	type at struct {
		seconds   float64
		available int64
		want      bool
	}
	for name, x := range map[string]struct {
		workers []Worker
		looks   []at
	}{
		"room": {nil, []at{{0, 900 * mib, false}, {10, 101 * mib, false}}},
		"under the reserve, once for each eighth of it": {nil, []at{
			{0, 500 * mib, false},
			{100, 99 * mib, true},
			{200, 99 * mib, false},
			{300, 104 * mib, false},
			{400, 95 * mib, false},
			{500, 86 * mib, true},
			{600, 80 * mib, false},
			{700, 120 * mib, false},
			{800, 99 * mib, true},
		}},
		"from the start": {nil, []at{{0, 50 * mib, true}, {1, 50 * mib, false}}},
		"what a starting worker is owed is gone": {
			[]Worker{{Index: 1, Phase: Starting, Cost: 50 * mib}},
			[]at{{0, 260 * mib, false}, {1, 249 * mib, true}},
		},
		// Told to stop 3.5 s before the end, so told of it 7 s before.
		"going fast": {
			[]Worker{{Index: 1, Phase: Ready, Cost: 200 * mib}},
			[]at{{0, 500 * mib, false}, {1, 450 * mib, false}, {2, 400 * mib, false}, {3, 345 * mib, true}},
		},
		"going slowly": {
			[]Worker{{Index: 1, Phase: Ready, Cost: 200 * mib}},
			[]at{{0, 320 * mib, false}, {1, 310 * mib, false}, {2, 300 * mib, false}},
		},
	} {
		c := Config{Reserve: 100 * mib, Types: []Type{{Name: "web", Min: 1, Max: 1, Memory: 200 * mib}}}
		var s State
		for _, l := range x.looks {
			o := Observation{
				Now: time.Duration(l.seconds * float64(time.Second)), Limit: gib, Limited: true,
				Used: gib - l.available, Available: l.available, Headroom: l.available, Workers: x.workers,
			}
			actions := s.Decide(&c, &o)
			if len(actions) > 0 {
				t.Errorf("%s: at %v s: it is to be said before %v", name, l.seconds, actions)
			}
			if s.Tight() != l.want {
				t.Errorf("%s: at %v s: %v, want %v", name, l.seconds, s.Tight(), l.want)
			}
		}
	}
}
