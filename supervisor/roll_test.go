package supervisor

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/budget"
	"github.com/memsup/memsup/policy"
	"github.com/memsup/memsup/procfile"
)

func init() {
	options["start-first"] = func(c *Config) {
		c.each(func(t *Type) { t.StartFirst, t.Memory = true, 1<<20 })
	}
	options["three"] = func(c *Config) {
		c.each(func(t *Type) { t.Range = procfile.Range{Min: 3, Max: 3} })
	}
	options["pair"] = func(c *Config) { c.each(func(t *Type) { t.AtOnce = 2 }) }
	options["fit"] = func(c *Config) { c.each(func(t *Type) { t.AtOnce = procfile.MaxWorkers }) }
	// The next release prints new and is not ready for an hour.
	options["slow-release"] = release("$T worker new TERM:bye:0 USR1:dies:1", time.Hour)
	options["large-release"] = largeRelease
	// The next one ends at once.
	options["broken-release"] = release("exit 3", time.Hour)
}

// release is a Procfile that has changed when it is read again.
func release(command string, ready time.Duration) func(*Config) {
	return func(c *Config) {
		c.Reload = func() (*Config, error) {
			next := *c
			next.Types = slices.Clone(c.Types)
			next.Types[0].Command, next.Types[0].Ready = command, ready
			return &next, nil
		}
	}
}

// largeRelease is a next release of all types, not ready for an hour, one of which memory
// holds beside what runs, and not two.
func largeRelease(c *Config) {
	var room int64
	if b, err := budget.Open(); err == nil {
		m, _ := b.Read()
		room = m.Headroom - (&policy.Config{ReservePercent: c.ReservePercent}).ReserveFor(m.Limit)
	}
	c.Reload = func() (*Config, error) {
		next := *c
		next.Types = slices.Clone(c.Types)
		next.each(func(t *Type) { t.Command, t.Ready, t.Memory = "$T worker new TERM:bye:0", time.Hour, room/10*7 })
		return &next, nil
	}
}

// inOrder says whether the log has lines that hold these texts, one after the other.
func (r *running) inOrder(texts ...string) {
	r.t.Helper()
	rest := r.stderr.String()
	for _, text := range texts {
		_, after, found := strings.Cut(rest, text)
		if !found {
			r.t.Errorf("the log has no %q in its place", text)
			return
		}
		rest = after
	}
}

// awaitWorkers waits until status shows these, in whatever state, and no others.
func (r *running) awaitWorkers(names ...string) {
	r.t.Helper()
	r.rows(func(rows []Worker) bool {
		var got []string
		for _, w := range rows {
			got = append(got, w.Name)
		}
		slices.Sort(got)
		return slices.Equal(got, names)
	})
}

// awaitDecision waits until status shows one of that kind.
func (r *running) awaitDecision(action string) {
	r.t.Helper()
	r.until(func(st *Status) bool {
		return slices.ContainsFunc(st.Decisions, func(d Decision) bool { return d.Action == action })
	})
}

// A worker whose replacement fits beside it stops when that one is ready. It is no
// decision for memory: observing changes nothing.
func TestReplacementStartsFirst(t *testing.T) {
	for _, mode := range []string{"", " observe"} {
		r := launch(t, "procfile", "start-first ready-now two"+mode, "web=$T worker up TERM:bye:0")
		r.want("up", "up")
		if err := r.client().Restart(context.Background(), "web"); err != nil {
			t.Fatal(err)
		}
		r.wantAnyOrder("bye", "bye", "up", "up")
		r.awaitWorkers("web.1", "web.3")
		r.signal(unix.SIGTERM)
		r.end(0)
		r.inOrder(" replace web.1", "started: worker=web.3", "stopping: worker=web.1", "web.3 took its place",
			" replace web.2", "started: worker=web.1", "stopping: worker=web.2", "web.1 took its place")
		if strings.Contains(r.stderr.String(), "would replace") {
			t.Error("it says that it would do what it does")
		}
	}
}

// Where a limit does not hold one more, the old worker is stopped first, and only one.
func TestReplacementPassesNoLimit(t *testing.T) {
	for _, test := range []struct {
		options, target string
		restarts        int
	}{{"", "web.2", 1}, {" fit", "web", 3}} {
		r := launch(t, "procfile", "start-first ready-now limits three"+test.options, "web=$T worker up TERM:bye:0")
		r.want("up", "up", "up")
		r.restart(test.target)
		r.rows(func(rows []Worker) bool {
			restarts := 0
			for _, w := range rows {
				restarts += w.Restarts
			}
			if len(rows) > 3 {
				t.Fatalf("one more is to run beside the three: %+v", rows)
			}
			return restarts == test.restarts
		})
		r.wantAnyOrder(slices.Concat(slices.Repeat([]string{"bye"}, test.restarts), slices.Repeat([]string{"up"}, test.restarts))...)
		r.awaitWorkers("web.1", "web.2", "web.3")
		r.signal(unix.SIGTERM)
		r.end(0)
		r.inOrder("stopping: worker=web.2", "no limit holds one more", "started: worker=web.2")
	}
}

// A release that does not come up changes nothing: the old workers stay, and one that
// starts later is of the old release.
func TestRollBack(t *testing.T) {
	for _, order := range []string{"start-first", ""} {
		r := launch(t, "procfile", order+" ready-now two broken-release", "web=$T worker up TERM:bye:0 USR1:dies:1")
		r.want("up", "up")
		r.signal(unix.SIGHUP)
		if order == "" {
			r.want("bye", "up") // stopped first, and back again
		}
		r.awaitDecision("rollback")
		for _, w := range r.status().Workers {
			if w.Name == "web.2" {
				_ = unix.Kill(*w.PID, unix.SIGUSR1)
			}
		}
		r.want("dies", "up")
		r.awaitWorkers("web.1", "web.2")
		r.signal(unix.SIGTERM)
		r.end(0)
		r.inOrder("rolled back: web.", "exited with status 3 before it was ready", "what starts is what ran before")
	}
}

// A worker that ends by itself while its replacement starts leaves it its place.
func TestReplacedWorkerEnds(t *testing.T) {
	r := launch(t, "procfile", "start-first ready-now slow-release", "web=$T worker up USR1:dies:1")
	r.want("up")
	old := *r.status().Workers[0].PID
	r.signal(unix.SIGHUP)
	r.want("new")
	r.awaitWorkers("web.1", "web.2")
	_ = unix.Kill(old, unix.SIGUSR1)
	r.want("dies")
	r.awaitWorkers("web.2")
	// One more roll has nothing to wait for.
	if err := r.client().Scale(context.Background(), map[string]string{"web": "2"}); err != nil {
		t.Fatal(err)
	}
	r.want("new")
	r.awaitWorkers("web.1", "web.2")
}

// Fewer are wanted while one is replaced: the replacement goes, and the old one stays.
func TestScaleDownWhileReplacing(t *testing.T) {
	r := launch(t, "procfile", "start-first ready-now two slow-release", "web=$T worker up TERM:bye:0")
	r.want("up", "up")
	r.signal(unix.SIGHUP)
	r.want("new")
	r.awaitWorkers("web.1", "web.2", "web.3")
	if err := r.client().Scale(context.Background(), map[string]string{"web": "0"}); err != nil {
		t.Fatal(err)
	}
	r.wantAnyOrder("bye", "bye", "bye")
	r.awaitWorkers()
}

// promote has workers that wait for SIGUSR1 say that they are ready. No more than so
// many of the type run meanwhile.
func (r *running) promote(most int, names ...string) {
	r.t.Helper()
	sent := map[string]bool{}
	r.rows(func(rows []Worker) bool {
		if len(rows) > most {
			r.t.Fatalf("%d workers at once, and there may be %d: %+v", len(rows), most, rows)
		}
		n := 0
		for _, w := range rows {
			switch {
			case !slices.Contains(names, w.Name):
			case w.State == "ready":
				n++
			case w.State == "starting" && !sent[w.Name]:
				sent[w.Name] = true
				_ = unix.Kill(*w.PID, unix.SIGUSR1)
			}
		}
		return n == len(names)
	})
}

func (r *running) restart(target string) {
	r.t.Helper()
	if err := r.client().Restart(context.Background(), target); err != nil {
		r.t.Fatal(err)
	}
}

// As many workers are replaced at once as the type says, and the next goes when one of
// them is ready and its predecessor gone.
func TestReplacementsStartTogether(t *testing.T) {
	r := launch(t, "procfile", "start-first three pair notify", "web=$T notifier next READY=1")
	r.want("up", "up", "up")
	r.promote(3, "web.1", "web.2", "web.3")
	r.restart("web")
	r.want("up", "up")
	r.promote(5, "web.5")
	r.wantAnyOrder("terminated", "up")
	r.promote(5, "web.2", "web.4")
	r.want("terminated", "terminated")
	r.awaitWorkers("web.2", "web.4", "web.5")
	r.signal(unix.SIGTERM)
	r.end(0)
	r.inOrder(" replace web.1", " replace web.2", "web.5 took its place", " replace web.3")
}

// As many as fit are no more than a limit holds.
func TestReplacementsPassNoLimit(t *testing.T) {
	r := launch(t, "procfile", "start-first ready-now limits two fit", "web=$T worker up TERM:bye:0")
	r.want("up", "up")
	r.restart("web")
	r.wantAnyOrder("bye", "bye", "up", "up")
	r.rows(func(rows []Worker) bool { return len(rows) == 2 })
	r.signal(unix.SIGTERM)
	r.end(0)
	r.inOrder(" replace web.1", "web.3 took its place", "stopped: worker=web.1", " replace web.2", "web.1 took its place")
}

// Of two types memory holds one worker more, and not two: only one of them starts first.
// Others of a type whose first is being replaced wait for it.
func TestReplacementsShareMemory(t *testing.T) {
	r := launch(t, "procfile", "start-first ready-now two fit large-release", "web=$T worker up TERM:bye:0", "job=$T worker up TERM:bye:0")
	r.want("up", "up", "up", "up")
	r.signal(unix.SIGHUP)
	r.rows(func(rows []Worker) bool {
		restarts := map[string]int{}
		for _, w := range rows {
			restarts[w.Name] = w.Restarts
		}
		if _, both := restarts["job.3"]; both {
			t.Fatalf("more run than memory holds: %+v", rows)
		}
		_, begun := restarts["web.3"]
		return begun && restarts["job.1"] == 1
	})
	r.wantAnyOrder("bye", "new", "new")
	r.signal(unix.SIGTERM)
	r.wantAnyOrder("bye", "bye", "bye", "bye", "bye")
	r.end(0)
	r.inOrder(" replace web.1", "stopping: worker=job.1", "stopped first: headroom")
	if n := strings.Count(r.stderr.String(), "stopped first"); n != 1 {
		t.Errorf("%d were stopped first", n)
	}
}

// One of several that start together does not become ready: all go that are not, and the
// old ones stay.
func TestRollBackOfSeveral(t *testing.T) {
	r := launch(t, "procfile", "start-first ready-now three fit slow-release", "web=$T worker up TERM:bye:0")
	r.want("up", "up", "up")
	r.signal(unix.SIGHUP)
	r.want("new", "new", "new")
	r.kill(unix.SIGUSR1, "web.5")
	r.wantAnyOrder("bye", "bye", "dies")
	r.rows(func(rows []Worker) bool { return len(rows) == 3 })
	r.signal(unix.SIGTERM)
	r.end(0)
	r.inOrder("rolled back: web.5 exited with status 1 before it was ready; what starts is what ran before; kept: web.1, web.2, web.3",
		"stopping: worker=web.4", "stopping: worker=web.6")
}

// kill sends a signal to workers.
func (r *running) kill(sig unix.Signal, names ...string) {
	r.t.Helper()
	for _, w := range r.status().Workers {
		if slices.Contains(names, w.Name) && w.PID != nil {
			_ = unix.Kill(*w.PID, sig)
		}
	}
}

// grown waits until four workers of a type that may have as few as one are ready.
func (r *running) grown() {
	r.t.Helper()
	r.want("up", "up", "up", "up")
	r.rows(func(rows []Worker) bool {
		return len(rows) == 4 && !slices.ContainsFunc(rows, func(w Worker) bool { return w.State != "ready" })
	})
}

// Where the old ones stop first, no more do at once than leave the minimum serving.
func TestOldWorkersStopTogether(t *testing.T) {
	r := launch(t, "procfile", "ready-now to-four fit", "web=$T worker up TERM:bye USR1:ends:0")
	r.grown()
	r.restart("web")
	r.want("bye", "bye", "bye")
	r.kill(unix.SIGUSR1, "web.1", "web.2", "web.3")
	r.wantAnyOrder("bye", "ends", "ends", "ends", "up", "up", "up")
	r.kill(unix.SIGUSR1, "web.4")
	r.want("ends", "up")
	r.awaitWorkers("web.1", "web.2", "web.3", "web.4")
	r.signal(unix.SIGTERM)
	r.want("bye", "bye", "bye", "bye")
	r.insist() // they would go on
	r.end(0)
	r.inOrder("stopping: worker=web.1", "stopping: worker=web.2", "stopping: worker=web.3", "started: worker=", "stopping: worker=web.4")
}

// Those that took the place of others go back to what ran before, all that are not ready.
func TestRollBackInPlace(t *testing.T) {
	r := launch(t, "procfile", "ready-now to-four fit slow-release", "web=$T worker up TERM:bye:0")
	r.grown()
	r.signal(unix.SIGHUP)
	r.wantAnyOrder("bye", "bye", "bye", "new", "new", "new")
	pids := map[string]int{}
	for _, w := range r.status().Workers {
		pids[w.Name] = *w.PID
	}
	_ = unix.Kill(pids["web.2"], unix.SIGUSR1)
	r.awaitDecision("rollback")
	for _, w := range r.status().Workers {
		if w.Name != "web.4" && w.State != "stopping" && w.PID != nil && *w.PID == pids[w.Name] {
			t.Fatalf("%s goes on as it is", w.Name)
		}
	}
	r.wantAnyOrder("bye", "bye", "dies", "up", "up", "up")
	r.awaitWorkers("web.1", "web.2", "web.3", "web.4")
	r.signal(unix.SIGTERM)
	r.end(0)
	r.inOrder("rolled back: web.2 exited with status 1 before it was ready; what starts is what ran before; kept: web.4",
		"stopping: worker=web.1", "stopping: worker=web.3")
}
