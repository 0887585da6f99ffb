package supervisor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/budget"
	"github.com/memsup/memsup/policy"
	"github.com/memsup/memsup/spawn"
)

func init() {
	// Of the next one nobody can be started.
	options["unstartable-release"] = func(c *Config) { release(os.Getenv("PROGRAM"), time.Hour)(c) }
	// The next one does its work, and ends.
	options["job-release"] = release("echo new", time.Hour)
	// The next one lives until it is told to die.
	options["dying-release"] = release("$T worker new USR1:new-dies:3", time.Hour)
	// The next one is never ready; the one after that is, and has one more type.
	options["mended-release"] = func(c *Config) {
		reads := 0
		c.Reload = func() (*Config, error) {
			next := *c
			next.Types = slices.Clone(c.Types)
			if reads++; reads == 1 {
				next.Types[0].Command, next.Types[0].Ready = "$T worker wrong TERM:wrong-stops:0", time.Hour
				return &next, nil
			}
			next.Types[0].Command = "$T worker right TERM:bye:0"
			next.Types = append(next.Types, Type{Name: "more"})
			return &next, nil
		}
	}
}

// A release of which nobody can be started is gone back from, here for want of its interpreter.
func TestRollBackOfWhatCannotBeStarted(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!/no/such/interpreter\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PROGRAM", program)
	for _, order := range []string{"start-first", ""} {
		r := launch(t, "procfile", order+" ready-now two unstartable-release", "web=$T worker up TERM:bye:0")
		r.want("up", "up")
		r.signal(unix.SIGHUP)
		if order == "" {
			r.want("bye", "up") // stopped first, and back again
		}
		r.awaitDecision("rollback")
		r.rows(named("web.1", "web.2"))
		r.signal(unix.SIGTERM)
		r.wantAnyOrder("bye", "bye")
		r.end(0)
		r.inOrder("cannot start web.", "rolled back: web.", "cannot be started; what starts is what ran before; kept: web.")
	}
}

// A worker that does its work and is not to be restarted has not failed.
func TestReplacementThatDoesItsWork(t *testing.T) {
	r := launch(t, "procfile", "on-failure ready-now job-release", "web=$T worker up TERM:bye:0", "other=$T worker other TERM:other-stops:0")
	r.wantAnyOrder("other", "up")
	r.signal(unix.SIGHUP)
	r.want("bye", "new")
	r.until(func(st *Status) bool { return st.Workers[0].State == "finished" })
	r.signal(unix.SIGTERM)
	r.want("other-stops")
	r.end(0)
	if strings.Contains(r.stderr.String(), "rolled back") {
		t.Error("its end is taken for a failure")
	}
}

// A replacement that is left alone by the worker whose place it takes is on trial as
// before.
func TestReplacementLeftAloneFails(t *testing.T) {
	r := launch(t, "procfile", "start-first ready-now dying-release", "web=$T worker up USR1:dies:1")
	r.want("up")
	old := *r.status().Workers[0].PID
	r.signal(unix.SIGHUP)
	r.want("new")
	r.awaitWorkers("web.1", "web.2")
	_ = unix.Kill(old, unix.SIGUSR1)
	r.want("dies")
	r.awaitWorkers("web.2")
	_ = unix.Kill(*r.status().Workers[0].PID, unix.SIGUSR1)
	r.want("new-dies", "up")
}

// A release that is mended before its first worker has failed is not gone back from: the
// worker goes, and the mended one has its turn.
func TestReleaseIsMendedMeanwhile(t *testing.T) {
	r := launch(t, "procfile", "start-first ready-now mended-release", "web=$T worker up TERM:old-stops:0")
	r.want("up")
	r.signal(unix.SIGHUP)
	r.want("wrong")
	r.awaitWorkers("web.1", "web.2")
	starting := func(st *Status) (pid int) {
		for _, w := range st.Workers {
			if w.Name == "web.2" && w.State == "starting" && w.PID != nil {
				pid = *w.PID
			}
		}
		return pid
	}
	wrong := starting(r.status())
	r.signal(unix.SIGHUP)
	if st := r.until(func(st *Status) bool { return len(st.Types) == 2 }); wrong == 0 || starting(st) == wrong {
		t.Fatal("the wrong one goes on starting, or never did")
	}
	r.want("wrong-stops")
	r.wantAnyOrder("old-stops", "right")
	r.signal(unix.SIGTERM)
	r.want("bye")
	r.end(0)
	if strings.Contains(r.stderr.String(), "rolled back") {
		t.Error("it was gone back from")
	}
}

// A worker that happens to start anew while a release is tried is on trial too. One that
// the kernel kills for memory does not count to the start limit.
func TestEveryStartOfATriedReleaseIsOnTrial(t *testing.T) {
	for _, killed := range []bool{false, true} {
		p := examine(t, 2, Type{Command: "new", Uses: []int{0, 3}})
		p.sys.start = func(*spawn.Spec) (int, error) { return 2 * noPID, nil }
		kills := int64(0)
		p.budget = &budget.Budget{}
		p.sys.memory = func() (budget.Memory, error) { return budget.Memory{OOMKills: kills}, nil }
		p.configurePolicy()
		one, two := p.typ.slots[0], p.typ.slots[1]
		p.typ.before = &known{Type: Type{Command: "old", Uses: []int{3}, StartLimit: 2, StartPeriod: time.Hour}}
		for _, w := range p.typ.slots {
			w.roll = true
		}
		p.end(one, 0)
		p.supervisor.start(one)
		status := unix.WaitStatus(3 << 8)
		if killed {
			kills, status = 1, unix.WaitStatus(unix.SIGKILL)
		}
		p.end(one, status)
		if p.typ.Command != "old" || p.typ.before != nil || two.roll || one.trial {
			t.Errorf("killed %v: %q runs, web.2 is to be replaced: %v, web.1 is on trial: %v", killed, p.typ.Command, two.roll, one.trial)
		}
		if !slices.Equal(p.typ.Uses, []int{0, 3}) {
			t.Errorf("a worker uses %d of limits that there are no more", p.typ.Uses)
		}
		if one.state != backoff || one.delays != 1 || killed != (len(one.early) == 0) {
			t.Errorf("killed %v: %v, %d delays, %d early ends", killed, one.state, one.delays, len(one.early))
		}
		// Nobody is kept where nobody runs.
		p.typ.before = &known{}
		two.state = starting
		p.supervisor.start(one)
		if one.trial {
			t.Errorf("killed %v: on trial while nobody runs", killed)
		}
	}
}

// The next one that was started beside an old one meanwhile goes with it.
func TestRollBackTakesTheNextOneAlong(t *testing.T) {
	for _, started := range []bool{true, false} {
		p := examine(t, 2, Type{StartFirst: true})
		one, two := p.typ.slots[0], p.typ.slots[1]
		two.roll = true
		p.startBeside(two, "")
		three := p.typ.slots[2]
		if started {
			p.start(three)
		}
		p.end(one, 3<<8)
		if started {
			p.wantSent(t, "one has failed", "3 SIGTERM")
			p.end(three, 0)
		}
		if len(p.typ.slots) != 2 || two.successor != nil || two.state != ready {
			t.Errorf("started %v: %d slots are left, and web.2 is %v", started, len(p.typ.slots), two.state)
		}
		if log := p.said.String(); !strings.Contains(log, "just after it was ready; kept: web.2\n") {
			t.Errorf("started %v: the log says %q", started, log)
		}
	}
}

// Memory that does not hold the new worker beside the old one may hold it in its place;
// where it does not, what ran before does.
func TestReleaseThatIsTooLarge(t *testing.T) {
	p := examine(t, 2, Type{Command: "new", StartFirst: true})
	p.budget, p.memOK = &budget.Budget{}, true
	p.configurePolicy()
	one := p.typ.slots[0]
	p.typ.before = &known{Type: Type{Command: "old", StopSignal: unix.SIGTERM}}
	one.roll = true
	p.startBeside(one, "")
	three := p.typ.slots[2]
	p.start(three)
	p.act(policy.Action{Kind: policy.Down, Index: three.index}, nil)
	p.wantSent(t, "memory is low", "3 SIGTERM")
	p.end(three, 0)
	p.replaceNext(one, false, 0)
	p.wantSent(t, "in its place", "1 SIGTERM")
	p.end(one, 0)
	p.start(one)
	if p.typ.before == nil || one.narrow {
		t.Fatalf("before %v, narrow %v", p.typ.before, one.narrow)
	}
	p.act(policy.Action{Kind: policy.Recycle, Index: one.index}, nil)
	if p.typ.Command != "old" || one.state != stopping {
		t.Errorf("%q runs, the new one is %v", p.typ.Command, one.state)
	}
	if log := p.said.String(); !strings.Contains(log, "rolled back: web.1 was stopped for memory before it was ready; what starts is what ran before; kept: web.2") {
		t.Errorf("the log says %q", log)
	}
}

// A worker that takes too much as soon as it starts is not started ten times a second,
// whether it says that it is ready or not.
func TestHastyRecyclesAreSpacedOut(t *testing.T) {
	for _, becomes := range []state{starting, ready} {
		p := examine(t, 1, Type{})
		w := p.typ.slots[0]
		for n, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
			w.since, w.state = p.now(), becomes
			p.act(policy.Action{Kind: policy.Recycle, Index: 1}, nil)
			before := p.now()
			p.end(w, 0)
			if w.delay() != want || w.until < before+want {
				t.Errorf("%v, recycle %d: waits %v, want %v", becomes, n+1, w.until-before, want)
			}
			p.start(w)
			if becomes == ready {
				p.becomeReady(w, "the test says so")
			}
		}
		if becomes == starting {
			continue
		}
		w.since = p.now() - infancy
		p.act(policy.Action{Kind: policy.Recycle, Index: 1}, nil)
		if w.delays != 0 || w.hasty != 0 {
			t.Errorf("one that has lived waits %v", w.delay())
		}
	}
}

// A new worker that ends just after it became ready ends its restart too; an old one that
// ends says nothing, nor one that has lived.
func TestRollBackOfOneThatWasReady(t *testing.T) {
	for name, test := range map[string]struct {
		ends  int // the slot
		after time.Duration
		code  int
		back  bool
	}{
		"new":             {0, 0, 3, true},
		"new, status 0":   {0, 0, 0, true},
		"has lived":       {0, infancy, 3, false},
		"one of the old":  {1, 0, 3, false},
		"nothing to keep": {2, 0, 3, false},
	} {
		p := examine(t, 3, Type{})
		if test.ends < 2 {
			p.typ.slots[1].roll, p.typ.slots[2].state = true, stopping
		}
		w := p.typ.slots[test.ends]
		if w.readyAt == 0 {
			t.Errorf("%s: nobody knows since when it is ready", name)
		}
		w.readyAt = p.now() - test.after
		p.end(w, unix.WaitStatus(test.code<<8))
		log := p.said.String()
		if strings.Contains(log, "rolled back") != test.back || test.ends < 2 && p.typ.slots[1].roll == test.back {
			t.Errorf("%s: web.2 is to be replaced: %v; the log says %q", name, p.typ.slots[1].roll, log)
		}
		if want := "rolled back: web.1 exited with status " + itoa(test.code) + " just after it was ready; kept: web.2"; test.back && !strings.Contains(log, want+"\n") {
			t.Errorf("%s: the log says %q, want %s", name, log, want)
		}
		if w.state != backoff || w.delays != 0 {
			t.Errorf("%s: it is %v", name, w.state)
		}
	}
}
