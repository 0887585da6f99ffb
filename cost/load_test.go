package cost

import (
	"fmt"
	"os"
	"slices"
	"testing"
)

func TestRunnable(t *testing.T) {
	p := newProc(t)
	p.replace(8138, "stat", ") S", ") D")
	p.replace(8142, "stat", ") S", ") R")
	p.replace(8136, "stat", " 20 0 1 0 170290 ", " 20 0 3 0 170290 ") // three threads
	for tid, state := range map[int]string{8136: "S", 8139: "R", 8143: "R"} {
		text := fmt.Sprintf("%d (python3) %s 8095 8136 8821 0 -1 4194368 6361 209 0 0 3 0 0 0 20 0 3 0 170290 0 0", tid, state)
		dir := p.path(8136, fmt.Sprintf("task/%d", tid))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/stat", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(p.path(8136, "task/8144"), 0o755); err != nil { // a thread that has ended
		t.Fatal(err)
	}
	m := NewMeter(p.root)
	for _, c := range []struct {
		name    string
		targets []Target
		self    int
		each    []int
		all     int
	}{
		{"a tree below memsup", []Target{{PID: master}}, 8095, []int{4}, 4},
		{"memsup is PID 1", []Target{{PID: master}}, 1, []int{4}, 5},
		{"no worker, and a descendant", nil, 8138, nil, 1},
		{"a worker that is gone", []Target{{PID: 1 << 30}, {PID: 8140}}, 8142, []int{0, 0}, 0},
	} {
		each, all, ok := m.Runnable(c.targets, c.self, nil)
		if !slices.Equal(each, c.each) || all != c.all || !ok {
			t.Errorf("%s: %d, all %d, %v, want %d, all %d", c.name, each, all, ok, c.each, c.all)
		}
	}
	if _, _, ok := NewMeter("testdata/nowhere").Runnable(nil, 1, nil); ok {
		t.Error("counted without a file system")
	}
}

// A thread that never waits is counted on a real kernel, at one of a few looks:
// it may go from one thread to another while these are read.
func TestRunnableOfARealProcess(t *testing.T) {
	m, w := NewMeter("/proc"), startWorker(t)
	w.do("spin 0")
	for range 100 {
		if each, all, ok := m.Runnable([]Target{w.target()}, os.Getpid(), nil); ok && each[0] > 0 && all >= each[0] {
			return
		}
	}
	t.Error("a process that spins was never counted")
}
