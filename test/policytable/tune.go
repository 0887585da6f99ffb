package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/memsup/memsup/sim"
)

// contender is one program in one configuration.
type contender struct {
	config  string
	control sim.Controller
}

// peer is a program and the configurations that somebody would try: it is judged
// by the best of them in each scenario.
type peer struct {
	name  string
	tries func(*plan) [][]contender
}

// single are the peers that know one type of workers.
var single = []peer{
	{"fixed number", func(s *plan) [][]contender {
		return [][]contender{s.series(1, func(n int) contender { return contender{fmt.Sprint(n), &fixed{[]int{n}}} })}
	}},
	{"2 × CPU + 1", func(s *plan) [][]contender {
		n := int(2*s.CPUs) + 1
		return [][]contender{{{fmt.Sprint(n), &fixed{[]int{n}}}}}
	}},
	{"Heroku", func(s *plan) [][]contender {
		n := heroku(s)
		return [][]contender{{{fmt.Sprint(n), &fixed{[]int{n}}}}}
	}},
	{"max-requests", func(s *plan) (all [][]contender) {
		for _, requests := range []int{500, 1000, 5000, 20000, 100000} {
			all = append(all, s.series(s.fit/2, func(n int) contender {
				return contender{fmt.Sprint(n, ", ", requests), &maxRequests{pool: pool{n}, requests: requests, jitter: requests / 10}}
			}))
		}
		return all
	}},
	{"max-memory-per-child", func(s *plan) (all [][]contender) {
		for _, part := range []float64{0.8, 0.9, 1} {
			all = append(all, s.series(s.fit/2, func(n int) contender {
				bytes := s.each(n, part)
				return contender{fmt.Sprintf("%d, %d MiB", n, bytes/mib), &maxMemory{pool{n}, bytes}}
			}))
		}
		return all
	}},
	{"puma_worker_killer", func(s *plan) (all [][]contender) {
		for _, percent := range []float64{0.8, 0.9, 0.98} {
			all = append(all, s.series(s.fit/2, func(n int) contender {
				return contender{fmt.Sprintf("%d, %g", n, percent), &workerKiller{
					pool: pool{n}, percent: percent, frequency: 5 * time.Second, rolling: 12 * time.Hour,
				}}
			}))
		}
		return all
	}},
	{"puma_auto_tune", func(*plan) [][]contender {
		var all []contender
		for _, ram := range []float64{0.7, 0.8, 0.9, 1} {
			all = append(all, contender{fmt.Sprint(ram), &autoTune{ram: ram, frequency: 10 * time.Second, reap: 90 * time.Second}})
		}
		return [][]contender{all}
	}},
	{"uWSGI spare", func(s *plan) [][]contender {
		return s.cheap(func(least int) algorithm { return spare(least, 3) })
	}},
	{"uWSGI busyness", func(s *plan) [][]contender {
		return s.cheap(func(least int) algorithm { return busyness(least, 10*time.Second) })
	}},
	{"php-fpm dynamic", func(s *plan) (all [][]contender) {
		for _, requests := range []int{0, 500, 5000} {
			all = append(all, s.series(s.fit/2, func(n int) contender {
				return contender{fmt.Sprint(n, ", ", requests), &dynamic{
					children: n, start: max(1, n/4), least: max(1, n/4), most: max(1, n*3/4), requests: float64(requests),
				}}
			}))
		}
		return all
	}},
}

// several are those that know more than one.
var several = []peer{{"fixed numbers", func(s *plan) (all [][]contender) {
	for n := 1; n <= 12; n++ {
		var series []contender
		for m := 1; m <= 12; m++ {
			series = append(series, contender{fmt.Sprint(n, " + ", m), &fixed{[]int{n, m}}})
		}
		all = append(all, series)
	}
	return all
}}}

// peersFor are those that know as many types as a scenario has.
func peersFor(s *plan) []peer {
	if len(s.Types) > 1 {
		return several
	}
	return single
}

// series is a configuration with each number of workers from one on to twice as
// many as fit.
func (s *plan) series(from int, with func(n int) contender) (all []contender) {
	for n := max(1, from); n <= min(s.Types[0].Max, 2*s.fit+4); n++ {
		all = append(all, with(n))
	}
	return all
}

// each is a part of what each of n workers may take for itself, and with what it
// shares, in bytes.
func (s *plan) each(n int, part float64) int64 {
	p := s.Types[0].Profile
	return int64(part*float64(s.Limit-max(p.Base, p.Shared))/float64(n) + s.rss[0] - s.warm[0])
}

// cheap are uWSGI's limits of resident memory, which counts what workers share for
// each of them: the hard one is a worker above the soft one, as its manual says.
func (s *plan) cheap(algo func(least int) algorithm) [][]contender {
	t := &s.Types[0]
	master := max(t.Profile.Base, t.Profile.Shared)
	var all [2][]contender
	for i, reload := range []float64{0, 1.5} {
		for _, part := range []float64{0.5, 0.6, 0.7, 0.8, 0.9} {
			room := part * float64(s.Limit-master) / s.warm[0] * s.rss[0]
			all[i] = append(all[i], contender{fmt.Sprintf("%g of the limit, reload at %g", part, reload), &cheaper{
				least: min(2, t.Max), most: t.Max, soft: int64(room), hard: int64(room + s.rss[0]), reload: int64(reload * s.rss[0]),
				algorithm: func() algorithm { return algo(min(2, t.Max)) },
			}})
		}
	}
	return all[:]
}

// heroku is the number that Heroku's buildpacks set: of the Python one the lower of
// 2 × CPU + 1 and a worker each 256 MB, of the Node one a worker each 512 MB.
// https://devcenter.heroku.com/articles/python-concurrency
// https://devcenter.heroku.com/articles/node-concurrency
func heroku(s *plan) int {
	mb := int(s.Limit / mib)
	if s.Types[0].Profile.Threads > 32 {
		return max(1, mb/512)
	}
	return min(max(1, mb/256), int(2*s.CPUs)+1)
}

// memsup is the program itself, with the reserve that it has by default.
func memsup(s *plan) *sim.Memsup {
	return &sim.Memsup{Youngest: strings.HasPrefix(s.Types[0].Profile.Server, "puma")}
}

// free are no rules at all.
var free = sim.Rules{Changes: math.Inf(1)}

// rules are what is asked of everybody in a scenario: the reserve is kept, and in
// steady load six starts and stops an hour are enough, where load or limit move forty.
// A worker that leaks may be replaced once it has served for five minutes; one that
// does not may not be merely because young ones are smaller.
func (s *plan) rules() sim.Rules {
	r := sim.Rules{Reserve: true, Changes: 40, Leaks: s.leaks}
	if s.steady {
		r.Changes = 6
	}
	return r
}

// best is what a peer does in its best configuration, by the rules and by none. In a
// series the number of workers rises: it is left where more of them were twice no
// better.
func (p *peer) best(s *plan) (ruled, any row) {
	rules := s.rules()
	for _, series := range p.tries(s) {
		var own row
		vain := 0
		for _, c := range series {
			kills := math.MaxInt
			if ruled.who != "" {
				kills = max(ruled.Kills, any.Kills)
			}
			r := row{who: p.name, config: c.config, control: c.control, Result: sim.RunSeeds(&s.Scenario, c.control, kills)}
			if vain++; own.who == "" || rules.Better(&s.Scenario, &r.Result, &own.Result) {
				own, vain = r, 0
			}
			if ruled.who == "" || rules.Better(&s.Scenario, &r.Result, &ruled.Result) {
				ruled = r
			}
			if any.who == "" || free.Better(&s.Scenario, &r.Result, &any.Result) {
				any, vain = r, 0
			}
			if vain == 2 || rules.Perfect(&s.Scenario, &ruled.Result) {
				break
			}
		}
	}
	return ruled, any
}
