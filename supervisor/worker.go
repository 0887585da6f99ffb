package supervisor

import (
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/cost"
	"github.com/memsup/memsup/leaf"
	"github.com/memsup/memsup/policy"
	"github.com/memsup/memsup/procfile"
)

// state is where a worker's slot is. docs/architecture.md holds the table of
// what moves it from one to the next.
type state uint8

const (
	backoff  state = iota // no process: waits until its restart is due
	starting              // a process, not yet ready
	ready
	stopping // was sent its stop signal
	finished // ended for good: by itself, or its type gave up
)

func (s state) String() string {
	return [...]string{"backoff", "starting", "ready", "stopping", "finished"}[s]
}

// afterStop is what becomes of a slot once its stopping process has ended.
type afterStop uint8

const (
	remove  afterStop = iota // the slot goes: scaled down, or memsup ends
	restart                  // the slot starts anew: restarted, recycled
)

// worker is one slot of a process type and the process that is in it.
type worker struct {
	typ   *processType
	index int
	name  string // web.1; web.0 is a master that keeps the others
	state state

	master *worker // that keeps it; nil: memsup started it
	began  uint64  // with a master: cost.Sample.Start
	leaves bool    // with a master: that is expected to end it
	prior  state   // then: to go back to

	pid     int
	shell   bool // runs under sh -c and is signalled as a group
	since   time.Duration
	readyAt time.Duration // when its process became ready
	until   time.Duration // backoff: start again; stopping: SIGKILL
	after   afterStop
	asked   time.Duration // when its stop signal was sent
	killed  bool          // memsup sent SIGKILL
	grown   bool          // added by the policy, not yet ready since
	roll    bool          // to be restarted, in its turn
	trial   bool          // its start is part of a rolling restart, and it was not ready since
	crowded bool          // not started until a limit holds it, or its type is held no longer
	unwell  bool          // restarted because it was not alive, not ready since
	health  health        // of its process
	settle  policy.Settling
	outputs []*output
	own     []ownSocket // sockets that it shares with no other worker

	replaces  *worker // whose place it takes when it is ready
	successor *worker // that takes its place
	narrow    bool    // memory did not hold one beside it that was to take its place

	leaf      *leaf.Leaf // its cgroup; nil where it has none of its own
	leafKills int64      // the kernel's kills in it that are explained

	measured    bool
	measureFrom time.Duration // what was measured before it does not count
	bytes       int64
	swap        int64        // of it
	high        int64        // the most that bytes has been, between looks too
	load        *loadAverage // for --runtime-metrics; nil before threads were counted
	growth      int64        // bytes a second
	cpu         int64        // thousandths of one CPU since the sample before, or the start
	cpuTime     time.Duration
	sampledAt   time.Duration
	mark        mark

	before int       // its last process, where that ended by itself
	lost   cost.Loss // the largest process that its tree lost since no kill was unexplained
	lostAt time.Duration

	early    []time.Duration // ends before it was ready that count to the start limit
	delays   int             // early ends since it was last ready: the backoff's exponent
	hasty    int             // how often in a row it was recycled just after it became ready
	restarts int
	gaveUp   bool // finished, because it failed too often
	illEnded bool // finished, with a status other than 0
	lastExit string
}

// alive says whether the slot has a process.
func (w *worker) alive() bool { return w.pid != 0 }

// lasts says whether the slot has a process, or is to have one.
func (w *worker) lasts() bool { return w.state != finished }

// processType is one type, with what has been learned and ordered of it.
type processType struct {
	Type
	index   int // in supervisor.types and policy.Config.Types
	slots   []*worker
	pin     *procfile.Range
	stopped bool      // by memsup stop
	begun   bool      // its start waits for no other type, or no longer
	held    []string  // the types that it waits for
	sockets []*socket // in the order of Listen
	hinted  bool
	release int      // counts the reloads that changed what its workers run
	prefork *prefork // nil: memsup starts each worker

	env      []string      // Config.Env, as its workers have it
	before   *known        // what ran before a reload whose rolling restart is under way
	dueSince time.Duration // since when a worker waits to be replaced

	demand   *demand       // what was measured of it
	stopTime time.Duration // the longest of late stops; decays
}

// slot gives the worker with that index, or nil.
func (t *processType) slot(index int) *worker {
	for w := range t.all() {
		if w.index == index {
			return w
		}
	}
	return nil
}

// free is the lowest index that no worker has.
func (t *processType) free() int {
	for i := 1; ; i++ {
		if t.slot(i) == nil {
			return i
		}
	}
}

// add makes a slot for one more worker, to be started at once.
func (t *processType) add() *worker {
	w := &worker{typ: t}
	if t.prefork == nil {
		w.index = t.free()
	}
	w.name = t.Name + "." + strconv.Itoa(w.index)
	t.slots = append(t.slots, w)
	return w
}

func (t *processType) drop(w *worker) {
	for i, other := range t.slots {
		if other == w {
			t.slots = append(t.slots[:i], t.slots[i+1:]...)
			return
		}
	}
}

// staying counts the slots that are not on their way out, and of a worker and its
// replacement one.
func (t *processType) staying() int {
	n := 0
	for _, w := range t.slots {
		if w.successor == nil && (w.state != stopping || w.after == restart) {
			n++
		}
	}
	return n
}

// mostPorts is how many workers of the type there are ports for.
func (t *processType) mostPorts() int {
	if t.Port == 0 || len(t.Listen) > 0 || t.prefork != nil {
		return procfile.MaxWorkers
	}
	return 65535 - t.Port + 1
}

// finished counts the slots that have ended for good. They keep their index
// and are not started again.
func (t *processType) finished() int {
	n := 0
	for _, w := range t.slots {
		if w.state == finished {
			n++
		}
	}
	return n
}

// failed notes an end before the slot was ready and says whether that was one
// too many: StartLimit of them within StartPeriod.
func (w *worker) failed(now time.Duration) bool {
	recent := w.early[:0]
	for _, at := range w.early {
		if now-at < w.typ.StartPeriod {
			recent = append(recent, at)
		}
	}
	w.early = append(recent, now)
	return w.typ.StartLimit > 0 && len(w.early) >= w.typ.StartLimit
}

const (
	firstDelay = 100 * time.Millisecond // after an end that was not early
	earlyDelay = time.Second            // after the first early one; doubles
	maxDelay   = time.Minute
)

// delay is how long the slot waits before its next start.
func (w *worker) delay() time.Duration {
	if w.delays == 0 {
		return firstDelay
	}
	return min(earlyDelay<<min(w.delays-1, 10), maxDelay)
}

// exitCode is the shell's: the exit status, or 128 + the signal.
func exitCode(status unix.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// describe says how a process ended.
func describe(status unix.WaitStatus, oom bool) string {
	switch {
	case oom:
		return "was killed by the kernel for memory"
	case status.Signaled():
		return "was ended by " + unix.SignalName(status.Signal())
	default:
		return fmt.Sprintf("exited with status %d", status.ExitStatus())
	}
}

// target is the worker as package cost measures it.
func (w *worker) target() cost.Target {
	t := cost.Target{PID: w.pid}
	if p := w.typ.Prefork; p != nil {
		t.Prefork, t.Workers = true, p.Workers
	}
	return t
}

// begin notes the process that is now the worker's.
func (w *worker) begin(pid int, now time.Duration) {
	w.pid, w.state, w.since, w.measureFrom, w.killed = pid, starting, now, now, false
	w.settle, w.measured, w.bytes, w.growth, w.cpu, w.cpuTime = policy.Settling{}, false, 0, 0, 0, 0
	w.swap, w.high, w.load, w.mark = 0, 0, nil, mark{}
	w.health, w.narrow = health{}, false
}

// keeps says whether the worker is a master, which is ready when the number of
// its workers is known.
func (w *worker) keeps() bool { return w.typ.prefork != nil && w.master == nil }

// timed says whether the worker is ready some time after its start, and settles
// whether it is when its memory settled.
func (w *worker) timed() bool   { return w.typ.Ready > 0 && !w.asks() && !w.keeps() }
func (w *worker) settles() bool { return w.typ.Ready == 0 && !w.asks() && !w.keeps() }
