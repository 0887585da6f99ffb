package supervisor

import (
	"testing"
	"time"

	"github.com/memsup/memsup/cost"
)

// The first sample tells how much CPU a worker took since its start, each other one since
// the one before.
func TestCPUOfSamples(t *testing.T) {
	s := &supervisor{c: &Config{}, begin: time.Now(), byPID: map[int]*worker{}, meter: &meter{}}
	w := (&processType{}).add()
	w.pid, w.since, w.state = 7, time.Second, ready
	s.byPID[7] = w
	for _, c := range []struct {
		at, cpu time.Duration
		want    int64
	}{{5 * time.Second, 2 * time.Second, 500}, {6 * time.Second, 2*time.Second + 250*time.Millisecond, 250}, {7 * time.Second, 2 * time.Second, 0}} {
		s.sampled(answer{at: s.begin.Add(c.at), samples: []cost.Sample{{PID: 7, Processes: 1, Bytes: 1, CPU: c.cpu}}})
		if w.cpu != c.want {
			t.Errorf("at %s: %d thousandths, want %d", c.at, w.cpu, c.want)
		}
	}
}
