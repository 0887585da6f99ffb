package main

import (
	"math"
	"testing"
	"time"

	"github.com/memsup/memsup/sim"
)

// TestFast is the headline on machines that serve two to three times as fast, so that
// workers leak by a third in two minutes or less: young ones leak fast before any is old
// enough to prove it, and what they take for a moment has no room before the reserve is
// touched. Eight workers that end after 5,000 requests were chosen with the leak known.
func TestFast(t *testing.T) {
	profiles, err := load("../../sim/profiles")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios(profiles) {
		if s.Name != "gunicorn-leak headline" {
			continue
		}
		web := &s.Types[0]
		fast := *web.Profile
		fast.CPU, fast.Start = 2*time.Millisecond, 500*time.Millisecond
		web.Profile, web.Wait, web.Min, web.Max, web.Load = &fast, 0, 4, 12, sim.Steady(2500)
		for seed := range uint64(19) {
			s.Seeds = append(s.Seeds, 1001+seed)
		}
		for _, fast.Service = range []time.Duration{18 * time.Millisecond, 14 * time.Millisecond, 11 * time.Millisecond} {
			own := sim.RunSeeds(&s.Scenario, memsup(s), math.MaxInt)
			other := sim.RunSeeds(&s.Scenario, &maxRequests{pool: pool{want: 8}, requests: 5000, jitter: 500}, math.MaxInt)
			work := own.Work / other.Work
			t.Logf("%v a request: %.3f of the work", fast.Service, work)
			if own.Kills > 0 || other.Kills > 0 || work < 0.95 {
				t.Errorf("%v a request: memsup: %d kills, %.3f of the work of 8 workers with max-requests, which had %d kills",
					fast.Service, own.Kills, work, other.Kills)
			}
		}
		return
	}
	t.Fatal("no such scenario")
}
