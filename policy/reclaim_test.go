package policy

import (
	"testing"
	"time"
)

// Cache is to be reclaimed once when pressure gets high, before a worker goes for
// it, and again only after it was quiet.
func TestReclaim(t *testing.T) {
	c := Config{Reserve: 100 * mib, Types: []Type{{Name: "web", Min: 1, Max: 1}}}
	var s State
	for i, at := range []struct {
		some, headroom, want int64
	}{
		{0, 50 * mib, 0},
		{200, 150 * mib, 0}, // enough is free
		{200, 50 * mib, 100 * mib},
		{200, 50 * mib, 0},
		{80, 50 * mib, 0}, // neither high nor quiet
		{200, 50 * mib, 0},
		{0, 50 * mib, 0},
		{200, 50 * mib, 100 * mib},
	} {
		s.Decide(&c, &Observation{
			Now: time.Duration(i) * time.Second, Limit: 1000 * mib, Limited: true, Used: 900 * mib,
			Available: 500 * mib, Headroom: at.headroom, PressureSome: at.some,
			Workers: []Worker{{Index: 1, Phase: Ready, Cost: 100 * mib}},
		})
		if got := s.Reclaim(); got != at.want {
			t.Errorf("look %d: %d, want %d", i, got, at.want)
		}
	}
}
