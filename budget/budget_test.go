package budget

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestTrees(t *testing.T) {
	for _, tt := range trees {
		t.Run(tt.name, func(t *testing.T) {
			b := openTree(t, tree(t, tt.name))
			if got := read(t, b); got != tt.want {
				t.Errorf("Read:\n got %+v\nwant %+v", got, tt.want)
			}
			cpu, err := b.CPU()
			if err != nil {
				t.Fatal(err)
			}
			cpu.LimitFrom = strings.TrimPrefix(cpu.LimitFrom, b.root)
			if cpu != tt.cpu {
				t.Errorf("CPU:\n got %+v\nwant %+v", cpu, tt.cpu)
			}
			if got := b.Rung(); got != tt.rung {
				t.Errorf("Rung: got %q, want %q", got, tt.rung)
			}
			var levels []string
			for _, l := range b.levels {
				levels = append(levels, strings.TrimPrefix(l.dir, b.root))
			}
			if got, want := strings.Join(levels, "\n"), strings.Join(tt.levels, "\n"); got != want {
				t.Errorf("levels:\n%s\nwant\n%s", got, want)
			}
			dir, v1, ok := b.Place()
			if ok != (len(levels) > 0) || ok && (dir != b.levels[0].dir || v1 == tt.events) {
				t.Errorf("Place: got %q, %v, %v", dir, v1, ok)
			}
		})
	}
}

func TestReadSeesChanges(t *testing.T) {
	root := tree(t, "docker-v2")
	b := openTree(t, root)
	before := read(t, b)
	for name, text := range map[string]string{
		"memory.max":       "134217728\n",
		"memory.high":      "104857600\n",
		"memory.current":   "115343360\n",
		"memory.events":    "low 0\nhigh 4\nmax 17\noom 2\noom_kill 3\noom_group_kill 0\n",
		"memory.oom.group": "1\n",
		"memory.swap.max":  "4096\n",
	} {
		write(t, filepath.Join(root, v2, name), text)
	}
	after := read(t, b)
	want := before
	want.Limit, want.Used = 128*mib, 110*mib
	want.High, want.HasHigh = 100*mib, true
	want.Available += (128-256)*mib + before.Used - 110*mib
	want.Headroom += (128-256)*mib + before.Used - 110*mib
	want.MaxEvents, want.OOMKills, want.OOMGroup = 17, 3, true
	want.SwapLimit, want.SwapLimited = 4096, true
	if want.Available = max(0, want.Available); after.Available != want.Available {
		t.Errorf("Available: got %d, want %d", after.Available, want.Available)
	}
	want.Headroom = max(0, want.Headroom)
	if after != want {
		t.Errorf("Read after the change:\n got %+v\nwant %+v", after, want)
	}
}

func TestReadStaysInRange(t *testing.T) {
	for _, tt := range []struct {
		name                     string
		limit, usage, stat       string
		wantAvailable, wantLimit int64
	}{
		{"usage above the limit", "1048576", "2097152", "inactive_file 0\nactive_file 0\n", 0, mib},
		{"statistics lag the usage", "1048576", "4096", "inactive_file 8388608\nactive_file 9223372036854775806\n", mib, mib},
		{"nothing but dirty pages", "1048576", "1048576", "inactive_file 524288\nactive_file 0\nfile_dirty 9223372036854775806\n", 512 * kib, mib},
		{"statistics longer than the buffer", "1048576", "524288", strings.Repeat("filler 0\n", 2000) + "inactive_file 0\nactive_file 4096\n", 516 * kib, mib},
		{"limit 0", "0", "4096", "inactive_file 4096\nactive_file 0\n", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := tree(t, "docker-v2")
			write(t, root+v2+"/memory.max", tt.limit+"\n")
			write(t, root+v2+"/memory.current", tt.usage+"\n")
			write(t, root+v2+"/memory.stat", tt.stat)
			m := read(t, openTree(t, root))
			if m.Limit != tt.wantLimit || m.Available != tt.wantAvailable {
				t.Errorf("got limit %d, available %d; want %d, %d", m.Limit, m.Available, tt.wantLimit, tt.wantAvailable)
			}
			if m.Headroom < 0 || m.Headroom > m.Available {
				t.Errorf("headroom %d is not within 0 and %d", m.Headroom, m.Available)
			}
		})
	}
}

func TestSetLimit(t *testing.T) {
	b := openTree(t, tree(t, "docker-v2"))
	before := read(t, b)
	b.SetLimit(128 * mib)
	m := read(t, b)
	if m.Limit != 128*mib || !m.Limited || m.LimitFrom != "" || m.AvailableFrom != "" {
		t.Errorf("below the cgroup's: got limit %d from %q, available from %q", m.Limit, m.LimitFrom, m.AvailableFrom)
	}
	if m.Used != before.Used || m.Available != max(0, before.Available-128*mib) {
		t.Errorf("below the cgroup's: got used %d, available %d", m.Used, m.Available)
	}
	b.SetLimit(1 << 40)
	if m := read(t, b); m != before {
		t.Errorf("above the cgroup's: got %+v, want %+v", m, before)
	}
	b.SetLimit(0)
	if m := read(t, b); m != before {
		t.Errorf("removed: got %+v, want %+v", m, before)
	}
}

// TestReadFindsTheCgroupAgain takes the open files of a cgroup away, as its removal
// does, after the process has moved.
func TestReadFindsTheCgroupAgain(t *testing.T) {
	root := tree(t, "docker-v2")
	b := openTree(t, root)
	read(t, b)
	write(t, root+"/proc/self/cgroup", "0::/moved\n")
	for _, name := range []string{"memory.current", "memory.stat"} {
		text, err := os.ReadFile(root + v2 + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, root+v2+"/moved/"+name, string(text))
	}
	write(t, root+v2+"/moved/memory.max", "1048576\n")
	breakFile(t, &b.levels[0].limit)
	m := read(t, b)
	if m.Limit != mib || m.LimitFrom != v2+"/moved/memory.max" {
		t.Errorf("got limit %d from %s", m.Limit, m.LimitFrom)
	}
}

// TestStay: the level stays the innermost when the process moves below it and the
// files are looked for again.
func TestStay(t *testing.T) {
	root := tree(t, "docker-v2")
	b := openTree(t, root)
	before := read(t, b)
	b.Stay(root + v2)
	write(t, root+"/proc/self/cgroup", "0::/memsup\n")
	write(t, root+v2+"/memsup/memory.max", "1048576\n")
	breakFile(t, &b.levels[0].limit)
	if m := read(t, b); m.Limit != before.Limit || m.Used != before.Used || m.OOMKills != before.OOMKills {
		t.Errorf("got %+v, before %+v", m, before)
	}
	if dir, _, _ := b.Place(); dir != root+v2 {
		t.Errorf("the place is %s", dir)
	}
	within := openTree(t, root)
	if dir, _, _ := within.Place(); dir != root+v2+"/memsup" {
		t.Errorf("without Stay the place is %s", dir)
	}
	within.Stay(root + v2)
	if m := read(t, within); m.Limit != before.Limit || m.OOMKills != before.OOMKills {
		t.Errorf("from within got %+v, before %+v", m, before)
	}
	if dir, ok := within.Cgroup2(); dir != root+v2+"/memsup" || !ok {
		t.Errorf("its own cgroup is %s, %v", dir, ok)
	}
}

// breakFile makes every read of an open file fail.
func breakFile(t *testing.T, f *file) {
	t.Helper()
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := syscall.Dup3(int(dir.Fd()), f.fd, syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
}

func TestReadDegrades(t *testing.T) {
	t.Run("cgroup gone", func(t *testing.T) {
		root := tree(t, "docker-v2")
		b := openTree(t, root)
		read(t, b)
		breakFile(t, &b.levels[0].limit)
		if err := os.RemoveAll(root + v2); err != nil {
			t.Fatal(err)
		}
		if m := read(t, b); m.Limited || m.Limit != m.HostTotal {
			t.Errorf("got %+v", m)
		}
		if _, _, ok := b.Place(); ok {
			t.Error("a place without a cgroup")
		}
	})
	t.Run("no usage", func(t *testing.T) {
		root := tree(t, "docker-v2")
		for _, name := range []string{"memory.current", "memory.stat", "memory.events", "memory.high"} {
			if err := os.Remove(root + v2 + "/" + name); err != nil {
				t.Fatal(err)
			}
		}
		b := openTree(t, root)
		if m := read(t, b); m.Limit != 256*mib || m.Available != 256*mib || m.Used != 0 {
			t.Errorf("got %+v", m)
		}
		missing := 0
		for _, s := range b.Sources() {
			if s.Missing != "" {
				missing++
			}
		}
		// The four files hold two single numbers, five lines and two, and there was no
		// memory.peak.
		if missing != 10 {
			t.Errorf("Sources lists %d as missing, want 10", missing)
		}
	})
	t.Run("no meminfo", func(t *testing.T) {
		root := tree(t, "docker-v2")
		if err := os.Remove(root + "/proc/meminfo"); err != nil {
			t.Fatal(err)
		}
		if m := read(t, openTree(t, root)); m.Limit != 256*mib || !m.Limited || m.HostTotal != 0 || m.Available == 0 {
			t.Errorf("got %+v", m)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		_, err := OpenAt(t.TempDir())
		if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "/proc/meminfo") {
			t.Errorf("got %v", err)
		}
	})
}

func TestClose(t *testing.T) {
	b := openTree(t, tree(t, "docker-v2"))
	read(t, b)
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Read(); !errors.Is(err, ErrClosed) {
		t.Errorf("Read: got %v", err)
	}
	if s := b.Sources(); s != nil {
		t.Errorf("Sources: got %v", s)
	}
	if dir, _, ok := b.Place(); ok {
		t.Errorf("Place: got %q", dir)
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	for _, tt := range trees {
		t.Run(tt.name, func(t *testing.T) {
			b := openTree(t, tree(t, tt.name))
			b.SetLimit(100 * mib)
			if n := testing.AllocsPerRun(100, func() { b.Read() }); n != 0 {
				t.Errorf("got %v allocations a Read", n)
			}
		})
	}
}

func TestReadConcurrently(t *testing.T) {
	b := openTree(t, tree(t, "kubernetes-v2"))
	want := read(t, b)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if m, err := b.Read(); err != nil || m.Available != want.Available {
					t.Errorf("got %+v, %v", m, err)
				}
				b.Sources()
			}
		})
	}
	wg.Wait()
}

func TestOpenHere(t *testing.T) {
	b, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	m := read(t, b)
	if m.Limit <= 0 || m.Available < 0 || m.Available > m.Limit || m.Headroom > m.Available {
		t.Errorf("Read: got %+v", m)
	}
	c, err := b.CPU()
	if err != nil || c.Limit < 1 || c.Allowed < 1 {
		t.Errorf("CPU: got %+v, %v", c, err)
	}
}
