package supervisor

import (
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/memsup/memsup/budget"
	"github.com/memsup/memsup/policy"
)

// metrics are the lines of --runtime-metrics, in the format of Heroku's
// log-runtime-metrics: of each worker that is alive, and of the container. They
// are written when the meter has answered, so that the loop waits for nothing.
type metrics struct {
	due     time.Duration // of the next lines
	awaited bool          // the meter has not answered yet
	load    *loadAverage  // of the container; nil before threads were counted
	loadAt  time.Duration // when they last were
	dyno    string
	out     func(line string)
}

// loadAverage is the number of threads that run, wait for a CPU or sleep
// uninterruptibly, over the last 1, 5 and 15 minutes as the kernel averages it
// (kernel/sched/loadavg.c), which looks every five seconds. It begins at 0.
type loadAverage [3]float64

// add takes in that there were n threads, dt after the last look. A nil average
// begins.
func (l *loadAverage) add(n int, dt time.Duration) *loadAverage {
	if l == nil {
		l = &loadAverage{}
	}
	for i, minutes := range [...]float64{1, 5, 15} {
		kept := math.Exp(-dt.Minutes() / minutes)
		l[i] = l[i]*kept + float64(n)*(1-kept)
	}
	return l
}

// sample is what the lines of one source say, in bytes and pages. What is not
// known is nil and has no place in them.
type sample struct {
	source string
	load   *loadAverage

	total            *int64 // where the others are not known
	rss, cache, swap *int64 // rss: anonymous memory and shmem
	pgpgin, pgpgout  *int64
	quota            *int64
}

// lines writes s in Heroku's format, whose MB is 1024 × 1024 bytes.
func (s *sample) lines(dyno string) []string {
	head := "source=" + s.source + " dyno=" + dyno
	var lines []string
	if l := s.load; l != nil {
		lines = append(lines, fmt.Sprintf("%s sample#load_avg_1m=%.2f sample#load_avg_5m=%.2f sample#load_avg_15m=%.2f", head, l[0], l[1], l[2]))
	}
	total := int64(0)
	switch {
	case s.rss != nil:
		total = *s.rss
	case s.total != nil:
		total = *s.total
	default:
		return lines
	}
	text := ""
	memory := func(name string, n *int64) {
		if n != nil {
			text += fmt.Sprintf(" sample#memory_%s=%.2fMB", name, float64(*n)/(1<<20))
		}
	}
	pages := func(name string, n *int64) {
		if n != nil {
			text += fmt.Sprintf(" sample#memory_%s=%dpages", name, *n)
		}
	}
	for _, n := range []*int64{s.cache, s.swap} { // neither is in the total that is told
		if n != nil {
			total += *n
		}
	}
	memory("total", &total)
	memory("rss", s.rss)
	memory("cache", s.cache)
	memory("swap", s.swap)
	pages("pgpgin", s.pgpgin)
	pages("pgpgout", s.pgpgout)
	memory("quota", s.quota)
	return append(lines, head+text)
}

// openMetrics makes ready for the first lines, one interval from now.
func (s *supervisor) openMetrics() {
	m, now := &s.metrics, s.now()
	m.due = now + s.c.RuntimeMetrics
	if m.load == nil {
		m.loadAt = now
	}
	if m.dyno != "" || s.c.RuntimeMetrics == 0 {
		return
	}
	m.dyno = "memsup"
	if name, err := os.Hostname(); err == nil && name != "" {
		m.dyno = name
	}
	m.out = func(line string) { _, _ = io.WriteString(s.log, line+"\n") }
	if s.c.LogJSON {
		// Whoever asked for the lines gets them, whatever the log's level.
		json := newHclog(s.log, hclog.Info, true)
		m.out = func(line string) { json.Info(line) }
	}
}

// lookForMetrics has the meter look, when lines are due. Where it still waits
// for a process since the last time, what is known is told.
func (s *supervisor) lookForMetrics(now time.Duration) {
	m := &s.metrics
	if s.c.RuntimeMetrics == 0 || now < m.due {
		return
	}
	if m.due += s.c.RuntimeMetrics; m.due <= now {
		m.due = now + s.c.RuntimeMetrics
	}
	if m.awaited {
		s.tellMetrics()
	}
	m.awaited = true
	if s.meter == nil {
		s.meter = newMeter()
	}
	if !s.meter.busy {
		s.ask(now)
	}
}

// counted takes in the threads that the meter counted, and writes the lines.
func (s *supervisor) counted(a answer) {
	m := &s.metrics
	if a.counted {
		at := a.at.Sub(s.begin)
		m.load = m.load.add(a.all, at-m.loadAt)
		for i := range a.each { // those after them are of workers that a master keeps
			sampled := &a.samples[i]
			if w := s.byPID[sampled.PID]; w != nil {
				w.load = w.load.add(a.each[i], at-max(m.loadAt, w.since))
			}
		}
		m.loadAt = at
	}
	m.awaited = false
	s.tellMetrics()
}

func (s *supervisor) tellMetrics() {
	m := &s.metrics
	tell := func(x sample) {
		for _, line := range x.lines(m.dyno) {
			m.out(line)
		}
	}
	container := s.containerSample()
	for _, t := range s.types {
		var quota *int64
		if container.quota != nil {
			if share, ok := policy.Share(&s.pcfg, t.index, *container.quota); ok {
				quota = &share
			}
		}
		for w := range t.all() {
			if w.alive() {
				x := w.sample()
				x.quota = quota
				tell(x)
			}
		}
	}
	tell(container)
}

// sample is what is known of a worker: where it has a cgroup of its own
// what that is charged with, else its process tree's part of anonymous memory,
// shmem and swap. Whose the page cache is nobody knows then.
func (w *worker) sample() sample {
	x := sample{source: w.name, load: w.load}
	if w.leaf != nil {
		if p, ok := w.leaf.Parts(); ok {
			x.parts(p.Anon, p.File, p.Shmem, p.Swap)
			return x
		}
	}
	if w.measured {
		rss, swap := max(0, w.bytes-w.swap), w.swap
		x.rss, x.swap = &rss, &swap
	}
	return x
}

// containerSample is what is known of the container.
func (s *supervisor) containerSample() sample {
	x := sample{source: "container", load: s.metrics.load}
	if s.budget == nil {
		return x
	}
	m, err := s.sys.memory()
	if err != nil {
		return x
	}
	p, err := s.budget.Parts()
	x.container(m, p, err)
	return x
}

// container takes over what budget says. Parts is an error where the source does not
// know them, as systemd does not.
func (x *sample) container(m budget.Memory, p budget.Parts, err error) {
	x.quota = &m.Limit
	if err != nil {
		x.total, x.swap = &m.Used, &m.SwapUsed
		return
	}
	x.parts(p.Anon, p.File, p.Shmem, m.SwapUsed)
	if p.HasPages {
		x.pgpgin, x.pgpgout = &p.PagesIn, &p.PagesOut
	}
}

// parts takes over what the kernel says of a cgroup. File has shmem in it, which
// is memory that cannot be dropped and no cache.
func (x *sample) parts(anon, file, shmem, swap int64) {
	rss, cache := anon+shmem, max(0, file-shmem)
	x.rss, x.cache, x.swap = &rss, &cache, &swap
}
