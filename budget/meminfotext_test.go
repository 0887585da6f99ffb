package budget

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/meminfo anew")

func meminfo(t testing.TB, b *Budget) Meminfo {
	t.Helper()
	var m Meminfo
	if err := b.ReadMeminfo(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

// The texts are testdata/meminfo; -update writes them, and the diff is the review.
func TestMeminfoText(t *testing.T) {
	for _, tt := range trees {
		t.Run(tt.name, func(t *testing.T) {
			root := tree(t, tt.name)
			b := openTree(t, root)
			memory := read(t, b)
			m := meminfo(t, b)
			wantRelations(t, &m)
			if m.Limited != tt.want.Limited || m.MemTotal != memory.Limit&^1023 || m.MemAvailable != memory.Available&^1023 {
				t.Errorf("got limited %v, total %d, available %d; Read gave %+v", m.Limited, m.MemTotal, m.MemAvailable, memory)
			}
			got := string(m.Append(nil))
			golden := filepath.Join("testdata", "meminfo", tt.name)
			if *update {
				write(t, golden, got)
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			host, err := os.ReadFile(root + "/proc/meminfo")
			if err != nil {
				t.Fatal(err)
			}
			if !m.Limited && got != string(host) {
				t.Errorf("the host's text is changed:\n%s", got)
			}
			wantSameLines(t, got, string(host))
			wantReread(t, &m)
		})
	}
}

// wantSameLines wants the lines of the host's file in their order.
func wantSameLines(t *testing.T, got, host string) {
	t.Helper()
	names := regexp.MustCompile(`(?m):.*$`)
	if got, want := names.ReplaceAllString(got, ""), names.ReplaceAllString(host, ""); got != want {
		t.Errorf("lines\n%s\nwant\n%s", got, want)
	}
}

// wantReread wants the text to say what m says, in the kernel's columns.
func wantReread(t *testing.T, m *Meminfo) {
	t.Helper()
	text := m.Append(nil)
	again := Meminfo{text: text}
	if f := again.parseHost(); f.line != 0 {
		t.Fatalf("%s: %+v", text, f)
	}
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, ":")
		n, told := again.number([]byte(name)), m.number([]byte(name))
		if n == nil {
			continue
		}
		if *n != *told {
			t.Errorf("%sis to say %d", line, *told)
		}
		if want := fmt.Sprintf("%-16s%8d kB\n", name+":", *told>>10); m.Limited && line != want {
			t.Errorf("line %q, want %q", line, want)
		}
	}
}

// wantRelations wants what Meminfo promises.
func wantRelations(t testing.TB, m *Meminfo) {
	t.Helper()
	if !m.Limited {
		return
	}
	for _, line := range strings.Fields(`MemTotal MemFree MemAvailable Buffers Cached SwapCached Active Inactive
		Active(anon) Inactive(anon) Active(file) Inactive(file) Unevictable Mlocked Zswap Dirty Writeback AnonPages
		Mapped Shmem KReclaimable Slab SReclaimable SUnreclaim KernelStack PageTables SecPageTables Percpu
		AnonHugePages ShmemHugePages FileHugePages SwapTotal SwapFree Zswapped NFS_Unstable`) {
		most := m.MemTotal
		if strings.HasPrefix(line, "Swap") || line == "Zswapped" {
			most = m.SwapTotal
		}
		if n := *m.number([]byte(line)); n < 0 || n > most || n%1024 != 0 {
			t.Errorf("%s is %d of %d", line, n, most)
		}
	}
	for name, holds := range map[string]bool{
		"MemFree ≤ MemAvailable":                         m.MemFree <= m.MemAvailable,
		"MemFree + Buffers + Cached + SReclaimable":      m.MemFree+m.Buffers+m.Cached+m.SReclaimable <= m.MemTotal,
		"MemFree + Slab":                                 m.MemFree+m.Slab <= m.MemTotal,
		"Shmem ≤ Cached":                                 m.Shmem <= m.Cached,
		"SwapFree ≤ SwapTotal":                           m.SwapFree <= m.SwapTotal,
		"Active = Active(anon) + Active(file)":           m.Active == m.ActiveAnon+m.ActiveFile,
		"Inactive = Inactive(anon) + Inactive(file)":     m.Inactive == m.InactiveAnon+m.InactiveFile,
		"Slab = SReclaimable + SUnreclaim, KReclaimable": m.Slab == m.SReclaimable+m.SUnreclaim && m.KReclaimable == m.SReclaimable,
	} {
		if !holds {
			t.Errorf("not so: %s", name)
		}
	}
}

// Where a wider level is fuller than the own one, what is free is not all to be
// had; where memory.stat lags the usage, it tells of more than there is.
func TestMeminfoOfFullLevels(t *testing.T) {
	const (
		inner  = v2 + "/app/"
		outer  = v2 + "/"
		empty  = "inactive_file 0\nactive_file 0\n"
		common = "-- proc/self/mountinfo --\n30 23 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n-- proc/self/cgroup --\n0::/app\n" +
			"-- proc/meminfo --\nMemTotal:     1048576 kB\nMemFree:      900000 kB\nMemAvailable: 900000 kB\nSwapTotal:     65536 kB\nSwapFree:      60000 kB\n"
	)
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  Meminfo
	}{
		{
			"room everywhere",
			map[string]string{
				inner + "memory.max": "67108864\n", inner + "memory.current": "16777216\n", inner + "memory.stat": empty + "file 1048576\nshmem 524288\n",
				outer + "memory.max": "134217728\n", outer + "memory.current": "16777216\n", outer + "memory.stat": empty,
				inner + "memory.swap.max": "max\n", inner + "memory.swap.current": "1048576\n",
			},
			Meminfo{
				MemTotal: 64 * mib, MemFree: 48 * mib, MemAvailable: 48 * mib, Cached: mib, Shmem: 512 * kib,
				SwapTotal: 64 * mib, SwapFree: 60000 * kib,
			},
		},
		{
			"a fuller parent, in memory and in swap",
			map[string]string{
				inner + "memory.max": "67108864\n", inner + "memory.current": "16777216\n", inner + "memory.stat": empty + "file 1048576\n",
				outer + "memory.max": "134217728\n", outer + "memory.current": "117440512\n", outer + "memory.stat": empty + "file 33554432\n",
				inner + "memory.swap.max": "8388608\n", inner + "memory.swap.current": "1048576\n",
				outer + "memory.swap.max": "16777216\n", outer + "memory.swap.current": "14680064\n",
			},
			Meminfo{MemTotal: 64 * mib, MemFree: 16 * mib, MemAvailable: 16 * mib, Cached: mib, SwapTotal: 8 * mib, SwapFree: 2 * mib},
		},
		{
			"a tighter parent, whose memory.stat counts",
			map[string]string{
				inner + "memory.max": "134217728\n", inner + "memory.current": "16777216\n", inner + "memory.stat": empty + "file 1048576\n",
				outer + "memory.max": "67108864\n", outer + "memory.current": "33554432\n", outer + "memory.stat": empty + "file 2097152\n",
			},
			Meminfo{MemTotal: 64 * mib, MemFree: 32 * mib, MemAvailable: 32 * mib, Cached: 2 * mib, SwapTotal: 64 * mib, SwapFree: 60000 * kib},
		},
		{
			"memory.stat lags the usage",
			map[string]string{
				inner + "memory.max": "67108864\n", inner + "memory.current": "16777216\n",
				inner + "memory.stat": empty + "file 33554432\nslab_reclaimable 4194304\nslab_unreclaimable 20971520\nshmem 1073741824\nanon 9000000000000000000\n" +
					"swapcached 16777216\nzswapped 99999999\n",
				inner + "memory.swap.max": "8388608\n", inner + "memory.swap.current": "0\n",
			},
			Meminfo{
				MemTotal: 64 * mib, MemFree: 48 * mib, MemAvailable: 52*mib - 512*kib, Cached: 12 * mib, Shmem: 12 * mib, AnonPages: 16 * mib,
				KReclaimable: 4 * mib, SReclaimable: 4 * mib, SUnreclaim: 12 * mib, Slab: 16 * mib,
				SwapTotal: 8 * mib, SwapFree: 8 * mib, SwapCached: 8 * mib, Zswapped: 8 * mib,
			},
		},
		{
			"usage above the limit",
			map[string]string{inner + "memory.max": "67108864\n", inner + "memory.current": "80000000\n", inner + "memory.stat": empty + "unevictable 12345678\n"},
			Meminfo{MemTotal: 64 * mib, Unevictable: 12056 * kib, Mlocked: 12056 * kib, SwapTotal: 64 * mib, SwapFree: 60000 * kib},
		},
		{
			"no memory.stat",
			map[string]string{inner + "memory.max": "67108864\n", inner + "memory.current": "16777216\n"},
			Meminfo{MemTotal: 64 * mib, MemFree: 48 * mib, MemAvailable: 48 * mib, SwapTotal: 64 * mib, SwapFree: 60000 * kib},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := unpack(t, common)
			for path, text := range tt.files {
				write(t, root+path, text)
			}
			m := meminfo(t, openTree(t, root))
			wantRelations(t, &m)
			wantReread(t, &m)
			m.text, tt.want.Limited = nil, true
			if fmt.Sprint(m) != fmt.Sprint(tt.want) {
				t.Errorf("got  %+v\nwant %+v", m, tt.want)
			}
		})
	}
}

// A limit of SetLimit makes a container of a place that has none: of its own
// level, and where there is no cgroup of the host.
func TestMeminfoOfSetLimit(t *testing.T) {
	const host = "MemTotal:      200000000 kB\nMemFree:        33554432 kB\nMemAvailable:  180000000 kB\nBuffers:   131072 kB\nCached:     65536 kB\n" +
		"Slab:  8 kB\nBounce:              5 kB\nVmallocUsed: 77 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
	b := openTree(t, unpack(t, "-- proc/meminfo --\n"+host))
	m := meminfo(t, b)
	if got := string(m.Append(nil)); m.Limited || got != host {
		t.Errorf("the host's text is changed:\n%s", got)
	}
	b.SetLimit(150000000 * kib)
	m = meminfo(t, b)
	wantRelations(t, &m)
	wantReread(t, &m)
	const want = "MemTotal:       150000000 kB\nMemFree:        130000000 kB\nMemAvailable:   130000000 kB\nBuffers:          131072 kB\nCached:            65536 kB\n" +
		"Slab:                  0 kB\nBounce:                0 kB\nVmallocUsed: 77 kB\nSwapTotal:             0 kB\nSwapFree:              0 kB\n"
	if got := string(m.Append(nil)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	b = openTree(t, tree(t, "docker-v2"))
	b.SetLimit(200*mib + 1)
	m = meminfo(t, b)
	wantRelations(t, &m)
	if m.MemTotal != 200*mib || m.MemFree != 0 || m.Cached != 86024*kib {
		t.Errorf("%d free of %d, %d cached", m.MemFree, m.MemTotal, m.Cached)
	}
	b.SetLimit(0)
	if m := meminfo(t, b); m.MemTotal != 256*mib {
		t.Errorf("the limit stays: %d", m.MemTotal)
	}
}

func TestMeminfoAllocatesNothing(t *testing.T) {
	for _, name := range []string{"docker-v2", "lxc-v1", "no-cgroupfs"} {
		b := openTree(t, tree(t, name))
		m := meminfo(t, b)
		buf := m.Append(nil)
		n := testing.AllocsPerRun(10, func() {
			if err := b.ReadMeminfo(&m); err != nil {
				t.Fatal(err)
			}
			buf = m.Append(buf[:0])
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// A line that only the picture looks at is an error of its own.
func TestMeminfoOfCorruptFiles(t *testing.T) {
	for _, tt := range []struct{ tree, file, old, new, want string }{
		{"docker-v2", v2 + "/memory.stat", "\nshmem ", "\nshmem x", `"shmem x8388608" is not a key and a decimal number`},
		{"docker-v2", v2 + "/memory.stat", "\nunevictable ", "\nunevictable 9999999999999", `"unevictable 99999999999994194304" is not a key and a decimal number`},
		{"lxc-v1", v1 + "/lxc/web/memory.stat", "\ntotal_rss ", "\ntotal_rss -", `"total_rss -121425920" is not a key and a decimal number`},
		{"docker-v2", "/proc/meminfo", "\nMapped:", "\nMapped: 1", `"Mapped: 1            13512 kB" is not a name, a decimal number and "kB"`},
		{"no-cgroupfs", "/proc/meminfo", "\nCached: ", "\nCached: x", ` is not a name, a decimal number and "kB"`},
	} {
		root := tree(t, tt.tree)
		text, err := os.ReadFile(root + tt.file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, root+tt.file, strings.Replace(string(text), tt.old, tt.new, 1))
		b := openTree(t, root)
		m := Meminfo{MemTotal: 1}
		err = b.ReadMeminfo(&m)
		var bad *FormatError
		if !errors.As(err, &bad) || bad.Path != root+tt.file || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.file, err, tt.want)
		}
		if len(m.Append(nil)) > 0 || m.MemTotal != 0 {
			t.Errorf("%s: there is a picture all the same, of %d bytes", tt.file, m.MemTotal)
		}
		write(t, root+tt.file, string(text))
		meminfo(t, b)
	}
}

// The cgroup may go, and the process be in another, between two readings.
func TestMeminfoOfAnotherCgroup(t *testing.T) {
	root := tree(t, "docker-v2")
	b := openTree(t, root)
	before := meminfo(t, b)
	b.levels[0].stat.lost = true
	write(t, root+v2+"/memory.max", "134217728\n")
	if m := meminfo(t, b); m.MemTotal != 128*mib || before.MemTotal != 256*mib {
		t.Errorf("got %d, before %d", m.MemTotal, before.MemTotal)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.ReadMeminfo(&before); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestMeminfoWithoutProc(t *testing.T) {
	root := tree(t, "docker-v2")
	if err := os.Remove(root + "/proc/meminfo"); err != nil {
		t.Fatal(err)
	}
	var m Meminfo
	if err := openTree(t, root).ReadMeminfo(&m); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), root+"/proc/meminfo") {
		t.Errorf("got %v", err)
	}
}
