package cost

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// fakeProc is a proc file system of plain files.
type fakeProc struct {
	t    *testing.T
	root string
}

// process writes a process with so many MiB resident and, by its smaps_rollup, its own.
func (f fakeProc) process(pid, ppid, resident, own int) {
	f.t.Helper()
	dir := filepath.Join(f.root, fmt.Sprint(pid))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		f.t.Fatal(err)
	}
	pages := int64(resident) * mib / pageSize
	for name, text := range map[string]string{
		"stat":  fmt.Sprintf("%d (x) S %d 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0", pid, ppid),
		"statm": fmt.Sprintf("100000 %d 0 1 0 500 0\n", pages),
		"smaps_rollup": fmt.Sprintf("5500-7ffd00 ---p 00000000 00:00 0 [rollup]\nRss: %d kB\nPss: %d kB\nPss_Anon: %[2]d kB\n"+
			"Pss_Shmem: 0 kB\nAnonymous: %[1]d kB\nSwapPss: 0 kB\n", resident<<10, own<<10),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			f.t.Fatal(err)
		}
	}
}

// A child in its parent's memory is no memory, until it executes a program.
func TestVfork(t *testing.T) {
	f := fakeProc{t, t.TempDir()}
	m := NewMeter(f.root)
	want := func(name string, full int, want int64) {
		t.Helper()
		if s := m.Look([]Target{{PID: 1}}, full, nil)[0]; s.Bytes != want*mib {
			t.Errorf("%s: %d MiB, want %d", name, s.Bytes/mib, want)
		}
	}
	f.process(1, 0, 600, 600)
	f.process(2, 1, 600, 600)
	want("measured", 1, 600)
	f.process(1, 0, 620, 620)
	f.process(2, 1, 620, 620)
	want("both grow", 0, 620)
	want("and are measured again", 1, 620)
	f.process(2, 1, 5, 5)
	want("it executed a program", 1, 625)
	// A fork that wrote all is no such child: its text differs. Nor is one that shares
	// all, to the letter: each has half of it.
	f.process(3, 1, 620, 619)
	want("a fork that wrote", 1, 625+619)
	f.process(1, 0, 620, 310)
	f.process(3, 1, 620, 310)
	want("a fork that shares", 1, 625)
}
