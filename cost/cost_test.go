package cost

import (
	"os"
	"slices"
	"testing"
	"time"
)

const mib = 1 << 20

// near fails the test unless got is want MiB more than base. The slack is what
// a Go worker may need for itself meanwhile.
func near(t *testing.T, what string, got, base, want int64) {
	t.Helper()
	const slack = 6 * mib
	if d := got - base - want*mib; d < -slack || d > slack {
		t.Errorf("%s: %.1f MiB more than before, want %d", what, float64(got-base)/mib, want)
	}
}

// one looks at one worker, exactly or not.
func one(t *testing.T, m *Meter, w *worker, full int) Sample {
	t.Helper()
	s := m.Look([]Target{w.target()}, full, nil)[0]
	if s.PID != w.pid {
		t.Fatalf("sample of pid %d, want %d", s.PID, w.pid)
	}
	return s
}

// exact looks exactly, and skips the test where the kernel does not allow it.
func exact(t *testing.T, m *Meter, w *worker) Sample {
	t.Helper()
	s := one(t, m, w, 1)
	if !s.Exact {
		if _, err := os.ReadFile("/proc/self/smaps_rollup"); err != nil {
			t.Skip(err)
		}
		t.Fatal("not exact")
	}
	return s
}

func TestAnonymousMemoryShowsAtOnce(t *testing.T) {
	m, w := NewMeter("/proc"), startWorker(t)
	first := exact(t, m, w)
	w.do("anon 64")
	s := one(t, m, w, 0)
	near(t, "between", s.Bytes, first.Bytes, 64)
	if s.Exact {
		t.Error("exact without a full reading")
	}
	near(t, "exact", exact(t, m, w).Bytes, first.Bytes, 64)
	near(t, "RSS", s.RSS, first.RSS, 64)
}

func TestSharedMemoryShowsWhenExact(t *testing.T) {
	m, w := NewMeter("/proc"), startWorker(t)
	first := exact(t, m, w)
	w.do("shmem 32")
	near(t, "between", one(t, m, w, 0).Bytes, first.Bytes, 0)
	near(t, "exact", exact(t, m, w).Bytes, first.Bytes, 32)
	w.do("fork 2")
	near(t, "exact, of three", exact(t, m, w).Bytes, first.Bytes, 32)
}

func TestForkedPagesCountOnce(t *testing.T) {
	m, w := NewMeter("/proc"), startWorker(t)
	w.do("anon 48")
	first := exact(t, m, w)
	w.do("fork 4")
	s := one(t, m, w, 0)
	near(t, "between", s.Bytes, first.Bytes, 0)
	if s.RSS < first.RSS+4*48*mib {
		t.Errorf("RSS %d, one process's was %d", s.RSS, first.RSS)
	}
	if s.Processes != 5 {
		t.Errorf("%d processes, want 5", s.Processes)
	}
	s = exact(t, m, w)
	near(t, "exact", s.Bytes, first.Bytes, 0)
	if s.Processes != 5 {
		t.Errorf("%d processes, want 5", s.Processes)
	}
	w.do("write 1")
	near(t, "written by one", exact(t, m, w).Bytes, first.Bytes, 48)
	w.do("end 0")
	w.do("reap 0")
	s = exact(t, m, w)
	near(t, "ended", s.Bytes, first.Bytes, 0)
	if s.Processes != 1 {
		t.Errorf("%d processes, want 1", s.Processes)
	}
}

// A child that was never read exactly counts no page of its parent, also where
// the parent was not read exactly either.
func TestForkBeforeTheFirstExactLook(t *testing.T) {
	m, w := NewMeter("/proc"), startWorker(t)
	before := one(t, m, w, 0)
	w.do("anon 48")
	w.do("fork 3")
	near(t, "tree", one(t, m, w, 0).Bytes, before.Bytes, 48)
}

func TestZombiesHoldNothing(t *testing.T) {
	m, w := NewMeter("/proc"), startWorker(t)
	w.do("fork 3")
	w.do("end 0")
	if s := exact(t, m, w); s.Processes != 1 {
		t.Errorf("%d processes, want 1", s.Processes)
	}
	if all := Descendants("/proc", w.pid, nil); len(all) != 0 {
		t.Errorf("descendants %v", all)
	}
}

func TestTree(t *testing.T) {
	m, w := NewMeter("/proc"), startWorker(t)
	w.do("session 0")
	if s := one(t, m, w, 0); s.Processes != 2 {
		t.Errorf("with a child in its own session: %d processes, want 2", s.Processes)
	}
	w.do("orphan 0")
	if s := exact(t, m, w); s.Processes != 3 {
		t.Errorf("with an orphan of the group: %d processes, want 3", s.Processes)
	}
	other := startWorker(t)
	got := m.Look([]Target{other.target(), w.target()}, 0, nil)
	if got[0].Processes != 1 || got[1].Processes != 3 {
		t.Errorf("%d and %d processes, want 1 and 3", got[0].Processes, got[1].Processes)
	}
}

func TestCPU(t *testing.T) {
	m, w := NewMeter("/proc"), startWorker(t)
	first := one(t, m, w, 0)
	w.do("burn 200")
	if s := one(t, m, w, 0); s.CPU < 150*time.Millisecond || s.CPU < first.CPU {
		t.Errorf("%v after 200ms of work", s.CPU)
	}
}

func TestRecycledPID(t *testing.T) {
	m, w := NewMeter("/proc"), startWorker(t)
	start := m.startOf(t, w)
	for _, c := range []struct {
		start uint64
		want  int
	}{{0, 1}, {start, 1}, {start + 1, 0}} {
		s := m.Look([]Target{{PID: w.pid, Start: c.start}}, 1, nil)[0]
		if s.Processes != c.want {
			t.Errorf("start %d: %d processes, want %d", c.start, s.Processes, c.want)
		}
		if c.want == 0 && s != (Sample{PID: w.pid}) {
			t.Errorf("a stranger's sample: %+v", s)
		}
	}
}

func (m *Meter) startOf(t *testing.T, w *worker) uint64 {
	t.Helper()
	one(t, m, w, 0)
	return m.table.find(w.pid).start
}

func TestNoSuchWorker(t *testing.T) {
	m := NewMeter("/proc")
	targets := []Target{{PID: 0}, {PID: -1}, {PID: 1 << 30}}
	for i, s := range m.Look(targets, 3, nil) {
		if s != (Sample{PID: targets[i].PID}) {
			t.Errorf("%+v", s)
		}
	}
}

func TestExactReadingsTakeTurns(t *testing.T) {
	m := NewMeter("/proc")
	var targets []Target
	for range 3 {
		targets = append(targets, startWorker(t).target())
	}
	turns := func(n, full int) (turns [][]int) {
		for range n {
			var turn []int
			for i, s := range m.Look(targets, full, nil) {
				if s.Exact {
					turn = append(turn, i)
				}
			}
			turns = append(turns, turn)
		}
		return turns
	}
	want := [][]int{{0}, {1}, {2}, {0}, {1}}
	if got := turns(5, 1); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("one a look: %v, want %v", got, want)
	}
	late := startWorker(t)
	targets = append(targets, late.target())
	late.do("fork 1")
	want = [][]int{{3}, {2}}
	if got := turns(2, 1); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("with a late one: %v, want %v", got, want)
	}
	late.do("fork 1") // a new process does not make its tree the oldest
	want = [][]int{{0, 1}, {2, 3}}
	if got := turns(2, 2); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("two a look: %v, want %v", got, want)
	}
	want = [][]int{{0, 1, 2, 3}}
	if got := turns(1, 9); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("all in one look: %v, want %v", got, want)
	}
}

// What cannot be read for lack of descriptors is not taken for gone.
func TestUnreadableKeepsWhatWasKnown(t *testing.T) {
	m, w := NewMeter("/proc"), startWorker(t)
	want := exact(t, m, w)
	want.Exact = false
	m.table.fs.root = "/proc/nowhere"
	if got := one(t, m, w, 1); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestDescendants(t *testing.T) {
	w := startWorker(t)
	w.do("fork 2")
	w.do("session 0")
	children := Descendants("/proc", w.pid, nil)
	if len(children) != 3 || slices.Contains(children, w.pid) {
		t.Errorf("of the worker %d: %v", w.pid, children)
	}
	all := Descendants("/proc", os.Getpid(), nil)
	if !slices.Contains(all, w.pid) || !slices.Contains(all, children[0]) || slices.Contains(all, os.Getpid()) {
		t.Errorf("of this process %d: %v", os.Getpid(), all)
	}
	w.do("end 0")
	w.do("reap 0")
	if left := Descendants("/proc", w.pid, nil); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestLookDoesNotAllocate(t *testing.T) {
	m := NewMeter("/proc")
	var targets []Target
	for range 3 {
		w := startWorker(t)
		w.do("fork 5")
		targets = append(targets, w.target())
	}
	out := m.Look(targets, 3, nil)
	if n := testing.AllocsPerRun(20, func() { out = m.Look(targets, 0, out[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLook(b *testing.B) {
	m := NewMeter("/proc")
	var targets []Target
	for range 20 {
		w := startWorker(b)
		w.do("fork 9")
		targets = append(targets, w.target())
	}
	for _, c := range []struct {
		name string
		full int
	}{{"200Processes", 0}, {"200ProcessesOneExact", 1}} {
		b.Run(c.name, func(b *testing.B) {
			var out []Sample
			b.ReportAllocs()
			for b.Loop() {
				out = m.Look(targets, c.full, out[:0])
			}
		})
	}
}
