package supervisor

import (
	"os"
	"os/signal"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/budget"
	"github.com/memsup/memsup/cost"
	"github.com/memsup/memsup/policy"
	"github.com/memsup/memsup/procfile"
)

// driven is a supervisor with one master, on a clock of the test's. The master
// is this process, so that it handles the signals; none is sent.
type driven struct {
	*supervisor
	t     *testing.T
	typ   *processType
	now   time.Duration
	pids  []int // of the workers that are there
	sent  []unix.Signal
	kills int64 // the kernel's, for memory
}

func drive(t *testing.T, workers ...int) *driven {
	t.Helper()
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, unix.SIGTTIN, unix.SIGTTOU)
	t.Cleanup(func() { signal.Stop(caught) })
	d := &driven{t: t, supervisor: &supervisor{c: &Config{Drain: time.Minute}, byPID: map[int]*worker{}, budget: &budget.Budget{}}}
	d.sys.kill = func(pid int, sig unix.Signal) error {
		if pid != os.Getpid() {
			t.Errorf("%v to %d", sig, pid)
		}
		d.sent = append(d.sent, sig)
		return nil
	}
	d.sys.memory = func() (budget.Memory, error) { return budget.Memory{OOMKills: d.kills}, nil }
	d.typ = &processType{
		Type:    Type{Name: "web", Prefork: &Prefork{}, Range: procfile.Range{Min: 1, Max: 8}},
		prefork: &prefork{},
	}
	d.types = []*processType{d.typ}
	m := d.typ.add()
	m.begin(os.Getpid(), 0)
	d.byPID[m.pid] = m
	d.look(0, workers...)
	d.look(settles, workers...)
	if !d.typ.prefork.known || d.typ.prefork.target != len(workers) || m.state != ready {
		t.Fatalf("after %s it keeps %d", settles, d.typ.prefork.target)
	}
	return d
}

// look is what the meter saw, dt later; a worker's pid is its age as well.
func (d *driven) look(dt time.Duration, workers ...int) {
	d.now += dt
	d.pids = workers
	samples := make([]cost.Sample, len(workers))
	for i, pid := range workers {
		samples[i] = cost.Sample{PID: 1<<30 + pid, Start: uint64(pid), Parent: os.Getpid(), Bytes: 1 << 20, Processes: 1}
	}
	d.sighted(d.typ, samples, d.now)
}

// wants steers to n workers and says which signals that took.
func (d *driven) wants(n int, signals ...unix.Signal) {
	d.t.Helper()
	d.sent = nil
	d.expireStep(d.typ, d.now)
	d.steer(d.typ, n, d.now)
	if !slices.Equal(d.sent, signals) {
		d.t.Errorf("at %s, of %v wanting %d: sent %v, want %v", d.now, d.pids, n, d.sent, signals)
	}
}

// leaving are the ages of the workers that are expected to go.
func (d *driven) leaving(ages ...int) {
	d.t.Helper()
	var got []int
	for _, w := range d.typ.prefork.byAge() {
		if w.state == stopping {
			got = append(got, int(w.began))
		}
	}
	if !slices.Equal(got, ages) {
		d.t.Errorf("at %s: expected to go are %v, want %v", d.now, got, ages)
	}
}

func TestOneMoreIsSeenBeforeTheNext(t *testing.T) {
	d := drive(t, 1, 2)
	d.wants(4, unix.SIGTTIN)
	d.look(time.Second, 1, 2)
	d.wants(4)
	d.look(time.Second, 1, 2, 3)
	if w := d.typ.slot(3); w == nil || w.began != 3 || !w.grown || w.state != starting {
		t.Errorf("web.3 is %+v", w)
	}
	d.wants(4, unix.SIGTTIN)
	d.look(time.Second, 1, 2, 3, 4)
	d.wants(4)
}

// What is not seen in time is asked for again after waits that double.
func TestNothingComes(t *testing.T) {
	d := drive(t, 1)
	d.wants(2, unix.SIGTTIN)
	d.look(forkPatience-1, 1)
	d.wants(2)
	d.now++
	for _, wait := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute} {
		d.wants(2)
		if got := d.typ.prefork.failed; got != "web did not add a worker within 30s of SIGTTIN" {
			t.Errorf("failed: %q", got)
		}
		d.now += wait - 1
		d.wants(2)
		d.now++
		d.wants(2, unix.SIGTTIN)
		d.now += forkPatience
	}
	d.look(0, 1, 2)
	d.wants(2)
	if p := d.typ.prefork; p.failed != "" || p.wait != 0 || p.target != 2 {
		t.Errorf("when it came: %+v", p)
	}
}

// Where one more does not come, one fewer is asked for all the same, and that it
// went does not shorten the wait for the one more.
func TestFewerWhileNothingComes(t *testing.T) {
	d := drive(t, 1, 2, 3)
	d.wants(4, unix.SIGTTIN)
	d.look(forkPatience, 1, 2, 3)
	d.wants(4)
	d.wants(2, unix.SIGTTOU)
	d.leaving(1)
	d.look(time.Second, 2, 3)
	d.wants(4)
	d.look(30*time.Second-time.Second-1, 2, 3)
	d.wants(4)
	d.now++
	d.wants(4, unix.SIGTTIN)
}

// A master that ends nobody is asked once a minute at least.
func TestFewerIsAskedForAgain(t *testing.T) {
	d := drive(t, 1, 2)
	for _, wait := range []time.Duration{30 * time.Second, time.Minute, time.Minute, time.Minute} {
		d.wants(1, unix.SIGTTOU)
		d.now += time.Minute
		d.wants(1)
		d.now += wait - 1
		d.wants(1)
		d.now++
	}
}

// Removing does not wait for the last one to have gone, but two signals that are
// pending would be one. Who is to go counts as going at once.
func TestFewer(t *testing.T) {
	d := drive(t, 1, 2, 3, 4)
	d.wants(2, unix.SIGTTOU)
	d.leaving(1, 2)
	d.now += awaits - 1
	d.wants(2)
	d.now++
	d.wants(2, unix.SIGTTOU)
	d.look(time.Second, 1, 2, 3, 4)
	d.wants(2)
	d.look(time.Second, 2, 3, 4)
	d.wants(2)
	d.leaving(2)
	d.look(time.Second, 3, 4)
	d.wants(2)
	d.leaving()
	if p := d.typ.prefork; p.step != 0 || p.target != 2 || len(p.workers) != 2 {
		t.Errorf("%+v", p)
	}
	for _, e := range d.exits {
		if !e.Asked || e.OOM {
			t.Errorf("%+v, want one that was asked for", e)
		}
	}
}

// Who goes is the master's choice, and after the first time it is known.
func TestWhoGoesIsLearned(t *testing.T) {
	d := drive(t, 1, 2, 3, 4)
	d.wants(3, unix.SIGTTOU)
	d.leaving(1)
	d.look(time.Second, 1, 2, 3) // puma ends the youngest
	if d.wants(3); d.exits[0].Index != 4 || !d.exits[0].Asked {
		t.Errorf("%+v, want web.4, asked", d.exits)
	}
	d.leaving()
	if w := d.typ.slot(1); w.state != starting {
		t.Errorf("web.1 is %s; it did not go", w.state)
	}
	d.wants(2, unix.SIGTTOU)
	d.leaving(3)
}

func TestNeverBelowOne(t *testing.T) {
	d := drive(t, 1, 2)
	d.wants(0, unix.SIGTTOU)
	d.look(time.Second, 2)
	d.wants(0)
	d.look(time.Second, 2)
	d.wants(0)
}

// A worker that does not go keeps nobody from asking again, and is a worker as
// before meanwhile.
func TestNobodyGoes(t *testing.T) {
	d := drive(t, 1, 2)
	d.wants(1, unix.SIGTTOU)
	d.leaving(1)
	d.look(time.Minute, 1, 2)
	d.wants(1)
	d.leaving()
	if got := d.typ.prefork.failed; got != "web did not end a worker within 1m0s of SIGTTOU" {
		t.Errorf("failed: %q", got)
	}
	d.look(30*time.Second, 1, 2)
	d.wants(1, unix.SIGTTOU)
}

// A worker that its master replaces is nothing to ask for.
func TestReplacedByItsMaster(t *testing.T) {
	d := drive(t, 1, 2, 3)
	d.look(time.Second, 1, 3)
	d.wants(3)
	if w := d.typ.slot(2); w.state != backoff || w.alive() {
		t.Errorf("web.2 is %s", w.state)
	}
	d.look(time.Second, 1, 3, 4)
	d.wants(3)
	if w := d.typ.slot(2); w.began != 4 || w.restarts != 1 {
		t.Errorf("web.2: %+v", w)
	}
	if want := (policy.Exit{Index: 2}); len(d.exits) != 1 || d.exits[0] != want {
		t.Errorf("exits %+v", d.exits)
	}
	// One that is not replaced is missed after a while.
	d.look(time.Second, 1, 3)
	d.wants(3)
	d.look(strays, 1, 3)
	d.wants(3, unix.SIGTTIN)
}

// A kernel's kill is told by its count, and rather explains the end of a worker
// that nobody asked to go.
func TestKeptWorkerKilledForMemory(t *testing.T) {
	d := drive(t, 1, 2, 3)
	d.wants(2, unix.SIGTTOU)
	d.kills = 1
	d.look(time.Second, 2)
	if len(d.exits) != 2 || d.exits[0].Index != 3 || !d.exits[0].OOM || d.exits[1].Index != 1 || d.exits[1].OOM || !d.exits[1].Asked {
		t.Errorf("exits %+v, want web.3 killed and web.1 asked for", d.exits)
	}
	if w := d.typ.slot(3); w == nil || w.lastExit != "was killed by the kernel for memory" {
		t.Errorf("web.3: %+v", w)
	}
	if d.oomSeen != 1 {
		t.Errorf("%d kills are explained, want 1", d.oomSeen)
	}
}

// A master that stops takes its workers along: that is nothing to wonder about, and
// took as long as the master was told before.
func TestWorkersGoWithTheirMaster(t *testing.T) {
	d := drive(t, 1, 2)
	m := d.typ.slots[0]
	m.state, m.asked = stopping, d.now
	d.look(time.Second, 2)
	if want := (policy.Exit{Index: 1, Ready: false, Asked: true}); len(d.exits) != 1 || d.exits[0] != want {
		t.Errorf("exits %+v, want %+v", d.exits, want)
	}
	if p := d.typ.prefork; len(p.workers) != 1 || d.typ.stopTime != time.Second {
		t.Errorf("%d places, and a stop takes %s", len(p.workers), d.typ.stopTime)
	}
}

// Where memsup killed at the same time nobody can tell whom the kernel did.
func TestKeptWorkerKilledByBoth(t *testing.T) {
	d := drive(t, 1, 2)
	killed := d.typ.slot(2)
	killed.killed = true
	d.kills = 1
	d.look(time.Second, 1)
	if killed.lastExit != "was ended by SIGKILL" {
		t.Errorf("it %s", killed.lastExit)
	}
	if len(d.exits) != 1 || !d.exits[0].OOM || d.oomSeen != 1 {
		t.Errorf("exits %+v, %d kills explained", d.exits, d.oomSeen)
	}
}

// A gunicorn that reloads has twice as many for a while; a master that was told
// otherwise by somebody else is followed.
func TestMasterChangesItsNumber(t *testing.T) {
	d := drive(t, 1, 2)
	d.look(time.Second, 1, 2, 3, 4)
	d.look(10*time.Second, 1, 2, 3, 4)
	d.wants(2)
	d.look(time.Second, 3, 4)
	d.wants(2)
	d.look(time.Second, 3, 4, 5)
	d.look(strays, 3, 4, 5)
	d.wants(2, unix.SIGTTOU)
}

// The policy sees a master until its workers are known, and then these.
func TestPolicySeesWorkers(t *testing.T) {
	d := drive(t, 1, 2)
	d.fillWorkers()
	var got []int
	for _, w := range d.obs.Workers {
		got = append(got, w.Index)
	}
	if !slices.Equal(got, []int{1, 2}) {
		t.Errorf("workers %v, want 1 and 2", got)
	}
	// One that was asked for takes memory before it is seen.
	d.wants(3, unix.SIGTTIN)
	d.fillWorkers()
	if o := d.obs.Workers; len(o) != 3 || o[2].Index != 3 || o[2].Phase != policy.Starting || o[2].Since != d.now {
		t.Errorf("workers %+v, want web.3, starting", o)
	}
	// They go when it goes, and those that were to come do not.
	d.typ.slots[0].state = stopping
	d.fillWorkers()
	if o := d.obs.Workers; len(o) != 2 || o[0].Phase != policy.Stopping || o[1].Phase != policy.Stopping {
		t.Errorf("workers %+v, want web.1 and web.2, stopping", o)
	}
	d.typ.prefork.forget()
	d.typ.slots[0].state = starting
	d.fillWorkers()
	if o := d.obs.Workers; len(o) != 1 || o[0].Index != 0 || o[0].Phase != policy.Starting {
		t.Errorf("workers %+v, want the master, starting", o)
	}
}

// A master without workers is waited for, said once, and ready then.
func TestNoWorkers(t *testing.T) {
	d := drive(t, 1)
	d.typ.prefork.forget()
	d.typ.slots[0].state, d.typ.slots[0].since = starting, d.now
	d.look(time.Minute - 1)
	if m := d.typ.slots[0]; m.state != starting || !d.typ.restless() {
		t.Errorf("the master is %s", m.state)
	}
	d.look(1)
	if m := d.typ.slots[0]; m.state != ready || d.typ.restless() {
		t.Errorf("the master is %s", m.state)
	}
	d.wants(4)
	d.look(time.Second, 7, 8)
	d.look(settles, 7, 8)
	d.wants(4, unix.SIGTTIN)
}

func TestCatches(t *testing.T) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, unix.SIGTTIN)
	defer signal.Stop(caught)
	for sig, want := range map[unix.Signal]bool{unix.SIGTTIN: true, unix.SIGSTOP: false} {
		if got := catches(os.Getpid(), sig); got != want {
			t.Errorf("%v: %v, want %v", sig, got, want)
		}
	}
	if catches(1<<30, unix.SIGTTIN) {
		t.Error("a process that is not there handles a signal")
	}
}

// A worker is signalled where its pid is still its own.
func TestSignalKept(t *testing.T) {
	r := launch(t, "command", "", workerLine("up", "USR1:mine:0")...)
	r.want("up")
	pid := cost.Descendants("/proc", r.cmd.Process.Pid, nil)[0]
	began, ok := cost.Started("/proc", pid)
	if !ok {
		t.Fatal("it is gone")
	}
	s := &supervisor{c: &Config{}}
	s.signalKept(&worker{pid: pid, began: began + 1}, unix.SIGKILL)
	s.signalKept(&worker{pid: pid, began: began}, unix.SIGUSR1)
	r.want("mine")
	r.end(0)
}
