package cost

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const master = 8136 // of testdata/prefork

func TestCapturedTree(t *testing.T) {
	m := NewMeter("testdata/prefork")
	got := m.Look([]Target{{PID: master, Start: 170290}}, 1, nil)
	want := Sample{
		PID:       master,
		Bytes:     (5009 + 4096 + 13267 + 4983 + 5097 + 5073) << 10,
		Peak:      42501120,
		RSS:       (7589 + 8770 + 6529 + 6721 + 6721) * pageSize,
		CPU:       (3 + 21) * tick,
		Processes: 5,
		Exact:     true,
	}
	if len(got) != 1 || got[0] != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestCapturedDescendants(t *testing.T) {
	for _, c := range []struct {
		self int
		want []int
	}{
		{8095, []int{8136, 8137, 8138, 8142}},
		{8136, []int{8137, 8138, 8142}},
		{8142, nil},
		{1, []int{8095, 8136, 8137, 8138, 8140, 8142}},
	} {
		if got := Descendants("testdata/prefork", c.self, nil); !slices.Equal(got, c.want) {
			t.Errorf("of %d: %v, want %v", c.self, got, c.want)
		}
	}
	if got := Descendants("testdata/nowhere", 1, []int{7}); !slices.Equal(got, []int{7}) {
		t.Errorf("without a file system: %v", got)
	}
}

// A proc is a copy of the captured tree that a test may change.
type proc struct {
	t    *testing.T
	root string
}

func newProc(t *testing.T) proc {
	t.Helper()
	p := proc{t, t.TempDir()}
	if err := os.CopyFS(p.root, os.DirFS("testdata/prefork")); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p proc) path(pid int, file string) string {
	return filepath.Join(p.root, fmt.Sprint(pid), file)
}

func (p proc) remove(pid int, file string) {
	p.t.Helper()
	if err := os.RemoveAll(p.path(pid, file)); err != nil {
		p.t.Fatal(err)
	}
}

func (p proc) replace(pid int, file, old, new string) {
	p.t.Helper()
	b, err := os.ReadFile(p.path(pid, file))
	if err != nil {
		p.t.Fatal(err)
	}
	if !strings.Contains(string(b), old) {
		p.t.Fatalf("%s of %d has no %q", file, pid, old)
	}
	if err := os.WriteFile(p.path(pid, file), []byte(strings.Replace(string(b), old, new, 1)), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func TestBetweenExactLooks(t *testing.T) {
	p := newProc(t)
	m := NewMeter(p.root)
	targets := []Target{{PID: master}}
	exact := m.Look(targets, 1, nil)[0].Bytes
	look := func(what string, want int64) {
		t.Helper()
		if s := m.Look(targets, 0, nil)[0]; s.Bytes != want || s.Exact {
			t.Errorf("%s: %d bytes, exact %v, want %d", what, s.Bytes, s.Exact, want)
		}
	}
	look("the same", exact)
	p.replace(8137, "statm", " 8770 945 ", " 9770 1045 ")
	look("900 pages more", exact+900*pageSize)
	p.replace(8138, "statm", " 6529 753 ", " 800 790 ")
	look("less than nothing", exact+900*pageSize-4983<<10)
	p.remove(8137, "statm")
	look("one vanishing", exact-(13267+4983)<<10)
	p.remove(8142, "")
	look("one gone", exact-(13267+4983+5073)<<10)
	p.replace(8140, "stat", " 170561 ", " 170999 ") // and the parent is not in the tree
	look("another with its pid", exact-(13267+4983+5073+5097)<<10+(6721-945)*pageSize)
}

// A file that fails to be read, other than for a process that is gone, leaves
// what was known.
func TestUnreadableFiles(t *testing.T) {
	p := newProc(t)
	m := NewMeter(p.root)
	targets := []Target{{PID: master}}
	want := m.Look(targets, 1, nil)[0]
	want.Exact = false
	for _, file := range []string{"statm", "stat"} {
		p.remove(8137, file)
		if err := os.Mkdir(p.path(8137, file), 0o755); err != nil {
			t.Fatal(err)
		}
		for full := range 2 {
			if s := m.Look(targets, full, nil)[0]; s != want {
				t.Errorf("%s, full %d: %+v, want %+v", file, full, s, want)
			}
		}
	}
}

func TestWithoutRollup(t *testing.T) {
	p := newProc(t)
	p.remove(8137, "smaps_rollup")
	p.replace(8137, "status", "VmSwap:\t       0 kB", "VmSwap:\t     100 kB")
	p.replace(8138, "smaps_rollup", "SwapPss:               0 kB", "SwapPss:              40 kB")
	m := NewMeter(p.root)
	want := int64(5009+4096+4983+40+5097+5073+100)<<10 + (8770-945)*pageSize
	if s := m.Look([]Target{{PID: master}}, 1, nil)[0]; s.Bytes != want || s.Swap != 140<<10 || s.Exact || s.Processes != 5 {
		t.Errorf("%+v, want %d bytes, 140 KiB of them in swap", s, want)
	}
	p.remove(8137, "status")
	if s := m.Look([]Target{{PID: master}}, 1, nil)[0]; !s.Exact || s.Processes != 4 {
		t.Errorf("of the rest: %+v", s)
	}
}

// The estimate for kernels without Pss_Anon is close to what newer ones say.
func TestRollupBeforeLinux5_4(t *testing.T) {
	files, err := filepath.Glob("testdata/prefork/*/smaps_rollup")
	if err != nil || len(files) != 6 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		exact, ok := parseRollup(b)
		if !ok {
			t.Fatalf("%s: not parsed", file)
		}
		var old []byte
		for line := range bytes.Lines(b) {
			if !bytes.HasPrefix(line, []byte("Pss_")) {
				old = append(old, line...)
			}
		}
		estimate, ok := parseRollup(old)
		if diff := estimate - exact; !ok || diff < -exact/10 || diff > exact/10 {
			t.Errorf("%s: %d KiB, want about %d", file, estimate>>10, exact>>10)
		}
	}
}

func TestParseStat(t *testing.T) {
	const tail = " 1 2 3 0 -1 4194304 5 6 7 8 10 20 30 40 20 0 1 0 99 4096 1 "
	want := stat{ppid: 1, pgrp: 2, ticks: 100, start: 99, single: true}
	for _, comm := range []string{"sh", "", ")", "a b", "x) Z 7 7 (y", "((", "\n"} {
		got, ok := parseStat([]byte("5 (" + comm + ") S" + tail))
		if !ok || got != want {
			t.Errorf("%q: %+v, %v", comm, got, ok)
		}
	}
	want.active = true
	for _, state := range []string{"R", "D"} {
		if got, ok := parseStat([]byte("5 (sh) " + state + tail)); !ok || got != want {
			t.Errorf("in state %s: %+v, %v", state, got, ok)
		}
	}
	want.active, want.forked = false, true
	if got, ok := parseStat([]byte("5 (sh) S" + strings.Replace(tail, " 4194304 ", " 4194368 ", 1))); !ok || got != want {
		t.Errorf("forked: %+v, %v", got, ok)
	}
	want.forked, want.ended = false, true
	for _, state := range []string{"Z", "X", "x"} {
		if got, ok := parseStat([]byte("5 (sh) " + state + tail)); !ok || got != want {
			t.Errorf("in state %s: %+v, %v", state, got, ok)
		}
	}
	for _, bad := range []string{
		"", ")", "5 (sh) S", "5 (sh)S" + tail, "5 (sh) S 1", "5 (sh) S x" + tail, "5 sh S" + tail,
		"5 (sh) S 0 -1 -1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 99 0 ", // reaped while it was read
		"5 (sh) S" + strings.Replace(tail, " 99 ", " 99999999999999999999 ", 1),
	} {
		if got, ok := parseStat([]byte(bad)); ok {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestParseRollup(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64
		ok   bool
	}{
		{"Pss_Anon:  1 kB\nPss_Shmem: 2 kB\nSwapPss:\t4 kB\n", 7 << 10, true},
		{"Pss_Anon:  1 kB\nPss_Shmem: 2 kB", 3 << 10, true},
		{"Pss_Anon:  1 kB\n", 1 << 10, false},
		{"Pss: 100 kB\nPrivate_Clean: 10 kB\nPrivate_Dirty: 50 kB\nShared_Clean: 30 kB\nShared_Dirty: 10 kB\nSwapPss: 1 kB\n", 61 << 10, true},
		{"Pss: 5 kB\nPrivate_Dirty: 6 kB\n", 6 << 10, true},
		{"Pss: 5 MB\n", 0, false},
		{"Pss_Anon 1 kB\nPss_Shmem 2 kB\n", 0, false},
		{"", 0, false},
	} {
		if got, ok := parseRollup([]byte(c.text)); ok != c.ok || ok && got != c.want {
			t.Errorf("%q: %d, %v, want %d, %v", c.text, got, ok, c.want, c.ok)
		}
	}
}

// capture returns all captured files of one name.
func capture(f *testing.F, file string) {
	f.Helper()
	files, err := filepath.Glob("testdata/prefork/*/" + file)
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

func FuzzParseStat(f *testing.F) {
	capture(f, "stat")
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := parseStat(b)
		if !ok {
			return
		}
		if s.ppid < 0 || s.pgrp < 0 || s.ticks < 0 {
			t.Errorf("%+v", s)
		}
		i := bytes.LastIndexByte(b, ')')
		if again, ok := parseStat(append([]byte("1 (x) y) Z ("), b[i:]...)); !ok || again != s {
			t.Errorf("under another name %+v, %v, want %+v", again, ok, s)
		}
	})
}

func FuzzParseStatm(f *testing.F) {
	capture(f, "statm")
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := parseStatm(b)
		if !ok {
			return
		}
		if s.resident < 0 || s.shared < 0 || s.resident%pageSize != 0 || s.shared%pageSize != 0 {
			t.Errorf("%+v", s)
		}
		text := fmt.Appendf(nil, "0 %d %d ", s.resident/pageSize, s.shared/pageSize)
		if again, ok := parseStatm(text); !ok || again != s {
			t.Errorf("%q: %+v, %v, want %+v", text, again, ok, s)
		}
	})
}

func FuzzParseRollup(f *testing.F) {
	capture(f, "smaps_rollup")
	capture(f, "status")
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, ok := parseRollup(b); ok && n < 0 {
			t.Error(n)
		}
		if n, ok := kibibytes(b, "VmSwap"); ok && (n < 0 || n%1024 != 0) {
			t.Error(n)
		}
	})
}

func FuzzAppendPIDs(f *testing.F) {
	entry := func(name string) []byte {
		b := append(make([]byte, 19), name...)
		b = append(b, make([]byte, 8-len(b)%8)...)
		b[16] = byte(len(b))
		return b
	}
	f.Add(slices.Concat(entry("1"), entry("self"), entry("4194304"), entry("12x"), entry("0")))
	f.Add(slices.Concat(entry("."), entry("7"), make([]byte, 24)))
	f.Fuzz(func(t *testing.T, b []byte) {
		pids := appendPIDs(nil, b)
		if len(pids) > len(b)/20 {
			t.Errorf("%d pids of %d bytes", len(pids), len(b))
		}
		for _, pid := range pids {
			if pid <= 0 || !bytes.Contains(b, fmt.Appendf(nil, "%d\x00", pid)) {
				t.Error(pid)
			}
		}
	})
}
