package main

import (
	"fmt"
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
	tries func(*plan) []contender
}

// single are the peers that know one type of workers.
var single = []peer{
	{"fixed number", func(s *plan) (all []contender) {
		for n := 1; n <= min(s.Types[0].Max, 2*s.fit+4); n++ {
			all = append(all, contender{fmt.Sprint(n), &fixed{[]int{n}}})
		}
		return all
	}},
	{"2 × CPU + 1", func(s *plan) []contender {
		n := int(2*s.CPUs) + 1
		return []contender{{fmt.Sprint(n), &fixed{[]int{n}}}}
	}},
	{"Heroku", func(s *plan) []contender {
		n := heroku(s)
		return []contender{{fmt.Sprint(n), &fixed{[]int{n}}}}
	}},
	{"max-requests", func(s *plan) (all []contender) {
		for _, n := range s.counts() {
			for _, requests := range []int{500, 1000, 5000, 20000} {
				all = append(all, contender{fmt.Sprint(n, ", ", requests), &maxRequests{pool: pool{n}, requests: requests, jitter: requests / 10}})
			}
		}
		return all
	}},
	{"max-memory-per-child", func(s *plan) (all []contender) {
		for _, n := range s.counts() {
			for _, part := range []float64{0.8, 0.9, 1} {
				bytes := s.each(n, part)
				all = append(all, contender{fmt.Sprintf("%d, %d MiB", n, bytes/mib), &maxMemory{pool{n}, bytes}})
			}
		}
		return all
	}},
	{"puma_worker_killer", func(s *plan) (all []contender) {
		for _, n := range s.counts() {
			for _, percent := range []float64{0.8, 0.9, 0.98} {
				all = append(all, contender{fmt.Sprintf("%d, %g", n, percent), &workerKiller{
					pool: pool{n}, percent: percent, frequency: 5 * time.Second, rolling: 12 * time.Hour,
				}})
			}
		}
		return all
	}},
	{"puma_auto_tune", func(s *plan) (all []contender) {
		for _, ram := range []float64{0.7, 0.8, 0.9, 1} {
			all = append(all, contender{fmt.Sprint(ram), &autoTune{ram: ram, frequency: 10 * time.Second, reap: 90 * time.Second}})
		}
		return all
	}},
	{"uWSGI spare", func(s *plan) []contender {
		return s.cheap(func(least int) algorithm { return spare(least, 3) })
	}},
	{"uWSGI busyness", func(s *plan) []contender {
		return s.cheap(func(least int) algorithm { return busyness(least, 10*time.Second) })
	}},
	{"php-fpm dynamic", func(s *plan) (all []contender) {
		for _, n := range s.counts() {
			for _, requests := range []int{0, 500, 5000} {
				all = append(all, contender{fmt.Sprint(n, ", ", requests), &dynamic{
					children: n, start: max(1, n/4), least: max(1, n/4), most: max(1, n*3/4), requests: float64(requests),
				}})
			}
		}
		return all
	}},
}

// several are those that know more than one.
var several = []peer{{"fixed numbers", func(s *plan) (all []contender) {
	for n := 1; n <= 12; n++ {
		for m := 1; m <= 12; m++ {
			all = append(all, contender{fmt.Sprint(n, " + ", m), &fixed{[]int{n, m}}})
		}
	}
	return all
}}}

// counts are the numbers of workers around what fits.
func (s *plan) counts() (all []int) {
	for n := max(1, s.fit/2); n <= min(s.Types[0].Max, s.fit*3/2+3); n++ {
		all = append(all, n)
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
func (s *plan) cheap(algo func(least int) algorithm) (all []contender) {
	t := &s.Types[0]
	master := max(t.Profile.Base, t.Profile.Shared)
	for _, part := range []float64{0.5, 0.6, 0.7, 0.8, 0.9} {
		room := part * float64(s.Limit-master) / s.warm[0] * s.rss[0]
		for _, reload := range []float64{0, 1.5} {
			all = append(all, contender{fmt.Sprintf("%g of the limit, reload at %g", part, reload), &cheaper{
				least: min(2, t.Max), most: t.Max, soft: int64(room), hard: int64(room + s.rss[0]), reload: int64(reload * s.rss[0]),
				algorithm: func() algorithm { return algo(min(2, t.Max)) },
			}})
		}
	}
	return all
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
	t := &s.Types[0]
	return &sim.Memsup{Signal: !t.Alone && len(s.Types) == 1, Youngest: t.Profile.Server[:1] == "p"}
}

// keeps says whether the reserve was kept, but for one part in a hundred.
func (s *plan) keeps(r *sim.Result) bool { return r.OverReserve <= s.Span/100 }

// best is what a peer does in its best configuration: the one with the fewest kills,
// then with the most work. Of those that keep the reserve, and of all.
func (p *peer) best(s *plan) (kept, free row) {
	for _, c := range p.tries(s) {
		r := row{who: p.name, config: c.config, Result: sim.Run(&s.Scenario, c.control, 0)}
		if kept.who == "" || better(s, &r.Result, &kept.Result, true) {
			kept = r
		}
		if free.who == "" || better(s, &r.Result, &free.Result, false) {
			free = r
		}
		if s.perfect(&kept.Result) {
			break
		}
	}
	return kept, free
}

// perfect says whether nothing is left to be better at.
func (s *plan) perfect(r *sim.Result) bool {
	return r.Kills == 0 && s.keeps(r) && r.Lost.All() <= 1e-4*r.Arrived
}

func better(s *plan, a, b *sim.Result, kept bool) bool {
	if a.Kills != b.Kills {
		return a.Kills < b.Kills
	}
	if x, y := s.keeps(a), s.keeps(b); kept && x != y {
		return x
	}
	return a.Work > b.Work
}
