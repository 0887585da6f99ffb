package supervisor

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/procfile"
)

// A type starts when the one before it has done its work, and until then status says
// what it waits for.
func TestStartsAfterAnother(t *testing.T) {
	r := launch(t, "procfile", "after never", "setup=$T worker setup USR1:done:0", "web=$T worker web TERM:bye:0")
	r.want("setup")
	st := r.until(func(st *Status) bool { return st.Workers[0].PID != nil })
	if why := st.Types[1].BlockedReason; why == nil || *why != "web waits for setup" || st.Types[1].Running != 0 {
		t.Errorf("%+v, want that it waits for setup", st.Types[1])
	}
	if err := unix.Kill(*st.Workers[0].PID, unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	r.want("done", "web")
	r.signal(unix.SIGTERM)
	r.want("bye")
	r.end(0)
}

// Where what it waits for has failed for good nothing is left to do.
func TestWaitsInVain(t *testing.T) {
	r := launch(t, "procfile", "after never", "setup=exit 3", "web=echo started")
	if r.lines.Scan() {
		t.Errorf("a worker printed %q", r.lines.Text())
	}
	r.end(3)
}

// A type stops when no worker is left of those that come after it, and who ends before
// its turn is gone.
func TestStopsAfterWhoNeedsIt(t *testing.T) {
	r := launch(t, "procfile", "after ready-now",
		"db=$T worker db TERM:db-stops:0", "web=$T worker web TERM:web-asked USR1:web-ends:0", "job=$T worker job TERM:job-stops:0")
	r.wantAnyOrder("db", "job", "web")
	web := *r.status().Workers[1].PID
	r.signal(unix.SIGTERM)
	r.wantAnyOrder("job-stops", "web-asked")
	if st := r.status(); st.Workers[0].State != "ready" || st.Workers[1].State != "stopping" {
		t.Errorf("%+v, want db.1 ready while web.1 is stopping", st.Workers)
	}
	if err := unix.Kill(web, unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	r.want("web-ends", "db-stops")
	r.end(0)
}

func TestEndsBeforeItsTurn(t *testing.T) {
	r := launch(t, "procfile", "after ready-now", "db=$T worker db USR2:db-ends:3", "web=$T worker web TERM:web-asked USR1:web-ends:0")
	r.wantAnyOrder("db", "web")
	st := r.status()
	r.signal(unix.SIGTERM)
	r.want("web-asked")
	if err := unix.Kill(*st.Workers[0].PID, unix.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	r.want("db-ends")
	r.rows(func(rows []Worker) bool {
		if len(rows) == 2 && rows[0].PID == nil {
			t.Fatalf("%+v is waited for", rows[0])
		}
		return len(rows) == 1
	})
	if err := unix.Kill(*st.Workers[1].PID, unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	r.want("web-ends")
	r.end(0)
}

// A second signal skips the turns as well.
func TestSecondSignalSkipsTheOrder(t *testing.T) {
	r := launch(t, "procfile", "after ready-now", "db=$T worker db TERM:db-stops", "web=$T worker web TERM:stubborn")
	r.wantAnyOrder("db", "web")
	r.signal(unix.SIGTERM)
	r.want("stubborn")
	r.insist()
	if r.code != 0 {
		t.Errorf("exit status %d, want 0", r.code)
	}
}

// orderly is a supervisor of db, app after it and web after that, each with one worker
// that is ready; pids are 10, 20 and 30. What they are sent is written down.
func orderly(sent *[]string) *supervisor {
	s := &supervisor{c: &Config{Grace: 8 * time.Second}, begin: time.Now(), byPID: map[int]*worker{}}
	s.children.remain, s.children.asked = true, true
	s.sys.descendants = func() []int { return nil }
	s.sys.kill = func(pid int, sig unix.Signal) error {
		if sig != unix.SIGCONT {
			*sent = append(*sent, fmt.Sprintf("%d %s", pid, unix.SignalName(sig)))
		}
		return nil
	}
	for i, name := range []string{"db", "app", "web"} {
		typ := &processType{index: i, Type: Type{Name: name, Range: procfile.Range{Min: 1, Max: 1}, StopSignal: unix.SIGTERM}}
		if i > 0 {
			typ.After = []string{s.types[i-1].Name}
		}
		w := typ.add()
		w.pid, w.state = 10+10*i, ready
		s.types = append(s.types, typ)
		s.byPID[w.pid] = w
	}
	return s
}

func TestOrderIsOverAtHalfTheGrace(t *testing.T) {
	var sent []string
	s := orderly(&sent)
	s.end(0)
	s.finish(s.orderBy - 1)
	if want := []string{"30 SIGTERM"}; !slices.Equal(sent, want) {
		t.Fatalf("sent %q, want %q", sent, want)
	}
	if now := s.now(); now+s.sleep() > s.orderBy {
		t.Error("the loop sleeps past half of the grace")
	}
	s.finish(s.orderBy)
	if want := []string{"30 SIGTERM", "10 SIGTERM", "20 SIGTERM"}; !slices.Equal(sent, want) || s.inOrder {
		t.Errorf("sent %q, want %q", sent, want)
	}
	for _, typ := range s.types {
		if w := typ.slots[0]; w.state != stopping || w.until != s.endBy {
			t.Errorf("%s is %v until %v, want stopping until %v", w.name, w.state, w.until, s.endBy)
		}
	}
}

func TestOrderGoesByWayOfWhoHasEnded(t *testing.T) {
	var sent []string
	s := orderly(&sent)
	app := s.types[1].slots[0]
	delete(s.byPID, app.pid)
	app.pid, app.state = 0, finished
	s.end(0)
	if want := []string{"30 SIGTERM"}; !slices.Equal(sent, want) {
		t.Errorf("sent %q, want %q", sent, want)
	}
	if len(s.types[1].slots) > 0 {
		t.Error("a slot without a process is left")
	}
}

func TestSkippedGraceKillsWhoWaits(t *testing.T) {
	var sent []string
	s := orderly(&sent)
	s.c.Grace = time.Second
	s.end(0)
	s.skipGrace()
	s.finish(s.now())
	for _, want := range []string{"10 SIGKILL", "20 SIGKILL", "30 SIGKILL"} {
		if !slices.Contains(sent, want) {
			t.Errorf("sent %q, which lacks %s", sent, want)
		}
	}
	n := len(sent)
	s.finish(s.orderBy)
	if len(sent) > n {
		t.Errorf("sent %q after that", sent[n:])
	}
}

func TestComplete(t *testing.T) {
	type slot struct {
		state            state
		gaveUp, illEnded bool
	}
	for _, test := range []struct {
		name    string
		slots   []slot
		stopped bool
		want    bool
	}{
		{"one of two", []slot{{state: ready}, {state: starting}}, false, false},
		{"both", []slot{{state: ready}, {state: starting}, {state: ready}}, false, true},
		{"one has done its work", []slot{{state: ready}, {state: finished}}, false, true},
		{"one failed", []slot{{state: ready}, {state: finished, illEnded: true}}, false, false},
		{"one gave up", []slot{{state: ready}, {state: finished, gaveUp: true}}, false, false},
		{"none yet", nil, false, false},
		{"stopped by a user", nil, true, true},
	} {
		s := &supervisor{c: &Config{}}
		db := &processType{Type: Type{Name: "db", Range: procfile.Range{Min: 2, Max: 4}}, stopped: test.stopped}
		for _, from := range test.slots {
			w := db.add()
			w.state, w.gaveUp, w.illEnded = from.state, from.gaveUp, from.illEnded
		}
		web := &processType{Type: Type{Name: "web", After: []string{"db", "elsewhere"}}}
		s.types = []*processType{db, web}
		if got := s.complete(db); got != test.want {
			t.Errorf("%s: complete is %v", test.name, got)
		}
		s.hold(web)
		if held := len(web.held) > 0; held == test.want || web.begun != test.want {
			t.Errorf("%s: web waits for %q", test.name, web.held)
		}
		if !test.want {
			continue
		}
		db.stopped, db.slots = false, nil
		if s.hold(web); len(web.held) > 0 {
			t.Errorf("%s: web, which had begun, waits for %q again", test.name, web.held)
		}
	}
}

func init() {
	// Another environment, and one more type.
	options["more"] = func(c *Config) {
		c.Reload = func() (*Config, error) {
			next := *c
			next.Types = append(slices.Clone(c.Types), Type{Name: "more"})
			next.Env = append(slices.Clone(c.Env), "RELOADED=1")
			return &next, nil
		}
	}
}

// A reload leaves a release alone: it would be cut off, and run a second time.
func TestReloadWhileAReleaseRuns(t *testing.T) {
	r := launch(t, "procfile", "ready-now first more", "release=$T worker release USR1:migrated:0 TERM:cut-off:0", "web=$T worker web TERM:bye:0")
	r.want("release")
	r.signal(unix.SIGHUP)
	st := r.until(func(st *Status) bool { return len(st.Types) == 3 })
	if w := st.Workers[0]; w.State == "stopping" || w.PID == nil {
		t.Fatalf("the release is %s", w.State)
	}
	if err := unix.Kill(*st.Workers[0].PID, unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	r.want("migrated", "web")
	r.signal(unix.SIGTERM)
	r.want("bye")
	r.end(0)
}

// That a release is ready is not that it is done. One that a user runs once more, and
// that fails then, ends nobody.
func TestReleaseComesFirst(t *testing.T) {
	r := launch(t, "procfile", "ready-now first", "release=$T worker release USR1:migrated:0 USR2:failed:3", "web=$T worker web TERM:bye:0")
	r.want("release")
	st := r.until(func(st *Status) bool { return st.Workers[0].State == "ready" })
	if why := st.Types[1].BlockedReason; why == nil || *why != "web waits for release" {
		t.Errorf("%+v, want that it waits for release", st.Types[1])
	}
	if err := unix.Kill(*st.Workers[0].PID, unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	r.want("migrated", "web")
	if err := r.client().Restart(context.Background(), "release"); err != nil {
		t.Fatal(err)
	}
	r.want("release")
	st = r.until(func(st *Status) bool { return st.Workers[0].PID != nil })
	if err := unix.Kill(*st.Workers[0].PID, unix.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	r.want("failed")
	r.until(func(st *Status) bool { return st.Health == "failing: release.1 exited with status 3" })
	r.signal(unix.SIGTERM)
	r.want("bye")
	r.end(0)
}
