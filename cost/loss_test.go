package cost

import (
	"os"
	"path/filepath"
	"testing"
)

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

// One that is being killed gives its memory back before it is a zombie: what it had
// before that is what was lost.
func TestLostEnding(t *testing.T) {
	f := fakeProc{t, t.TempDir()}
	m, targets := NewMeter(f.root), []Target{{PID: 1}}
	f.process(1, 0, 1, 1)
	f.process(2, 1, 100, 100)
	m.Look(targets, 1, nil)
	f.process(2, 1, 0, 0)
	for range 2 {
		if s := m.Look(targets, 0, nil)[0]; s.Bytes != mib || s.Processes != 1 {
			t.Errorf("%d bytes in %d processes, one of which has none any more", s.Bytes, s.Processes)
		}
	}
	if err := os.RemoveAll(filepath.Join(f.root, "2")); err != nil {
		t.Fatal(err)
	}
	m.Look(targets, 0, nil)
	if lost := m.Lost(nil); len(lost) != 1 || lost[0] != (Loss{1, 2, 100 * mib}) {
		t.Errorf("lost %v, want the 100 MiB that process 2 had", lost)
	}
}
