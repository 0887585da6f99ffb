package supervisor

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/cost"
	"github.com/memsup/memsup/policy"
)

// prefork is what is known of the workers that a type's one process, a master
// such as gunicorn's or puma's, forks and keeps by itself. memsup neither starts
// nor reaps them: it sees them in /proc when workers are measured, asks the
// master for one more or one fewer, and sees that it happens.
type prefork struct {
	// workers are the master's children by name, web.1 and on, and the places
	// of those that it is about to start, because it was asked for one more or
	// because one ended.
	workers []*worker
	count   int           // of them alive
	changed time.Duration // when count last did

	// target is how many the master keeps: what was counted when it had
	// started, and what was asked of it since. It is known from then on.
	target int
	known  bool

	step  int           // +1 or -1 while a change was asked for and is not seen yet
	asked time.Duration // when
	until time.Duration // for how long it is awaited

	failed  string // what the last change failed at; empty where it did not
	refused int    // +1 or -1: the change that failed last
	wait    time.Duration
	retry   time.Duration // not again before it; one fewer is asked for where one more failed

	youngest bool // the master ended its youngest worker the last time, not its oldest
	silent   bool // it was said that no worker of it is seen
}

const (
	// settles is how long a master's number of workers stands still before it is
	// taken for the one that it keeps.
	settles = 2 * time.Second
	// strays is the same where it is not what memsup asked for: a worker that
	// ended is replaced in less, and a gunicorn that reloads has twice as many
	// meanwhile.
	strays = 30 * time.Second
	// forkPatience is how long a new worker may be on its way.
	forkPatience = 30 * time.Second
	// awaits is how often is looked while a change is awaited, and the least
	// time between two signals: two of the same that are pending are one.
	awaits = 200 * time.Millisecond
	// forever is an instant that does not come.
	forever = time.Duration(math.MaxInt64)
)

// all gives the slots of a type, and the workers that its master keeps.
func (t *processType) all() iter.Seq[*worker] {
	return func(yield func(*worker) bool) {
		for _, w := range t.slots {
			if !yield(w) {
				return
			}
		}
		if t.prefork == nil {
			return
		}
		for _, w := range t.prefork.workers {
			if !yield(w) {
				return
			}
		}
	}
}

// master is the type's master where that is alive.
func (t *processType) master() *worker {
	if t.prefork == nil || len(t.slots) == 0 || !t.slots[0].alive() {
		return nil
	}
	return t.slots[0]
}

// restless says whether something is about to change that only a look tells.
func (t *processType) restless() bool {
	p, m := t.prefork, t.master()
	if m == nil || m.state == stopping {
		return false
	}
	if !p.known {
		return !p.silent
	}
	return p.step != 0 || p.count != p.target ||
		slices.ContainsFunc(p.workers, func(w *worker) bool { return w.alive() && w.state != ready || !w.measured })
}

// forget is the end of the master, which its workers do not survive.
func (p *prefork) forget() {
	*p = prefork{youngest: p.youngest, wait: p.wait}
}

// sighted takes in the samples of a master's workers: who is gone, who is new.
func (s *supervisor) sighted(t *processType, samples []cost.Sample, at time.Duration) {
	p, m := t.prefork, t.master()
	seen := func(w *worker) bool {
		return slices.ContainsFunc(samples, func(x cost.Sample) bool { return x.PID == w.pid && x.Start == w.began })
	}
	var gone []*worker
	for _, w := range p.workers {
		if w.alive() && !seen(w) {
			gone = append(gone, w)
		}
	}
	// A kernel's kill rather explains the end of one that nobody asked to go.
	slices.SortStableFunc(gone, func(a, b *worker) int { return cmp.Compare(asks(a), asks(b)) })
	for _, w := range gone {
		s.workerGone(t, w, at)
	}
	for i := range samples {
		x := &samples[i]
		w := p.having(x)
		if w == nil {
			w = s.workerCame(t, m, x, at)
		}
		s.sampledWorker(w, x, at)
	}
	if len(samples) != p.count {
		p.count, p.changed = len(samples), at
	}
	s.countWorkers(t, m, at)
	p.clear()
}

// asks is 1 for a worker that was asked to go.
func asks(w *worker) int {
	if w.state == stopping {
		return 1
	}
	return 0
}

// having is the worker that a sample is of.
func (p *prefork) having(x *cost.Sample) *worker {
	for _, w := range p.workers {
		if w.alive() && w.pid == x.PID && w.began == x.Start {
			return w
		}
	}
	return nil
}

// workerCame gives a new worker the first place that is free.
func (s *supervisor) workerCame(t *processType, m *worker, x *cost.Sample, at time.Duration) *worker {
	var w *worker
	if i := slices.IndexFunc(t.prefork.workers, func(w *worker) bool { return !w.alive() }); i >= 0 {
		w = t.prefork.workers[i]
	} else {
		w = t.place(m, at)
	}
	w.begin(x.PID, at)
	w.began = x.Start
	s.raiseOOMScore(w)
	s.log.info("started", "worker", w.name, "pid", w.pid, "by", m.name)
	s.decide = true
	return w
}

// place makes room for one more worker, in the order of their names.
func (t *processType) place(m *worker, now time.Duration) *worker {
	p, n := t.prefork, t.free()
	w := &worker{typ: t, index: n, name: t.Name + "." + itoa(n), master: m, state: backoff, since: now, until: forever}
	i := slices.IndexFunc(p.workers, func(w *worker) bool { return w.index > n })
	if i < 0 {
		i = len(p.workers)
	}
	p.workers = slices.Insert(p.workers, i, w)
	return w
}

// workerGone is the end of a worker, of which memsup hears nothing but that it
// is no longer there.
func (s *supervisor) workerGone(t *processType, w *worker, at time.Duration) {
	p := t.prefork
	was, asked := w.state, w.asked
	switch m := w.master; {
	case m.state == stopping: // it takes its workers along
		w.leaves, was = true, stopping
		if asked == 0 {
			asked = m.asked
		}
	case asked == 0:
		asked = p.asked
	}
	oom, together := !w.killed && s.killedSince(), s.killedTogether(w)
	if p.step < 0 && !oom && w.master.state != stopping && (w.leaves || was != stopping) {
		p.learnOrder(w)
		w.leaves, was = true, stopping
	}
	w.before = 0
	if was != stopping && !w.killed && !oom {
		w.before = w.pid
	}
	w.pid = 0
	if w.lastExit = "ended"; w.killed {
		w.lastExit = describe(unix.WaitStatus(unix.SIGKILL), false)
	}
	switch {
	case oom:
		w.lastExit = describe(0, true)
		s.killedByKernel(w.name+" "+w.lastExit, w, "after", at-w.since)
	case was == stopping:
		took := max(0, at-asked)
		s.log.info("stopped", "worker", w.name, "took", took)
		if !w.killed {
			t.tookToStop(took)
		}
	default:
		s.log.warn(w.name+" ended, and its master did not tell how", "after", at-w.since)
	}
	s.exits = append(s.exits, policy.Exit{
		Type: t.index, Index: w.index, Ready: was == ready, OOM: oom || together, Asked: was == stopping, Grown: w.grown,
	})
	s.decide, s.nextLook = true, 0
	if w.leaves {
		p.workers = slices.DeleteFunc(p.workers, func(other *worker) bool { return other == w })
		return
	}
	w.restarts++
	w.state, w.since, w.until, w.asked = backoff, at, forever, 0
	w.measured, w.bytes, w.high, w.growth, w.cpu = false, 0, 0, 0, 0
}

// learnOrder sees which worker a master ends: gunicorn and uWSGI the oldest,
// puma and unicorn the youngest.
func (p *prefork) learnOrder(w *worker) {
	order := p.byAge()
	if len(order) < 2 {
		return
	}
	if order[0] == w {
		p.youngest = false
	} else if order[len(order)-1] == w {
		p.youngest = true
	}
}

// byAge are the living workers, the oldest first.
func (p *prefork) byAge() []*worker {
	var list []*worker
	for _, w := range p.workers {
		if w.alive() {
			list = append(list, w)
		}
	}
	slices.SortFunc(list, func(a, b *worker) int {
		return cmp.Or(cmp.Compare(a.began, b.began), cmp.Compare(a.pid, b.pid))
	})
	return list
}

// countWorkers draws the conclusions from the number of workers.
func (s *supervisor) countWorkers(t *processType, m *worker, at time.Duration) {
	p := t.prefork
	switch still := at - p.changed; {
	case !p.known && p.count > 0 && still >= settles:
		p.known, p.target, p.silent = true, p.count, false
		s.becomeReady(m, fmt.Sprintf("it keeps %d workers", p.count))
	case !p.known && p.count == 0 && !p.silent && at-m.since >= time.Minute:
		p.silent = true
		s.becomeReady(m, "no worker is waited for any longer")
		s.log.warn("no worker of a master is seen: it has to fork them itself, and a shell has to start it by exec",
			"master", m.name, "pid", m.pid, "for", at-m.since)
	case !p.known:
	case p.step > 0 && p.count >= p.target, p.step < 0 && p.count <= p.target:
		if p.failed = ""; p.step == p.refused {
			p.wait, p.retry = 0, 0
		}
		p.step = 0
	case p.step == 0 && p.count != p.target && still >= strays:
		s.log.info("keeps another number of workers than was asked for", "master", m.name, "has", p.count, "asked for", p.target)
		p.target = p.count
	}
}

// clear removes the places that the master will not fill.
func (p *prefork) clear() {
	for i := len(p.workers) - 1; i >= 0 && len(p.workers) > max(p.target, p.count); i-- {
		if !p.workers[i].alive() {
			p.workers = slices.Delete(p.workers, i, i+1)
		}
	}
}
