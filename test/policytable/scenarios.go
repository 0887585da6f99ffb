package main

import (
	"math"
	"strings"
	"time"

	"github.com/memsup/memsup/sim"
)

const mib = 1 << 20

// plan is a scenario with what the peers' configurations go by.
type plan struct {
	sim.Scenario
	// warm is what one worker holds at the mean in the last half of its measured life,
	// rss with what it shares; both in bytes, for each type.
	warm, rss []float64
	// fit is how many warm workers of the first type are held beside the reserve.
	fit int
	// steady says that nothing changes from outside, and leaks that some workers
	// grow without end.
	steady, leaks bool
}

// sizes are limits as people give them, in MiB.
var sizes = []int64{128, 256, 512, 1024, 2048, 4096, 8192}

// scenarios are the shipped ones, made of the measured profiles.
func scenarios(profiles []*sim.Profile) []*plan {
	var all []*plan
	for _, p := range profiles {
		all = append(all, full(p), steady(p))
	}
	byName := map[string]*sim.Profile{}
	for _, p := range profiles {
		byName[p.Name] = p
	}
	add := func(name string, make func(*sim.Profile) *plan) {
		if p := byName[name]; p != nil {
			all = append(all, make(p))
		}
	}
	for _, name := range []string{"gunicorn", "puma-preload", "plateau"} {
		add(name, day)
	}
	for _, name := range []string{"puma", "php-fpm", "plateau"} {
		add(name, bursts)
	}
	for _, name := range []string{"uwsgi", "sidekiq", "plateau"} {
		add(name, step)
	}
	for _, name := range []string{"gunicorn-preload", "node", "puma", "plateau"} {
		add(name, moved)
	}
	for _, name := range []string{"gunicorn-leak", "puma", "leak"} {
		add(name, grouped)
	}
	for _, name := range []string{"gunicorn-leak", "leak"} {
		add(name, slowStop)
		add(name, headline)
	}
	for _, name := range []string{"gunicorn", "uwsgi", "plateau"} {
		add(name, cpuBound)
	}
	for _, name := range []string{"gunicorn", "puma", "plateau"} {
		add(name, files)
	}
	for _, name := range []string{"gunicorn-preload", "sidekiq", "node"} {
		add(name, large)
	}
	for _, name := range []string{"puma-preload", "sidekiq", "leak"} {
		add(name, slowStart)
	}
	for _, pair := range [][2]string{{"puma", "sidekiq"}, {"gunicorn", "celery"}, {"plateau", "leak"}} {
		if web, jobs := byName[pair[0]], byName[pair[1]]; web != nil && jobs != nil {
			all = append(all, twoTypes(web, jobs))
		}
	}
	return all
}

// base is a container for one profile that holds six warm workers.
func base(p *sim.Profile, what string) *plan { return holding(p, what, 6) }

// holding is a container for one profile: of the sizes that people give the smallest
// that holds so many warm workers, two CPUs, and requests that wait for others so long
// that memory, and not the CPU, bounds how many are served at once.
func holding(p *sim.Profile, what string, workers int) *plan {
	s := &plan{Scenario: sim.Scenario{
		Name: p.Name + " " + what, Seed: 1, Seeds: seeds(p), Span: 4 * time.Hour, Warm: 20 * time.Minute,
		CPUs: 2, ReservePercent: 10,
		Types: []sim.Type{{
			Name: "web", Profile: p, Alone: alone(p), Min: 1, Max: 4 * max(8, workers),
			Queue: 512, Timeout: 30 * time.Second,
		}},
	}}
	if p.Shared > 0 && alone(p) {
		// What a master loaded once each worker loads when it starts.
		own := *p
		own.Start = max(p.Start, loads)
		s.Types[0].Profile = &own
	}
	for _, size := range sizes {
		s.Limit = size * mib
		s.fits()
		if s.fit >= workers {
			break
		}
	}
	t := &s.Types[0]
	wall := float64(s.fit*p.Threads) * p.CPU.Seconds() / (0.7 * s.CPUs)
	t.Wait = max(0, time.Duration(wall*float64(time.Second))-p.Service).Round(time.Millisecond)
	return s
}

// seeds are four, for sixteen hours. Where workers take half of what they keep and
// more for a moment, whether these moments meet is by chance alone, and a day says
// little: half a week.
func seeds(p *sim.Profile) []uint64 {
	for _, life := range p.Lives {
		keeps := life[len(life)-1].Private
		for _, row := range life {
			if row.Peak > keeps+keeps/2 {
				return halfAWeek
			}
		}
	}
	return halfAWeek[:3:3] // who appends to it gets his own
}

// halfAWeek are the seeds after the first of twenty runs of four hours.
var halfAWeek = []uint64{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}

// loads is how long a worker without a master is taken to load its application.
const loads = time.Second

// alone says of which servers memsup starts every process itself: the others have
// a master that takes TTIN and TTOU or a command.
func alone(p *sim.Profile) bool {
	for _, server := range []string{"gunicorn", "puma", "uwsgi", "unicorn"} {
		if strings.HasPrefix(strings.ToLower(p.Server), server) {
			return false
		}
	}
	return true
}

// fits finds out how many workers there is room for.
func (s *plan) fits() {
	s.warm, s.rss, s.leaks = nil, nil, false
	room := float64(s.Limit - s.Reserve(s.Limit) - s.Active - s.Base)
	for i := range s.Types {
		t := &s.Types[i]
		s.leaks = s.leaks || t.Profile.Leaks()
		var own, all float64
		for _, life := range t.Profile.Lives {
			rows := life[len(life)/2:]
			for _, row := range rows {
				part := 1 / float64(len(rows)*len(t.Profile.Lives))
				own += float64(row.Private) * part
				all += float64(row.Private+row.Shared) * part
			}
		}
		master := float64(max(t.Profile.Base, t.Profile.Shared))
		if t.Alone {
			own, master = all, float64(max(0, t.Profile.Base-t.Profile.Shared))
		}
		room -= master
		s.warm, s.rss = append(s.warm, own), append(s.rss, all)
	}
	s.fit = max(0, int(room/s.warm[0]))
}

// most is how many requests a second as many workers as fit can serve.
func (s *plan) most() float64 {
	t := &s.Types[0]
	each := float64(t.Profile.Threads) / (t.Profile.Service + t.Wait).Seconds()
	cpu := t.Profile.CPU.Seconds()
	if cpu > 0 {
		each = min(each, 1/cpu)
		return min(each*float64(s.fit), 0.95*s.CPUs/cpu)
	}
	return each * float64(s.fit)
}

// large is full with over twenty workers, where one more or less matters little.
func large(p *sim.Profile) *plan {
	s := holding(p, "large", 20)
	s.steady, s.Seeds = true, nil
	s.Types[0].Load = sim.Steady(round(1.5 * s.most()))
	return s
}

func full(p *sim.Profile) *plan {
	s := base(p, "full")
	s.steady = true
	s.Types[0].Load = sim.Steady(round(1.5 * s.most()))
	return s
}

func steady(p *sim.Profile) *plan {
	s := base(p, "steady")
	s.steady = true
	s.Types[0].Load = sim.Steady(round(0.7 * s.most()))
	return s
}

func day(p *sim.Profile) *plan {
	s := base(p, "day")
	s.Span, s.Warm, s.Seeds = 12*time.Hour, time.Hour, nil
	s.Types[0].Load = sim.Day(round(0.1*s.most()), round(0.95*s.most()), s.Span)
	return s
}

func bursts(p *sim.Profile) *plan {
	s := base(p, "bursts")
	s.Types[0].Load = sim.Bursts(round(0.3*s.most()), round(1.2*s.most()), 20*time.Minute, 2*time.Minute)
	return s
}

func step(p *sim.Profile) *plan {
	s := base(p, "step")
	s.Types[0].Load = sim.Step(round(0.2*s.most()), round(0.95*s.most()), 40*time.Minute)
	return s
}

// moved is a limit that somebody lowers to two thirds, by a fortieth of it every 20
// s, and raises again an hour later.
func moved(p *sim.Profile) *plan {
	s := full(p)
	s.Name, s.steady = p.Name+" moved", false
	at := 40 * time.Minute
	for i := int64(1); i <= 13; i++ {
		s.Limits = append(s.Limits, sim.Limit{At: at, Bytes: s.Limit * (40 - i) / 40})
		at += 20 * time.Second
	}
	s.Limits = append(s.Limits, sim.Limit{At: 100 * time.Minute, Bytes: s.Limit})
	return s
}

func grouped(p *sim.Profile) *plan {
	s := full(p)
	s.Name = p.Name + " oom.group"
	s.OOMGroup = true
	return s
}

// slowStop is full with workers that take twenty seconds to stop, for half a week: a bad
// moment costs minutes there, and by chance alone a day differs by a tenth from another.
func slowStop(p *sim.Profile) *plan {
	s := full(p)
	s.Name, s.Seeds = p.Name+" slow stop", halfAWeek
	s.Types[0].Stop = 20 * time.Second
	return s
}

// slowStart is an application that takes twenty seconds of a CPU to load.
func slowStart(p *sim.Profile) *plan {
	slow := *p
	slow.Start = 20 * time.Second
	s := full(&slow)
	s.Name = p.Name + " slow start"
	return s
}

// files is a container that reads files again and again: a tenth of its limit, of
// a quarter that it would fill with cache.
func files(p *sim.Profile) *plan {
	s := base(p, "files")
	s.Cache, s.Active = s.Limit/4, s.Limit/10
	s.fits()
	s.steady = true
	s.Types[0].Load = sim.Steady(round(1.5 * s.most()))
	return s
}

// headline is what is done for real: 512 MiB for ten minutes, in which workers are
// still being added.
func headline(p *sim.Profile) *plan {
	s := base(p, "headline")
	s.Limit = 512 * mib
	s.fits()
	s.Span, s.Warm = 10*time.Minute, time.Minute
	s.Types[0].Ready = 5 * time.Second
	s.Types[0].Load = sim.Steady(round(1.5 * s.most()))
	return s
}

// cpuBound is a load for which half as many workers as fit use up the CPUs: more of
// them gain nothing.
func cpuBound(p *sim.Profile) *plan {
	s := full(p)
	s.Name = p.Name + " cpu"
	s.CPUs = round(0.5 * s.most() * p.CPU.Seconds())
	s.Types[0].Load = sim.Steady(round(1.5 * s.most()))
	return s
}

// twoTypes is a web server beside job workers that goes first, as a priority says: a
// second of its work counts ten.
func twoTypes(web, jobs *sim.Profile) *plan {
	s := base(web, "and "+jobs.Name)
	s.steady = true
	t := s.Types[0]
	other := base(jobs, "").Types[0]
	s.Types[0].Priority, s.Types[0].Weight = 10, 10
	other.Name = "jobs"
	s.Types = append(s.Types, other)
	s.fits()
	s.Types[0].Load = sim.Steady(round(0.7 * s.most()))
	for i := range s.Types {
		s.Types[i].Wait = t.Wait
	}
	p := other.Profile
	s.Types[1].Load = sim.Steady(round(8 * float64(p.Threads) / (p.Service + t.Wait).Seconds()))
	return s
}

// round keeps three digits.
func round(x float64) float64 {
	if x <= 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(x))-2)
	return math.Round(x/unit) * unit
}
