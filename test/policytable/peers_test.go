package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/memsup/memsup/sim"
)

// web is a container of 1 GiB whose workers take 40 MiB and serve ten requests a
// second each.
func web(load sim.Load) *sim.Scenario {
	p := sim.Constant(40*mib, 0)
	p.Start, p.Stop, p.CPU = 0, 0, 0
	return &sim.Scenario{
		Seed: 1, Span: 10 * time.Minute, CPUs: 2, Limit: 1024 * mib, ReservePercent: 10,
		Types: []sim.Type{{Name: "web", Profile: p, Min: 1, Max: 20, Load: load, Queue: 100, Timeout: 10 * time.Second}},
	}
}

// counts are the workers that serve at each instant of a timeline.
func counts(r *sim.Result) (all []int) {
	for _, i := range r.Timeline {
		all = append(all, i.Types[0].Serving)
	}
	return all
}

// changed are the different numbers in a row.
func changed(all []int) (only []int) {
	for _, n := range all {
		if len(only) == 0 || only[len(only)-1] != n {
			only = append(only, n)
		}
	}
	return only
}

func TestHeroku(t *testing.T) {
	for _, test := range []struct {
		mib     int64
		cpus    float64
		threads int
		want    int
	}{
		{512, 8, 1, 2}, {1024, 8, 1, 4}, {2560, 2, 1, 5}, {14336, 8, 1, 17}, {128, 1, 1, 1}, {1024, 2, 100, 2}, {256, 2, 100, 1},
	} {
		s := &plan{Scenario: sim.Scenario{Limit: test.mib * mib, CPUs: test.cpus, Types: []sim.Type{{Profile: &sim.Profile{Threads: test.threads}}}}}
		if got := heroku(s); got != test.want {
			t.Errorf("%d MiB, %g CPUs, %d threads: %d, want %d", test.mib, test.cpus, test.threads, got, test.want)
		}
	}
}

// TestMaxRequests: each worker is replaced after its number of requests.
func TestMaxRequests(t *testing.T) {
	r := sim.Run(web(sim.Steady(100)), &maxRequests{pool: pool{4}, requests: 500, jitter: 0}, 0)
	// 40 requests a second in ten minutes, 500 a worker, and up to ten more until
	// it is seen.
	if got, want := r.Starts, 600*40/505; got < want-4 || got > want+4 {
		t.Errorf("%d starts, want about %d", got, want)
	}
}

// TestMaxMemory: a worker is replaced when it ever had its part.
func TestMaxMemory(t *testing.T) {
	s := web(sim.Steady(100))
	small, large := sim.Run(s, &maxMemory{pool{4}, 41 * mib}, 0), sim.Run(s, &maxMemory{pool{4}, 40 * mib}, 0)
	if small.Starts != 4 || large.Starts < 1000 {
		t.Errorf("started %d below it, %d at it", small.Starts, large.Starts)
	}
}

// TestWorkerKiller: above its part of the RAM the largest goes, one each time.
func TestWorkerKiller(t *testing.T) {
	s := web(sim.Steady(0))
	calm := sim.Run(s, &workerKiller{pool: pool{22}, percent: 0.9, frequency: 10 * time.Second, rolling: time.Hour}, 0)
	over := sim.Run(s, &workerKiller{pool: pool{24}, percent: 0.9, frequency: 10 * time.Second, rolling: time.Hour}, 0)
	if calm.Stops != 0 || over.Stops < 59 || over.Stops > 61 {
		t.Errorf("stopped %d below it, %d above it in ten minutes", calm.Stops, over.Stops)
	}
	rolled := sim.Run(s, &workerKiller{pool: pool{3}, percent: 0.9, frequency: 10 * time.Second, rolling: 5 * time.Minute}, 0)
	if rolled.Stops != 3 {
		t.Errorf("a rolling restart stopped %d of 3", rolled.Stops)
	}
}

// TestAutoTune: it adds one each 90 seconds while there is room, and after having
// been over the RAM has never as many again.
func TestAutoTune(t *testing.T) {
	s := web(sim.Steady(0))
	s.Limit, s.Span = 200*mib, 20*time.Minute
	r := sim.Run(s, &autoTune{ram: 1, frequency: 10 * time.Second, reap: 90 * time.Second}, 10*time.Second)
	if got, want := fmt.Sprint(changed(counts(&r))), "[0 1 2 3 4]"; got != want {
		t.Errorf("ran %s, want %s", got, want)
	}
	s.Limits = []sim.Limit{{At: 10 * time.Minute, Bytes: 150 * mib}}
	r = sim.Run(s, &autoTune{ram: 0.9, frequency: 10 * time.Second, reap: 90 * time.Second}, 10*time.Second)
	if got := counts(&r); got[len(got)-1] != 3 {
		t.Errorf("ends with %v", changed(got))
	}
}

// TestDynamic: it starts more, twice as many each second, while fewer are idle than
// there should be, and stops one a second while more are.
func TestDynamic(t *testing.T) {
	r := sim.Run(web(sim.Step(1000, 0, 5*time.Minute)), &dynamic{children: 16, start: 2, least: 8, most: 12}, time.Second)
	if got, want := fmt.Sprint(changed(counts(&r))), "[0 3 5 9 16 15 14 13 12]"; got != want {
		t.Errorf("ran %s, want %s", got, want)
	}
}

// TestCheaper: uWSGI adds workers under load up to the soft limit, takes one away
// above the hard one, and without load comes back to its least.
func TestCheaper(t *testing.T) {
	for name, algo := range map[string]func() algorithm{
		"spare": func() algorithm { return spare(2, 3) }, "busyness": func() algorithm { return busyness(2, 10*time.Second) },
	} {
		s := web(sim.Step(1000, 0, 10*time.Minute))
		s.Span = 2 * time.Hour
		u := &cheaper{least: 2, most: 20, soft: 400 * mib, hard: 440 * mib, algorithm: algo}
		r := sim.Run(s, u, time.Second)
		all := counts(&r)
		most := 0
		for _, n := range all {
			most = max(most, n)
		}
		if most != 10 || all[len(all)-1] != 2 {
			t.Errorf("%s: at most %d, want 10; in the end %d, want 2", name, most, all[len(all)-1])
		}
		u.soft, u.hard = 80*mib, 120*mib
		u.least = 4
		r = sim.Run(s, u, time.Second)
		if got := counts(&r); got[len(got)/20] != 2 {
			t.Errorf("%s: above the hard limit runs %d, want 2", name, got[len(got)/20])
		}
	}
}

// TestTable: a table of a hand-made profile has a row for everybody, and no row is
// ahead of the oracle that keeps no rules.
func TestTable(t *testing.T) {
	profiles, err := load("../../sim/testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios(profiles) {
		if s.fit < 1 || s.warm[0] <= 0 || len(s.Types[0].Load.Points) == 0 {
			t.Errorf("%s: %d workers of %g bytes fit", s.Name, s.fit, s.warm[0])
		}
	}
	var short []*plan
	for _, p := range profiles {
		s := full(p)
		s.Span, s.Warm, s.Seeds = 20*time.Minute, 5*time.Minute, nil
		short = append(short, s)
	}
	for _, got := range compare(short, peersFor) {
		s := got.plan
		if len(got.peers) < len(single) {
			t.Errorf("%s: %d peers", s.Name, len(got.peers))
		}
		for _, r := range append(got.peers, got.memsup, got.oracle) {
			if free.Better(&s.Scenario, &r.Result, &got.free.Result) {
				t.Errorf("%s: %s does %g with %d kills, the oracle %g with %d", s.Name, r.who, r.Work, r.Kills, got.free.Work, got.free.Kills)
			}
		}
		if got.oracle.Kills > 0 || got.oracle.Work <= 0 {
			t.Errorf("%s: the oracle does %g with %d kills", s.Name, got.oracle.Work, got.oracle.Kills)
		}
	}
}
