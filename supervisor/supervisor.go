// Package supervisor runs the workers. It is one loop in one goroutine: facts
// come in (ended children, signals, memory, requests), package policy decides,
// and the supervisor acts. Nothing in the loop waits for another process, a
// client or a disk.
package supervisor

import (
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/budget"
	"github.com/memsup/memsup/cost"
	"github.com/memsup/memsup/filewatch"
	"github.com/memsup/memsup/leaf"
	"github.com/memsup/memsup/policy"
	"github.com/memsup/memsup/pressure"
	"github.com/memsup/memsup/reaper"
	"github.com/memsup/memsup/record"
	"github.com/memsup/memsup/spawn"
	"github.com/memsup/memsup/trap"
)

// system is what the supervisor asks of the operating system.
type system struct {
	pid   int
	start func(*spawn.Spec) (pid int, err error)
	kill  func(pid int, sig unix.Signal) error
	reap  func(before func(int), ended func(int, unix.WaitStatus)) (remaining bool, err error)
	// descendants lists the processes that memsup would leave behind.
	descendants func() []int
	memory      func() (budget.Memory, error)
}

type supervisor struct {
	c     *Config
	sys   system
	log   *logger
	begin time.Time
	tty   bool // command mode owns a terminal

	types   []*processType
	leaving []*processType // removed by a reload, their workers still stopping
	byPID   map[int]*worker
	sockets []*socket     // of all types
	tidied  chan struct{} // closed when the files of sockets are as the last reload said; nil is now
	code    int
	failed  int // the first failing worker's code

	ending   bool          // every worker is to end
	askedAt  time.Duration // when somebody first asked for it
	skipped  bool          // the grace is over
	termed   bool          // what remains was sent SIGTERM
	endBy    time.Duration
	inOrder  bool          // some types wait for their turn to stop
	orderBy  time.Duration // all stop from then on
	done     bool
	children children
	orphans  int // collected so far

	budget   *budget.Budget
	mem      budget.Memory
	memAt    time.Duration
	memOK    bool
	blind    string // why memory cannot be read at present
	cpu      budget.CPU
	cpuAt    time.Duration // when it was read
	oomSeen  int64         // kernel's oom_kill count that has been explained
	oomBase  int64         // the same at the start
	oomClear time.Duration // when none was unexplained last
	oomSince time.Duration // when a kill not yet explained was first seen
	oomThen  []any         // what memory looked like before that
	oomScore int           // memsup's own oom_score_adj
	pressure *pressure.Watcher
	average  pressure.Average
	heard    <-chan pressure.Wake // nil where the kernel says nothing
	wire     *pressure.Tripwire   // nil where there is none
	spoke    time.Time            // when the kernel last did, until it was acted on

	policy         policy.State
	pcfg           policy.Config
	obs            policy.Observation
	exits          []policy.Exit
	decide         bool // something changed since the last decision
	nextLook       time.Duration
	lenses         lenses
	tree           *leaf.Tree   // nil: workers have no cgroups of their own
	spent          []*leaf.Leaf // of workers that are gone
	meter          *meter
	demand         demands
	errands        errands
	targets        []cost.Target
	samples        []cost.Sample
	losses         []cost.Loss
	kept           []cost.Sample // those of one master's workers
	stdout, stderr *sink
	draining       []*output         // of workers that have ended
	said           map[string]saying // the last one-off line by topic
	limitTold      budget.Memory     // whose limit the log told last
	limitQuiet     time.Duration     // until when it tells of no other
	testament      testament
	metrics        metrics
	recorder       *record.Writer // nil: not recorded
	lean           bool           // dropStartup was called

	decisions []Decision
	hearing   []chan Decision // clients of GET /v1/events
	control   *control
	relay     *relay
	notifier  *notifier
	probed    chan probed   // nil before the first check that is made beside the loop
	gone      chan struct{} // closed when the loop has ended

	signals   chan unix.Signal
	requests  chan request
	reloads   chan reloaded
	reloading bool
	reloadDue bool               // asked for while files are read, perhaps the old ones
	watched   *filewatch.Watcher // nil where they are not
	alarm     alarm
}

// Run runs c's workers until there is nothing left to do and returns the exit
// status for the process. There is one Run in a process: it waits for every
// child.
func Run(c *Config) (code int) {
	s := &supervisor{
		c:        c,
		begin:    time.Now(),
		byPID:    map[int]*worker{},
		signals:  make(chan unix.Signal),
		requests: make(chan request),
		reloads:  make(chan reloaded, 1),
		gone:     make(chan struct{}),
		stdout:   newSink(os.Stdout, patience),
		stderr:   newSink(os.Stderr, patience),
		alarm:    alarm{rings: make(chan struct{}, 1), fd: -1},

		testament: testament{path: terminationLog},
	}
	s.sys = system{
		pid:         unix.Getpid(),
		start:       spawn.Start,
		kill:        func(pid int, sig unix.Signal) error { return unix.Kill(pid, sig) },
		reap:        reaper.Reap,
		descendants: func() []int { return cost.Descendants("/proc", unix.Getpid(), nil) },
	}
	s.log = newLogger(c)
	defer s.log.close()
	if err := trap.Signals(s.signals, s.caught()...); err != nil {
		fmt.Fprintln(os.Stderr, "memsup:", err)
		return 70
	}
	survives := make(chan struct{})
	go func() { s.survive(); close(survives) }()
	if c.Subreaper {
		if err := reaper.BecomeSubreaper(); err != nil {
			s.log.warn("cannot become a child subreaper: orphans go to PID 1", "error", err)
		}
	}
	if c.Command == nil || !c.Command.Bare {
		s.openBudget()
		s.openControl()
		s.oomScore = ownOOMScore()
	}
	s.tty = c.Command != nil && ownsTerminal(c.Command.Bare)
	s.openMetrics()
	s.hearChildren()
	<-survives
	err := s.openRecording()
	var sockets []*socket
	if err == nil {
		sockets, err = openSockets(c.Types, nil)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "memsup:", err)
		s.control.close()
		return 2
	}
	s.setTypes(c, sockets)
	defer s.close()
	s.openNotifier()
	if s.watches() {
		s.listen()
		s.divide()
		s.openRelay()
		s.greet()
	}
	if err := s.giveUpRoot(); err != nil {
		fmt.Fprintln(os.Stderr, "memsup:", err)
		return 2
	}
	if len(c.Watch) > 0 {
		s.watchFiles(c.Watch)
	}
	time.AfterFunc(aside, s.serve)
	return s.run()
}

// aside is how long after the first workers were started the rest is made
// ready that they need not wait for. A command that is over by then never
// waits for it either.
const aside = 10 * time.Millisecond

// serve makes that rest ready: clients on the control socket are answered.
func (s *supervisor) serve() {
	s.control.serve(s.requests, s.gone)
	// One thread of Go code is plenty for what memsup does, and a second one
	// would be woken whenever the first has two things to do.
	s.lenses.useProcessors(1)
}

// run is the loop. A panic in it is a bug of memsup's: the container's workers
// are then stopped in order rather than killed with PID 1.
func (s *supervisor) run() (code int) {
	for {
		code, again := s.guarded()
		if !again {
			return code
		}
	}
}

func (s *supervisor) guarded() (code int, again bool) {
	defer func() {
		if p := recover(); p != nil {
			s.log.error("internal error: stopping everything", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			if s.ending {
				s.killAll()
				code, again = 70, false
				return
			}
			s.end(70)
			again = true
		}
	}()
	s.step()
	for !s.done {
		s.children.await(s.now())
		s.alarm.set(s.sleep())
		s.await()
		s.step()
	}
	return s.code, false
}

// await takes in the next fact that comes, or the alarm.
func (s *supervisor) await() {
	select {
	case <-s.children.heard:
		s.reap()
	case sig := <-s.signals:
		s.signal(sig)
	case wake := <-s.heard:
		s.woken(wake)
	case m := <-s.meter.results():
		s.sampled(m)
	case a := <-s.errands.answers:
		s.answered(a)
	case n := <-s.notifier.notifications():
		s.notified(n)
	case p := <-s.probed:
		p.done(p.err)
	case r := <-s.reloads:
		s.reloaded(r)
	case err := <-s.watched.Changes():
		s.filesChanged(err)
	case err := <-s.recorder.Failed():
		s.recordingFailed(err)
	case r := <-s.requests:
		r.reply <- s.answer(r)
	case <-s.alarm.rings:
	}
}

// now is the time since the start, which everything is dated by.
func (s *supervisor) now() time.Duration { return time.Since(s.begin) }

// step brings the world in line with the facts: what is overdue, what memory
// allows, who is missing.
func (s *supervisor) step() {
	if s.done {
		return
	}
	now := s.now()
	if !s.children.remain {
		s.reap() // an orphan may have come that nobody listened for
	}
	s.expire(now)
	s.lookForMetrics(now)
	if s.ending {
		s.finish(now)
		return
	}
	if s.watches() {
		if now >= s.nextLook {
			s.measure(now)
			s.decide = true
		}
		if s.decide {
			s.decideAndAct(now)
		}
	}
	s.roll(now)
	s.reconcile(now)
	s.inquire(now)
	s.checkWorkers(now)
	if s.nothingLeft() {
		s.end(s.failed)
		s.finish(now)
	}
}

// reconcile starts and stops workers until every type has as many slots as are
// wanted of it.
func (s *supervisor) reconcile(now time.Duration) {
	if s.ending {
		return
	}
	for _, t := range s.types {
		if !t.stopped {
			s.hold(t)
		}
	}
	for _, t := range s.types {
		if s.ending { // one could not be started, and that is the end
			return
		}
		want := s.wanted(t)
		if t.prefork != nil {
			s.steer(t, want, now)
			want = min(want, 1)
		}
		for t.staying() < want {
			t.add()
		}
		for n := t.staying() - want; n > 0; n-- {
			w := s.surplus(t)
			if w == nil {
				break
			}
			s.stop(w, remove, "no longer wanted")
		}
		for i := 0; i < len(t.slots) && !s.ending; i++ {
			if w := t.slots[i]; w.state == backoff && now >= w.until {
				if w.crowded = len(t.held) > 0 || s.crowded(t, (*worker).alive); !w.crowded {
					s.start(w)
				}
			}
		}
	}
}

// surplus chooses which of a type's workers goes when its range was lowered.
func (s *supervisor) surplus(t *processType) *worker {
	for i := len(t.slots) - 1; i >= 0; i-- {
		if w := t.slots[i]; w.state == backoff || w.state == finished {
			return w
		}
	}
	if m := t.master(); m != nil && m.state != stopping {
		return m
	}
	s.fillWorkers()
	w := t.slot(s.policy.Victim(&s.pcfg, &s.obs, t.index))
	if w == nil || w.state == stopping {
		for i := len(t.slots) - 1; i >= 0; i-- {
			if w := t.slots[i]; w.state != stopping {
				return w
			}
		}
		return nil
	}
	return w
}

// close does what the end of the process does not do by itself.
func (s *supervisor) close() {
	s.flush()
	s.closeRecording()
	s.lastOOM()
	s.testament.close()
	s.undivide()
	s.watched.Close()
	close(s.gone)
	s.closeSockets()
	s.control.close()
	s.relay.close()
	s.notifier.close()
}
