package pressure

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These tests give the package ordinary files and pipes; kernel_test.go gives it
// the kernel's.

const quietPSI = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"

// TestLadder is what is said of places that offer little. An ordinary file
// cannot be polled (EPERM): memory.events is then heard by inotify.
func TestLadder(t *testing.T) {
	for _, x := range []struct {
		name   string
		files  map[string]string
		v1     bool
		missed string
	}{
		{
			"nothing", nil, false,
			"PSI trigger: DIR/memory.pressure: no such file or directory\n" +
				"memory.events: DIR/memory.events: no such file or directory",
		},
		{
			"no PSI",
			map[string]string{"memory.events": "low 0\n", "cgroup.events": ""},
			false,
			"PSI trigger: DIR/memory.pressure: no such file or directory",
		},
		{
			"the root cgroup",
			map[string]string{"memory.pressure": quietPSI},
			false,
			"PSI trigger: DIR/memory.pressure: it is the root cgroup's, and so the host's\n" +
				"memory.events: DIR/memory.events: no such file or directory",
		},
		{
			"another text",
			map[string]string{"memory.pressure": "gone fishing\n", "cgroup.events": ""},
			false,
			"PSI trigger: DIR/memory.pressure: its text is not that of a pressure file\n" +
				"memory.events: DIR/memory.events: no such file or directory",
		},
		{
			"files that are no kernel's",
			map[string]string{"memory.pressure": quietPSI, "memory.events": "low 0\n"},
			false,
			"PSI trigger: DIR/memory.pressure: operation not permitted",
		},
		{
			"v1 without control",
			map[string]string{"memory.oom_control": "", "memory.pressure_level": ""},
			true,
			"PSI trigger: DIR/memory.pressure: cgroup v1 has no pressure and no events of its own\n" +
				"cgroup.event_control: DIR/cgroup.event_control: no such file or directory",
		},
		{
			"v1 without files",
			map[string]string{"cgroup.event_control": ""},
			true,
			"PSI trigger: DIR/memory.pressure: cgroup v1 has no pressure and no events of its own\n" +
				"cgroup.event_control: DIR/memory.oom_control: no such file or directory\n" +
				"cgroup.event_control: DIR/memory.pressure_level: no such file or directory",
		},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range x.files {
				writeFile(t, filepath.Join(dir, name), text)
			}
			before := openFiles(t)
			w := Open(Place{Dir: dir, V1: x.v1})
			want := "polling"
			if x.files["memory.events"] != "" {
				want = "memory.events"
			}
			if got := w.Rung(); got != want {
				t.Errorf("rung %q, want %q", got, want)
			}
			if got := strings.ReplaceAll(lines(w), dir, "DIR"); got != x.missed {
				t.Errorf("missed:\n%s\nwant:\n%s", got, x.missed)
			}
			if err := errors.Join(w.Close(), w.Close()); err != nil {
				t.Error(err)
			}
			if after := openFiles(t); after != before {
				t.Errorf("%d files open, %d before", after, before)
			}
		})
	}
}

func TestNoCgroup(t *testing.T) {
	w := Open(Place{})
	defer w.Close()
	if got, want := w.Rung()+": "+lines(w), "polling: any: there is no memory cgroup here, only the host"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if _, _, ok := w.PSI(); ok {
		t.Error("the host's PSI was taken for a container's")
	}
}

// TestReadOnlyPSI: pressure that may be read is read, though nothing triggers.
func TestReadOnlyPSI(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "cgroup.events"), "populated 1\n")
	writeFile(t, filepath.Join(dir, "memory.pressure"), strings.ReplaceAll(quietPSI, "total=0", "total=1500000"))
	w := Open(Place{Dir: dir})
	defer w.Close()
	if some, full, ok := w.PSI(); some != 1500*time.Millisecond || full != some || !ok {
		t.Error(some, full, ok)
	}
}

// TestEventControl is cgroup v1 with a pipe as cgroup.event_control: what
// would be told to the kernel tells this test where to write.
func TestEventControl(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "memory.oom_control"), "oom_kill_disable 0\n")
	writeFile(t, filepath.Join(dir, "memory.pressure_level"), "")
	if err := unix.Mkfifo(filepath.Join(dir, "cgroup.event_control"), 0o600); err != nil {
		t.Fatal(err)
	}
	control, err := os.OpenFile(filepath.Join(dir, "cgroup.event_control"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	before := openFiles(t)
	w := Open(Place{Dir: dir, V1: true})
	defer w.Close()
	if got := w.Rung(); got != "cgroup.event_control" {
		t.Fatalf("rung %q, missed %s", got, lines(w))
	}
	buf := make([]byte, 200)
	n, err := control.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	var oom, level, file int
	said := strings.Split(string(buf[:n]), "\x00")
	if _, err := fmt.Sscanf(said[0], "%d %d", &oom, &file); err != nil {
		t.Fatalf("%q: %v", said, err)
	}
	if _, err := fmt.Sscanf(said[1], "%d %d medium", &level, &file); err != nil {
		t.Fatalf("%q: %v", said, err)
	}
	start := time.Now()
	signal(t, oom)
	if k := <-w.Wakes(); k.Source != OOM || k.At.Before(start) || time.Now().Before(k.At) {
		t.Errorf("%v", k)
	}
	signal(t, level)
	if k := <-w.Wakes(); k.Source != Level {
		t.Errorf("%v", k)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d files open, %d before", after, before)
	}
}

// TestVanished: when one file cannot be read any more, all are let go, and
// that is told once.
func TestVanished(t *testing.T) {
	before := openFiles(t)
	w, heard := eventWatcher(t, OOM, Level)
	r, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	err = unix.Dup3(int(r.Fd()), heard[0].file, unix.O_CLOEXEC) // a pipe has no start to read from
	w.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	pipe.Close()
	signal(t, heard[0].fd)
	if k := <-w.Wakes(); k.Source != Gone {
		t.Errorf("%v", k)
	}
	if got := w.Rung(); got != Polling {
		t.Errorf("rung %q", got)
	}
	if got, want := lines(w), strings.Repeat("cgroup.event_control: "+heard[0].path+": it has vanished\n", 2); got+"\n" != want {
		t.Errorf("missed %q, want %q", got, want)
	}
	w.Close()
	if after := openFiles(t); after != before {
		t.Errorf("%d files open, %d before", after, before)
	}
}

// TestMerge: what was not taken is merged, and is as old as its first part.
func TestMerge(t *testing.T) {
	w := &Watcher{wakes: make(chan Wake, 1)}
	first := time.Now()
	w.tell(Wake{At: first, Source: Events})
	w.tell(Wake{At: first.Add(time.Second), Source: Stall})
	w.tell(Wake{At: first.Add(2 * time.Second), Source: Events})
	if k := <-w.Wakes(); k.Source != Events|Stall || !k.At.Equal(first) {
		t.Errorf("%v", k)
	}
	w.tell(Wake{At: first.Add(3 * time.Second), Source: Gone})
	if k := <-w.Wakes(); k.Source != Gone || !k.At.Equal(first.Add(3*time.Second)) {
		t.Errorf("%v", k)
	}
}

func TestSourceString(t *testing.T) {
	if got, want := (Events | Stall | Gone).String(), "memory.events+PSI trigger+gone"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Source(0).String(); got != "" {
		t.Errorf("%q", got)
	}
}

// TestTurnAllocatesNothing: a notification costs the garbage collector nothing.
func TestTurnAllocatesNothing(t *testing.T) {
	w, heard := eventWatcher(t, OOM)
	if n := testing.AllocsPerRun(100, func() {
		signal(t, heard[0].fd)
		if k := <-w.Wakes(); k.Source != OOM {
			t.Fatal(k)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkWake is one notification, from the eventfd to the channel.
func BenchmarkWake(b *testing.B) {
	w, heard := eventWatcher(b, OOM)
	for b.Loop() {
		signal(b, heard[0].fd)
		<-w.Wakes()
	}
}

// eventWatcher is a Watcher of eventfds that nobody but the test signals.
func eventWatcher(t testing.TB, sources ...Source) (*Watcher, []*heard) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := &Watcher{wakes: make(chan Wake, 1), psi: -1}
	t.Cleanup(func() { w.Close() })
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, source := range sources {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			t.Fatal(err)
		}
		file, err := open(path, unix.O_RDONLY)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.hear(&heard{source: source, rung: rungControl, path: path, fd: fd, file: file}, unix.EPOLLIN); err != nil {
			t.Fatal(err)
		}
	}
	return w, append([]*heard(nil), w.heard...)
}

var one = binary.NativeEndian.AppendUint64(nil, 1)

func signal(t testing.TB, eventfd int) {
	if _, err := unix.Write(eventfd, one); err != nil {
		t.Fatal(err)
	}
}

func lines(w *Watcher) string {
	var all []string
	for _, m := range w.Missed() {
		all = append(all, m.String())
	}
	return strings.Join(all, "\n")
}

func openFiles(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// A memory.events that is a plain file is heard by inotify.
func TestFileThatCannotBePolled(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "memory.events")
	if err := os.WriteFile(path, []byte("max 0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	w := Open(Place{Dir: dir})
	defer w.Close()
	if got := w.Rung(); got != "memory.events" {
		t.Fatalf("rung %q, missed %v", got, w.Missed())
	}
	if err := os.WriteFile(path, []byte("max 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if wake := <-w.Wakes(); wake.Source != Events {
		t.Errorf("woken by %v", wake.Source)
	}
}
