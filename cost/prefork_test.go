package cost

import (
	"os"
	"testing"
)

// What a master's workers share with it stays when they end, so each costs what
// is private to it, and the master what its own tree does.
func TestPreforkWorkers(t *testing.T) {
	m, w := NewMeter("/proc"), startWorker(t)
	w.do("anon 48")
	alone := exact(t, m, w)
	look := func(full, workers int) []Sample {
		t.Helper()
		all := m.Look([]Target{{PID: w.pid, Prefork: true}}, full, nil)
		if len(all) != 1+workers {
			t.Fatalf("%d samples, want the master's and %d", len(all), workers)
		}
		if all[0].PID != w.pid || all[0].Parent != 0 || all[0].Processes != 1 {
			t.Errorf("the master's sample: %+v", all[0])
		}
		for _, s := range all[1:] {
			if start, ok := Started("/proc", s.PID); !ok || start != s.Start || s.Parent != w.pid || s.Processes != 1 {
				t.Errorf("a worker's sample: %+v, started at %d", s, start)
			}
		}
		return all
	}
	look(0, 0)
	w.do("fork 2")
	for full := range 4 {
		for _, s := range look(full, 2)[1:] {
			near(t, "a worker that wrote nothing", s.Bytes, 0, 0)
		}
	}
	w.do("write 1")
	all := look(3, 2)
	near(t, "both", all[1].Bytes+all[2].Bytes, 0, 48)
	near(t, "one of them", max(all[1].Bytes, all[2].Bytes), 0, 48)

	// Without Prefork the same processes are one tree again.
	near(t, "tree", exact(t, m, w).Bytes, alone.Bytes, 48)

	w.do("end 0")
	look(0, 0) // zombies are no workers
}

func TestPreforkWorkersByTitle(t *testing.T) {
	m, w := NewMeter("/proc"), startWorker(t)
	w.do("fork 2")
	for title, want := range map[string]int{"": 3, "cost.test": 3, "no such title": 1} {
		if all := m.Look([]Target{{PID: w.pid, Prefork: true, Workers: title}}, 0, nil); len(all) != want {
			t.Errorf("with %q %d samples, want %d", title, len(all), want)
		}
		m = NewMeter("/proc")
	}
}

// A child that has become another program is no worker unless its title says so.
func TestPreforkLeavesOtherPrograms(t *testing.T) {
	m, w := NewMeter("/proc"), startWorker(t)
	if all := m.Look([]Target{{PID: os.Getpid(), Prefork: true}}, 0, nil); len(all) != 1 || all[0].Processes < 2 {
		t.Errorf("%+v", all)
	}
	all := m.Look([]Target{{PID: os.Getpid(), Prefork: true, Workers: "cost.test"}}, 0, nil)
	if len(all) != 2 || all[1].PID != w.pid {
		t.Errorf("%+v, want this process and its child %d", all, w.pid)
	}
}

func TestRunnableCountsPreforkWorkers(t *testing.T) {
	m, w := NewMeter("/proc"), startWorker(t)
	w.do("fork 2")
	w.do("spin 0")
	each, _, ok := m.Runnable([]Target{{PID: w.pid, Prefork: true}}, os.Getpid(), nil)
	if len(each) != 1 || each[0] < 1 || !ok {
		t.Errorf("%v, %v", each, ok)
	}
}

func TestStartedOfNobody(t *testing.T) {
	if start, ok := Started("/proc", 1<<30); ok {
		t.Errorf("started at %d", start)
	}
}
