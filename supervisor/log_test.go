package supervisor

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/memsup/memsup/budget"
)

// A goroutine that outlives the loop may still log, which must not end PID 1.
func TestLogAfterTheEnd(t *testing.T) {
	l := newLogger(&Config{LogLevel: "error"})
	l.error("before the end")
	l.close()
	l.error("after the end")
	if len(l.queue) != 0 {
		t.Error("a line was queued that nobody writes")
	}
}

// said collects what a supervisor logs.
type said struct{ strings.Builder }

func listenTo(s *supervisor) *said {
	to := &said{}
	s.log = &logger{Logger: newHclog(to, hclog.Info, false)}
	return to
}

func (s *said) lines() (n int) { return strings.Count(s.String(), "\n") }

// A limit that alternates does not fill the log, and its last state is told.
func TestLimitThatAlternates(t *testing.T) {
	s := &supervisor{c: &Config{}}
	log := listenTo(s)
	limit, now := int64(64<<20), time.Duration(0)
	s.sys.memory = func() (budget.Memory, error) { return budget.Memory{Limit: limit, Limited: true}, nil }
	look := func(next int64, after time.Duration) {
		limit, now = next, now+after
		if !s.look(now) {
			t.Fatal("it cannot look")
		}
	}
	look(64<<20, 0)
	if log.lines() != 0 {
		t.Errorf("the first limit is no change:\n%s", log)
	}
	look(128<<20, time.Millisecond)
	if !strings.Contains(log.String(), `from="64.0 MiB" to="128.0 MiB"`) {
		t.Errorf("a change is told at once:\n%s", log)
	}
	for range 10 {
		look(64<<20, 50*time.Millisecond)
		look(128<<20, 50*time.Millisecond)
	}
	look(32<<20, 50*time.Millisecond)
	if log.lines() != 1 {
		t.Errorf("%d lines in a second:\n%s", log.lines(), log)
	}
	look(32<<20, quiet)
	look(32<<20, quiet)
	if log.lines() != 2 || !strings.Contains(log.String(), `from="128.0 MiB" to="32.0 MiB"`) {
		t.Errorf("the last state is not told, once:\n%s", log)
	}
}

// Nor does an error that has other words each time.
func TestErrorThatAlternates(t *testing.T) {
	s := &supervisor{c: &Config{}, begin: time.Now()}
	log := listenTo(s)
	for i := range 10 {
		s.once("memory", "cannot read", "error", i)
	}
	s.once("cpu", "cannot read", "error", 10)
	s.begin = s.begin.Add(-quiet)
	for range 10 {
		s.once("memory", "cannot read", "error", 11)
	}
	if log.lines() != 3 || !strings.Contains(log.String(), "error=0") || !strings.Contains(log.String(), "error=11") {
		t.Errorf("said\n%s", log)
	}
}
