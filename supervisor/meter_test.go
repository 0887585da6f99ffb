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

// Who asks for the status has the workers measured first, if that is not long ago.
func TestStatusIsMeasured(t *testing.T) {
	p := newOOMPlace(t, newFamily(t, 1))
	p.sys.memory = nil // nobody asks how much there is
	p.meter.last = -time.Hour
	first := p.answer(request{status: true})
	if first.measured == nil || first.status != nil {
		t.Fatalf("answered %+v before the workers were measured", first)
	}
	if second := p.answer(request{status: true}); second.measured != first.measured {
		t.Error("another client does not wait for the same")
	}
	if impatient := p.answer(request{status: true, again: true}); impatient.status == nil || impatient.status.Workers[0].Memory != nil {
		t.Errorf("who waits no more is answered %+v", impatient.status)
	}
	p.sampled(<-p.meter.results())
	<-first.measured
	if again := p.answer(request{status: true}); again.status == nil || again.status.Workers[0].Memory == nil {
		t.Errorf("answered %+v when the workers were measured", again.status)
	}
}
