package main

import (
	"math"
	"testing"
	"time"

	"github.com/memsup/memsup/sim"
)

// TestFast is the headline on a machine that serves twice as fast, so that workers leak
// by a third in two minutes: young ones leak fast before any is old enough to prove it,
// and what they take for a moment has no room before the reserve is touched. Eight
// workers that end after 5,000 requests were chosen with the leak known.
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
		fast.Service, fast.CPU, fast.Start = 18*time.Millisecond, 2*time.Millisecond, 500*time.Millisecond
		web.Profile, web.Wait, web.Min, web.Max, web.Load = &fast, 0, 4, 12, sim.Steady(2000)
		for seed := range uint64(19) {
			s.Seeds = append(s.Seeds, 1001+seed)
		}
		own := sim.RunSeeds(&s.Scenario, memsup(s), math.MaxInt)
		other := sim.RunSeeds(&s.Scenario, &maxRequests{pool: pool{want: 8}, requests: 5000, jitter: 500}, math.MaxInt)
		t.Logf("%.3f of the work", own.Work/other.Work)
		if own.Kills > 0 || other.Kills > 0 || own.Work < 0.965*other.Work {
			t.Errorf("memsup: %d kills, %.3f of the work of %d workers with max-requests, which had %d",
				own.Kills, own.Work/other.Work, 8, other.Kills)
		}
		return
	}
	t.Fatal("no such scenario")
}
