package supervisor

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/procfile"
)

func init() {
	options["start-first"] = func(c *Config) {
		c.each(func(t *Type) { t.StartFirst, t.Memory = true, 1<<20 })
	}
	options["three"] = func(c *Config) {
		c.each(func(t *Type) { t.Range = procfile.Range{Min: 3, Max: 3} })
	}
	// The next release prints new and is not ready for an hour.
	options["slow-release"] = release("$T worker new TERM:bye:0", time.Hour)
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

// Where a limit does not hold one more, the old worker is stopped first.
func TestReplacementPassesNoLimit(t *testing.T) {
	r := launch(t, "procfile", "start-first ready-now limits three", "web=$T worker up TERM:bye:0")
	r.want("up", "up", "up")
	if err := r.client().Restart(context.Background(), "web.2"); err != nil {
		t.Fatal(err)
	}
	r.want("bye", "up")
	r.awaitWorkers("web.1", "web.2", "web.3")
	r.signal(unix.SIGTERM)
	r.end(0)
	r.inOrder("stopping: worker=web.2", "no limit holds one more", "started: worker=web.2")
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
