package budget

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// captured are the texts of all captured files whose path ends in name.
func captured(f *testing.F, name string) [][]byte {
	f.Helper()
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		f.Fatalf("no archives: %v", err)
	}
	var texts [][]byte
	for _, archive := range archives {
		text, err := os.ReadFile(archive)
		if err != nil {
			f.Fatal(err)
		}
		for section := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n-- ") {
			if path, text, ok := strings.Cut(section+"\n", " --\n"); ok && strings.HasSuffix(path, name) {
				texts = append(texts, []byte(text))
			}
		}
	}
	return texts
}

func FuzzMountinfo(f *testing.F) {
	for _, text := range captured(f, "/mountinfo") {
		f.Add(text)
	}
	f.Add([]byte("36 35 0:32 /docker/a\\040b /sys/fs/cgroup/memory ro,nosuid shared:9 master:2 - cgroup cgroup rw,memory\n"))
	f.Add([]byte("30 23 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw,nsdelegate\n"))
	f.Add([]byte("30 23 0:26 /a\\ /b\\04 - cgroup2"))
	f.Fuzz(func(t *testing.T, text []byte) {
		mounts, flaw := parseMountinfo(text)
		wantWhole(t, text, flaw)
		for _, m := range mounts {
			if m.root == "" || m.root[0] != '/' || m.point == "" || m.point[0] != '/' {
				t.Errorf("%q: not absolute: %+v", text, m)
			}
			if len(m.root)+len(m.point) > len(text) {
				t.Errorf("%q: longer than the text: %+v", text, m)
			}
		}
	})
}

func FuzzCgroup(f *testing.F) {
	for _, text := range captured(f, "self/cgroup") {
		f.Add(text, "/")
	}
	f.Add([]byte("4:memory:/docker/a:b\n0::/../x\n"), "/docker")
	f.Add([]byte("2:cpu,cpuacct:/\n1:name=systemd:/a/b (deleted)\n"), "/a")
	f.Fuzz(func(t *testing.T, text []byte, root string) {
		memberships, flaw := parseCgroup(text)
		wantWhole(t, text, flaw)
		for _, m := range memberships {
			if m.path == "" || m.path[0] != '/' {
				t.Errorf("%q: not absolute: %+v", text, m)
			}
			below, ok := beneath(m.path, root)
			if ok && below != "" && (below[0] != '/' || strings.Contains(below+"/", "/../")) {
				t.Errorf("%q is beneath %q by %q", m.path, root, below)
			}
		}
	})
}

// wantWhole wants a flaw where the last line of a text has no end, and a line of
// the text or the one after it where there is one.
func wantWhole(t *testing.T, text []byte, f flaw) {
	t.Helper()
	if n := len(text); n > 0 && text[n-1] != '\n' && f.line == 0 {
		t.Errorf("%q: the end is missing, and that is no flaw", text)
	}
	if f.line < 0 || f.line > strings.Count(string(text), "\n")+1 || f.line > 0 && f.want == "" {
		t.Errorf("%q: flaw %+v", text, f)
	}
}

// FuzzStat compares the parsers of flat keyed files with strings.Cut and
// strconv.ParseInt, and holds what they tell within range.
func FuzzStat(f *testing.F) {
	for _, text := range captured(f, "/memory.stat") {
		f.Add(text)
	}
	f.Add([]byte("inactive_file 4096\nactive_file 8192\nfile_dirty 1\nslab_reclaimable 9223372036854775807\nmax 3\n"))
	f.Add([]byte("total_inactive_file 4096\ntotal_active_file 1\nhierarchical_memory_limit 18446744073709551615\noom_kill 1\n"))
	f.Add([]byte("inactive_file\nactive_file -1\n file_dirty 2\nmax 1 2"))
	f.Fuzz(func(t *testing.T, text []byte) {
		// known is the last number of each key, and none of a key without one.
		known := func(keys ...string) (map[string]int64, bool) {
			found := make(map[string]int64)
			for line := range strings.SplitSeq(string(text), "\n") {
				key, number, _ := strings.Cut(line, " ")
				if !slices.Contains(keys, key) {
					continue
				}
				n, err := strconv.ParseUint(number, 10, 64)
				if err != nil || n > math.MaxInt64 && n < math.MaxUint64 {
					return nil, false
				}
				if n >= math.MaxInt64 {
					n = math.MaxInt64
					if !strings.HasSuffix(key, "_limit") {
						return nil, false
					}
				}
				if _, twice := found[key]; twice {
					return nil, false
				}
				found[key] = int64(n)
			}
			return found, len(text) == 0 || text[len(text)-1] == '\n'
		}
		if want, ok := known("inactive_file", "active_file", "file_dirty", "file_writeback", "slab_reclaimable"); true {
			s, flaw := parseStat2(text)
			wantWhole(t, text, flaw)
			_, inactive := want["inactive_file"]
			_, active := want["active_file"]
			if ok := ok && inactive && active; ok != (flaw.line == 0) || ok &&
				s != (stat{
					inactiveFile: want["inactive_file"], activeFile: want["active_file"], dirty: want["file_dirty"],
					writeback: want["file_writeback"], slabReclaimable: want["slab_reclaimable"],
				}) {
				t.Errorf("%q: v2 gave %+v, %+v, want %v", text, s, flaw, want)
			}
			wantInRange(t, s)
		}
		if want, ok := known(stat1Keys...); true {
			s, flaw := parseStat1(text)
			wantWhole(t, text, flaw)
			_, inactive := want["total_inactive_file"]
			_, active := want["total_active_file"]
			limit, limited := want["hierarchical_memory_limit"]
			if ok := ok && inactive && active; ok != (flaw.line == 0) || ok && (s.inactiveFile != want["total_inactive_file"] ||
				s.activeFile != want["total_active_file"] || s.dirty != want["total_dirty"] || s.writeback != want["total_writeback"] ||
				s.hasHierarchicalLimit != (limited && limit < unlimited1) || s.hasHierarchicalLimit && s.hierarchicalLimit != limit) {
				t.Errorf("%q: v1 gave %+v, %+v, want %v", text, s, flaw, want)
			}
			wantInRange(t, s)
		}
		want, ok := known("oom_kill", "max")
		if kills, events, flaw := parseEvents(text); ok != (flaw.line == 0) || ok && (kills != want["oom_kill"] || events != want["max"]) {
			t.Errorf("%q: got %d kills and %d events, want %v", text, kills, events, want)
		}
	})
}

func wantInRange(t *testing.T, s stat) {
	t.Helper()
	m := Memory{Limit: 1 << 40, Available: math.MaxInt64}
	all, clean := s.reclaim(1 << 20)
	m.apply(usage{limit: 1 << 30, used: 1 << 29, free: 1 << 29, reclaimable: all, clean: clean}, "", false)
	if m.Headroom < 0 || m.Headroom > m.Available || m.Available > m.Limit {
		t.Errorf("out of range: %+v of %+v", m, s)
	}
}

func FuzzValue(f *testing.F) {
	for _, text := range []string{"268435456\n", "max\n", "9223372036854771712\n", "18446744073709551615\n", "-1\n", "", "\n", "1 2", "12"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		digits, ended := strings.CutSuffix(string(text), "\n")
		isNumber := ended && digits != "" && strings.Trim(digits, "0123456789") == ""
		want, err := strconv.ParseInt(digits, 10, 64)
		if !isNumber || err != nil {
			want = 0
		}
		n, flaw := parseValue(text)
		if ok := isNumber && err == nil && want < math.MaxInt64; ok != (flaw.line == 0) || ok && n != want {
			t.Errorf("%q: got %d, %+v", text, n, flaw)
		}
		limit, limited, flaw := parseLimit(text)
		if ok := isNumber && err == nil || string(text) == "max\n" || string(text) == "18446744073709551615\n"; ok != (flaw.line == 0) || limited && (limit != want || limit >= unlimited1) {
			t.Errorf("%q: limit %d, %v, %+v", text, limit, limited, flaw)
		}
	})
}

func FuzzMeminfo(f *testing.F) {
	for _, text := range captured(f, "/meminfo") {
		f.Add(text)
	}
	f.Add([]byte("MemTotal:       24684092 kB\nMemFree:        24266248 kB\nMemAvailable:   24337124 kB\nSwapTotal: 0 kB\n"))
	f.Add([]byte("MemTotal: 100 kB\nMemFree: 10 kB\nActive(file): 20 kB\nInactive(file): 99999999999999999999 kB\n"))
	f.Add([]byte("MemTotal:\nMemAvailable 1\n"))
	f.Add([]byte("MemTotal: 1 kB\nMemAvailable: 2 kB\nSwapTotal: 1 kB\nSwapFree: 2 kB\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, flaw := parseMeminfo(text)
		wantWhole(t, text, flaw)
		if h.available < 0 || h.available > h.total || h.swapFree < 0 || h.swapFree > h.swapTotal || (h.total > 0) != (flaw.line == 0) {
			t.Errorf("%q: got %+v, %+v", text, h, flaw)
		}
	})
}

func FuzzZoneinfo(f *testing.F) {
	f.Add([]byte(zoneinfo))
	f.Add([]byte("        low 99999999999999999999\n"))
	f.Add([]byte("   high  1"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, flaw := parseZoneinfo(text)
		wantWhole(t, text, flaw)
		h := host{total: 1 << 30, available: 1 << 29, file: 1 << 28, slab: 1 << 26}
		if n := h.taking(m); m.low < 0 || m.high < 0 || m.managed < 0 || n < h.available || n > h.total {
			t.Errorf("%q: got %+v, %+v, %d", text, m, flaw, n)
		}
	})
}

func FuzzCPUMax(f *testing.F) {
	for _, text := range captured(f, "/cpu.max") {
		f.Add(text)
	}
	for _, text := range []string{"max 100000\n", "150000 100000\n", "-1 100000", "1 0", "1 1000000", "9223372036854775807 1", "nonsense"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if n, limited, ok := parseCPUMax(text); limited && (n < 1 || !ok) || !limited && n != 0 {
			t.Errorf("%q: got %d, %v, %v", text, n, limited, ok)
		}
	})
}

func FuzzCPUs(f *testing.F) {
	for _, text := range captured(f, "/cpuset.cpus") {
		f.Add(text)
	}
	for _, text := range []string{"0-3,7\n", "\n", "0", "8191", "8192", "3-1", "0-3,", "0-,2"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, ok := parseCPUs(text)
		if n := m.count(); n < 0 || n > 8192 || !ok && n != 0 || m.and(m) != m {
			t.Errorf("%q: got %d, %v", text, n, ok)
		}
	})
}

// FuzzMeminfoText makes a picture of any two texts and any numbers: it keeps its
// promises and its text says the same, or there is a flaw.
func FuzzMeminfoText(f *testing.F) {
	hosts := captured(f, "/meminfo")
	for i, stat := range captured(f, "/memory.stat") {
		f.Add(hosts[i%len(hosts)], stat, i%2 == 0, int64(256<<20), int64(200<<20), int64(100<<20), int64(1<<20))
	}
	f.Add([]byte("MemTotal: 1 kB\nCached: x kB\n"), []byte("file 1\nfile_mapped 2\ntotal_cache 3\n"), false, int64(0), int64(1), int64(0), int64(0))
	f.Add([]byte("Slab: 1 kB"), []byte("slab_reclaimable 9223372036854775806\nslab_unreclaimable 9223372036854775806\n"), false, int64(math.MaxInt64), int64(0), int64(math.MaxInt64), int64(-1))
	f.Fuzz(func(t *testing.T, host, stat []byte, v1 bool, limit, used, available, swap int64) {
		m := Meminfo{text: host}
		flaw := m.parseHost()
		wantWhole(t, host, flaw)
		if flaw.line != 0 {
			return
		}
		wantReread(t, &m)
		m = Meminfo{text: host}
		flaw = m.parseStat(stat, v1)
		wantWhole(t, stat, flaw)
		if flaw.line != 0 || limit < 0 || used < 0 || swap < 0 {
			return
		}
		memory := Memory{Limit: limit, Used: used, Available: max(0, min(available, limit)), SwapLimit: swap, SwapUsed: used / 2}
		m.narrow(memory, max(0, available))
		wantRelations(t, &m)
		if limit < 1<<53 && swap < 1<<53 {
			wantReread(t, &m)
		}
		wantSameLines(t, string(m.Append(nil)), string(host))
	})
}
