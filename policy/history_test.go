package policy

import (
	"testing"
	"time"
)

func TestFall(t *testing.T) {
	type at struct {
		seconds float64
		free    int64
	}
	for name, x := range map[string]struct {
		looks []at
		since time.Duration
		want  int64
	}{
		"steady":              {[]at{{0, 100 * mib}, {1, 100 * mib}, {2, 100 * mib}}, 0, 0},
		"a trend":             {[]at{{0, 30 * mib}, {1, 20 * mib}, {2, 10 * mib}}, 0, 10 * mib},
		"its slower half":     {[]at{{0, 30 * mib}, {1, 25 * mib}, {2, 10 * mib}}, 0, 5 * mib},
		"two samples":         {[]at{{0, 30 * mib}, {1, 20 * mib}}, 0, 0},
		"one allocation":      {[]at{{0, 196 * mib}, {1, 196 * mib}, {2, 136 * mib}}, 0, 0},
		"and noise before":    {[]at{{0, 196 * mib}, {1, 196 * mib}, {1.002, 196*mib - 128*kib}, {2, 136 * mib}}, 0, 0},
		"noise after it":      {[]at{{0, 196 * mib}, {1, 136 * mib}, {1.002, 136*mib - 128*kib}}, 0, 0},
		"uneven":              {[]at{{0, 40 * mib}, {1, 30 * mib}, {4, 10 * mib}}, 0, 20 * mib / 3},
		"since its last half": {[]at{{0, 50 * mib}, {1, 40 * mib}, {2, 30 * mib}, {3, 20 * mib}, {4, 10 * mib}}, 2 * time.Second, 10 * mib},
		"too little since":    {[]at{{0, 50 * mib}, {1, 40 * mib}, {2, 30 * mib}, {3, 20 * mib}, {4, 10 * mib}}, 3 * time.Second, 0},
	} {
		var h history
		for _, l := range x.looks {
			h.add(sample{at: time.Duration(l.seconds * float64(time.Second)), available: l.free})
		}
		if got := int64(h.fall(false, x.since)); got != x.want {
			t.Errorf("%s: %s/s, want %s/s", name, size(got), size(x.want))
		}
	}
}

// TestLimitReached: only a kill below a limit that was never reached teaches.
func TestLimitReached(t *testing.T) {
	for name, x := range map[string]struct {
		reached time.Duration // when it is told
		want    bool
	}{
		"never":           {time.Hour, true},
		"with the kill":   {time.Second, false},
		"a moment after":  {1050 * time.Millisecond, false},
		"long before":     {-20 * time.Second, true},
		"when it is late": {20 * time.Second, true},
	} {
		c := Config{Types: []Type{{Name: "web", Min: 1, Max: 1}}}
		var s State
		origin := time.Minute
		for _, now := range []time.Duration{-20 * time.Second, 0, time.Second, 1050 * time.Millisecond, 2 * time.Second, 20 * time.Second} {
			o := Observation{Now: origin + now, Limit: gib, Limited: true, Used: 900 * mib, Available: 124 * mib, Headroom: 124 * mib}
			if now >= time.Second {
				o.OOMKills = 1
			}
			o.LimitReached = x.reached == now
			s.Decide(&c, &o)
		}
		if _, got := s.Ceiling(); got != x.want {
			t.Errorf("%s: learned %v, want %v", name, got, x.want)
		}
	}
}

// TestFinishWaits: SIGKILL is for what a worker does after its stop signal.
func TestFinishWaits(t *testing.T) {
	for name, x := range map[string]struct {
		free []int64 // every 100 ms, stopping from the third on
		want int     // the look that kills; -1 is none
	}{
		"what went before":    {[]int64{120, 80, 40, 40, 40, 40, 40}, -1},
		"in its grace":        {[]int64{100, 80, 60, 45, 30, 30, 30}, -1},
		"after it":            {[]int64{160, 140, 120, 100, 80, 58, 40}, 5},
		"a quarter is left":   {[]int64{120, 100, 60, 40, 24, 10, 0}, 4},
		"one step since then": {[]int64{160, 120, 80, 80, 80, 24, 24}, -1},
	} {
		c := Config{Reserve: 100 * mib, Types: []Type{{Name: "web", Min: 1, Max: 1}}}
		var s State
		killed := -1
		for i, free := range x.free {
			o := Observation{
				Now: time.Second + time.Duration(i)*100*time.Millisecond, Limit: gib, Limited: true,
				Used: gib - free*mib, Available: free * mib, Headroom: free * mib,
				Workers: []Worker{{Index: 1, Phase: Ready, Cost: 500 * mib}},
			}
			if i >= 2 {
				o.Workers[0].Phase = Stopping
			}
			for _, a := range s.Decide(&c, &o) {
				if a.Kind == Kill {
					killed = i
				}
			}
		}
		if killed != x.want {
			t.Errorf("%s: killed at look %d, want %d", name, killed, x.want)
		}
	}
}
