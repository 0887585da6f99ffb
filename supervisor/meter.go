package supervisor

import (
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/memsup/memsup/cost"
)

// meter measures workers in a goroutine and a thread of its own, because
// reading a large process's smaps_rollup may take seconds. The loop asks, goes
// on, and hears the answer as one more event; one question is under way at a
// time. A nil meter measures nothing.
type meter struct {
	ask  chan question
	out  chan answer
	busy bool
	last time.Duration
	full time.Duration

	measured chan struct{} // closed when the answer is taken in; nil where nobody waits
}

type question struct {
	targets []cost.Target
	full    int
	samples []cost.Sample
	lost    []cost.Loss
	count   bool // threads, for the load average
}

type answer struct {
	samples []cost.Sample
	lost    []cost.Loss
	at      time.Time

	count   bool  // was asked for
	counted bool  // and could be done
	each    []int // threads of each sample's tree
	all     int
}

func newMeter() *meter {
	m := &meter{ask: make(chan question), out: make(chan answer, 1)}
	go func() {
		runtime.LockOSThread()
		c := cost.NewMeter("/proc")
		for q := range m.ask {
			a := answer{samples: c.Look(q.targets, q.full, q.samples[:0]), count: q.count}
			if q.count {
				a.each, a.all, a.counted = c.Runnable(q.targets, os.Getpid(), nil)
			}
			a.lost = c.Lost(q.lost[:0])
			a.at = time.Now()
			m.out <- a
		}
	}()
	return m
}

func (m *meter) results() chan answer {
	if m == nil {
		return nil
	}
	return m.out
}

// calm is how often workers are measured when all are ready and memory is
// plenty: nobody decides anything by it. Whoever asks for the status has them
// measured.
const calm = 5 * time.Minute

// measure asks the meter for samples unless it is still at work.
func (s *supervisor) measure(now time.Duration) {
	if len(s.byPID) == 0 || s.meter != nil && s.meter.busy {
		return
	}
	unready := false
	for _, w := range s.byPID {
		unready = unready || w.state == starting || !w.measured || w.typ.Recycle > 0 || w.typ.restless()
	}
	unready = unready || s.mem.OOMKills > s.oomSeen // of a worker that a master keeps, who knows
	plenty := s.mem.Headroom > max(1<<30, s.mem.Limit/4)
	if s.meter == nil {
		s.meter = newMeter()
	} else if since := now - s.meter.last; plenty && !unready && since < calm && (!s.demand.busy || since < busyWindow) {
		return
	}
	s.ask(now)
}

// measureFor has the workers measured for somebody who asks for the status, unless they
// just were: a single command's process is measured for nothing else. What it returns is
// closed when that is done; nil is that nothing is under way.
func (s *supervisor) measureFor(now time.Duration) <-chan struct{} {
	switch {
	case len(s.byPID) == 0:
		return nil
	case s.meter == nil:
		s.meter = newMeter()
		s.ask(now)
	case !s.meter.busy && now-s.meter.last > time.Second:
		s.ask(now)
	}
	if !s.meter.busy {
		return nil
	}
	if s.meter.measured == nil {
		s.meter.measured = make(chan struct{})
	}
	return s.meter.measured
}

// ask has every worker measured cheaply, and at most one a second exactly
// besides those that never were. Where cgroups tell the cost, none has to be.
func (s *supervisor) ask(now time.Duration) {
	q := question{samples: s.samples, lost: s.losses, count: s.metrics.awaited}
	bare := false
	s.targets = s.targets[:0]
	for _, t := range s.types {
		for w := range t.all() {
			if w.alive() {
				bare = bare || w.leaf == nil
				if !w.measured && w.leaf == nil {
					q.full++
				}
				if w.master == nil {
					s.targets = append(s.targets, w.target())
				}
			}
		}
	}
	if bare && now-s.meter.full >= time.Second {
		q.full++
		s.meter.full = now
	}
	q.targets = s.targets
	s.meter.busy, s.meter.last = true, now
	s.meter.ask <- q
}

// thousandths is how much of one CPU a time on it is.
func thousandths(cpu, of time.Duration) int64 {
	return max(0, int64(float64(cpu)*1000/float64(max(of, time.Millisecond))))
}

// sampled takes in what the meter measured.
func (s *supervisor) sampled(a answer) {
	s.meter.busy = false
	if s.meter.measured != nil {
		close(s.meter.measured)
		s.meter.measured = nil
	}
	s.samples, s.losses = a.samples, a.lost
	at := a.at.Sub(s.begin)
	for _, l := range a.lost {
		s.missed(l, at)
	}
	for i := range a.samples {
		m := &a.samples[i]
		w := s.byPID[m.PID]
		if m.Parent != 0 || w == nil || m.Processes == 0 || at < w.measureFrom {
			continue
		}
		s.sampledWorker(w, m, at)
		if w.typ.prefork != nil && !slices.Contains(s.leaving, w.typ) {
			s.kept = s.kept[:0]
			for _, x := range a.samples {
				if x.Parent == w.pid {
					s.kept = append(s.kept, x)
				}
			}
			s.sighted(w.typ, s.kept, at)
		}
	}
	s.measureBusy(at)
	s.decide = true
	switch {
	case a.count:
		s.counted(a)
	case s.metrics.awaited:
		s.ask(s.now())
	}
}

// sampledWorker takes in what was measured of one worker.
func (s *supervisor) sampledWorker(w *worker, m *cost.Sample, at time.Duration) {
	size := w.cost(m.Bytes)
	w.high = size + max(0, m.Peak-m.Bytes)
	if dt := at - w.sampledAt; !w.measured {
		w.cpu = thousandths(m.CPU, at-w.since)
	} else if dt > 0 {
		w.growth = (w.growth + int64(float64(size-w.bytes)/dt.Seconds())) / 2
		w.cpu = thousandths(m.CPU-w.cpuTime, dt)
	}
	w.measured, w.bytes, w.swap, w.cpuTime, w.sampledAt = true, size, m.Swap, m.CPU, at
	if w.state == starting && w.settles() && w.settle.Look(at-w.since, size) {
		s.becomeReady(w, "memory settled")
	}
}
