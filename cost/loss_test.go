package cost

import "testing"

// The largest process that a worker lost is told once, without the main process,
// whoever looked in between.
func TestLost(t *testing.T) {
	m, w, other := NewMeter("/proc"), startWorker(t), startWorker(t)
	w.do("anon 16")
	w.do("fork 3")
	other.do("fork 1")
	targets := []Target{w.target(), other.target()}
	m.Look(targets, 0, nil)
	w.do("write 1")
	m.Look(targets, 2, nil)
	if lost := m.Lost(nil); len(lost) != 0 {
		t.Fatalf("lost %v before one ended", lost)
	}
	w.do("end 0")
	m.Runnable(targets, 1, nil)
	lost := m.Lost(nil)
	if len(lost) != 1 || lost[0].Target != w.pid || lost[0].PID == w.pid || m.table.find(lost[0].PID) == nil {
		t.Fatalf("lost %v of worker %d, a zombie of whose is there", lost, w.pid)
	}
	near(t, "the one that had pages of its own", lost[0].Bytes, 0, 16)
	m.Look(targets, 0, nil)
	w.do("reap 0")
	m.Look(targets, 0, nil)
	if lost := m.Lost(nil); len(lost) != 0 {
		t.Errorf("lost %v again", lost)
	}
	other.do("end 0")
	other.do("reap 0")
	m.Look(nil, 0, nil) // its worker may have ended with it
	if lost := m.Lost(nil); len(lost) != 1 || lost[0].Target != other.pid {
		t.Errorf("lost %v, want a process of %d", lost, other.pid)
	}
}
