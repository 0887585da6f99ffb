package pressure

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// statText is memory.stat as Linux 6.1 shows it, shortened.
const statText = `anon 74801152
file 6295552
kernel 1449984
shmem 2097152
file_mapped 12288
file_dirty 0
inactive_anon 76849152
active_anon 45056
inactive_file %d
active_file 4096
unevictable 0
slab_reclaimable 299656
workingset_refault_file 0
`

func TestFilePages(t *testing.T) {
	for _, x := range []struct {
		text string
		want int64
	}{
		{fmt.Sprintf(statText, 4194304), 4198400},
		{"", 0},
		{"inactive_file\nactive_file x\ntotal_inactive_file 9\n", 0},
	} {
		if got := filePages([]byte(x.text)); got != x.want {
			t.Errorf("%q: %d, want %d", x.text, got, x.want)
		}
	}
}

func TestTripwireSize(t *testing.T) {
	const mib = 1 << 20
	for limit, want := range map[int64]int64{
		0: mib, 32 * mib: mib, 127 * mib: 3 * mib, 128 * mib: 4 * mib, 256 * mib: 8 * mib, 1 << 62: 8 * mib,
	} {
		if got := TripwireSize(limit); got != want {
			t.Errorf("%d: %d, want %d", limit, got, want)
		}
	}
}

// onDisk is a directory on a file system whose pages can be reclaimed.
func onDisk(t *testing.T) string {
	t.Helper()
	for _, dir := range []string{os.TempDir(), "/var/tmp", "."} {
		if file, err := unnamedIn(dir); err == nil {
			file.Close()
			return dir
		}
	}
	t.Skip("no directory on a disk can be written")
	return ""
}

// statOf makes a cgroup whose memory.stat tells of so many bytes of file pages.
func statOf(t *testing.T, dir string, inactive int64) {
	t.Helper()
	writeFile(t, filepath.Join(dir, "memory.stat"), fmt.Sprintf(statText, inactive))
}

// settle waits until the goroutine has ended.
func settle(t *testing.T, w *Tripwire) {
	t.Helper()
	if !w.busy {
		t.Fatal("nothing is under way")
	}
	w.take(<-w.done)
}

// TestTripwire is the life of a wire: it is set, proven late, tripped, and set
// again, not before its time nor where there is no room.
func TestTripwire(t *testing.T) {
	const size, s = 1 << 20, time.Second
	dir, group := onDisk(t), t.TempDir()
	statOf(t, group, 0)
	w := NewTripwire(Place{Dir: group}, size, dir)
	defer w.Close()

	if err := w.Look(0, size-1); err != nil || w.busy {
		t.Fatalf("without room: %v, busy %t", err, w.busy)
	}
	if err := w.Look(0, size); err != nil {
		t.Fatal(err)
	}
	if err := w.Look(9*s, size); err != nil { // while it is at work, or has just ended
		t.Fatal(err)
	}
	for w.busy {
		settle(t, w)
	}
	if !w.wire.loaded || !w.wire.whole() {
		t.Skip("this file system does not keep its pages in the page cache")
	}
	if w.Set() {
		t.Fatal("proven by a memory.stat that stood still")
	}
	statOf(t, group, size)
	_ = w.Look(20*s, size)
	settle(t, w)
	if !w.Set() {
		t.Fatal("not proven by a memory.stat that has grown")
	}

	_ = w.Look(30*s, size)
	if w.busy {
		t.Error("it is set anew though it is whole")
	}
	trip(t, w)
	_ = w.Look(30*s+seldom-1, size)
	if w.busy {
		t.Error("it is set anew too soon")
	}
	_ = w.Look(36*s, 0)
	if w.busy {
		t.Error("it is set anew while memory is short")
	}
	_ = w.Look(36*s, size)
	settle(t, w)
	if !w.Set() || !w.wire.whole() {
		t.Error("it was not set anew")
	}
	if in, err := TripwireIn("/nowhere", dir); in != dir || err != nil {
		t.Error(in, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".memsup-*")); len(left) > 0 {
		t.Error("left behind:", left)
	}
}

// trip has the kernel take the pages.
func trip(t *testing.T, w *Tripwire) {
	t.Helper()
	if err := unix.Fadvise(int(w.wire.file.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	if w.wire.whole() {
		t.Skip("this file system keeps its pages")
	}
}

// TestTripwireUnproven: what is not charged to the container is let go.
func TestTripwireUnproven(t *testing.T) {
	dir, group := onDisk(t), t.TempDir()
	statOf(t, group, 7<<20)
	w := NewTripwire(Place{Dir: group}, 1<<20, dir)
	for n := range mostProofs {
		if err := w.Look(time.Duration(n)*seldom, 1<<20); err != nil {
			t.Fatalf("look %d: %v", n, err)
		}
		settle(t, w)
	}
	err := w.Look(time.Hour, 1<<20)
	if want := "are not charged here: 0 bytes of 1048576"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	if w.Set() || w.wire.file != nil || w.wire.pages != nil {
		t.Error("it was not let go")
	}
	if again := w.Look(2*time.Hour, 1<<20); again != err {
		t.Error(again)
	}
}

// TestTripwireNowhere: where no file can be had, the reasons are told and
// nothing else happens.
func TestTripwireNowhere(t *testing.T) {
	group := t.TempDir()
	w := NewTripwire(Place{Dir: group}, 1<<20, "/nowhere", "/dev/null", "/proc/self", "/dev/shm")
	_ = w.Look(0, 1<<20)
	settle(t, w)
	err := w.Look(time.Hour, 1<<20)
	if err == nil || !strings.Contains(err.Error(), "statfs /nowhere: no such file or directory") || w.busy || w.Set() {
		t.Errorf("%v, busy %t, set %t", err, w.busy, w.Set())
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}

	w = NewTripwire(Place{Dir: group}, 1<<20, onDisk(t)) // there is no memory.stat
	_ = w.Look(0, 1<<20)
	settle(t, w)
	if err := w.Look(0, 1<<20); !os.IsNotExist(err) {
		t.Error(err)
	}
	w.Close()
}

// TestUnlinked: without O_TMPFILE the file has a name for a moment.
func TestUnlinked(t *testing.T) {
	dir := t.TempDir()
	file, err := unlinkedIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 || file.Name() != dir {
		t.Errorf("%v left, %v, named %s", left, err, file.Name())
	}
	if _, err := file.WriteAt([]byte("x"), 0); err != nil {
		t.Error(err)
	}
	if _, err := unlinkedIn(dir + "/nowhere"); !os.IsNotExist(err) {
		t.Error(err)
	}
}
