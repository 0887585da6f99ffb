package supervisor

import (
	"runtime"
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
}

type question struct {
	targets []cost.Target
	full    int
	samples []cost.Sample
}

type answer struct {
	samples []cost.Sample
	at      time.Time
}

func newMeter() *meter {
	m := &meter{ask: make(chan question), out: make(chan answer, 1)}
	go func() {
		runtime.LockOSThread()
		c := cost.NewMeter("/proc")
		for q := range m.ask {
			samples := c.Look(q.targets, q.full, q.samples[:0])
			m.out <- answer{samples, time.Now()}
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
