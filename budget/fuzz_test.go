package budget

import (
	"os"
	"path/filepath"
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
		for _, m := range parseMountinfo(text) {
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
		for _, m := range parseCgroup(text) {
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

// FuzzStat compares the parsers of flat keyed files with strings.Fields, and holds
// what they tell within range.
func FuzzStat(f *testing.F) {
	for _, text := range captured(f, "/memory.stat") {
		f.Add(text)
	}
	f.Add([]byte("inactive_file 4096\nactive_file 8192\nfile_dirty 1\nslab_reclaimable 9223372036854775807\nmax 3\n"))
	f.Add([]byte("total_inactive_file 4096\nhierarchical_memory_limit 9223372036854771712\noom_kill 18446744073709551615\n"))
	f.Add([]byte("inactive_file\nactive_file -1\n file_dirty 2\nmax 1 2"))
	f.Fuzz(func(t *testing.T, text []byte) {
		want := make(map[string]int64)
		for line := range strings.SplitSeq(string(text), "\n") {
			key, number, _ := strings.Cut(line, " ")
			if n, ok := parseValue([]byte(number)); ok && key != "" {
				want[key] = n
			}
		}
		s2, s1 := parseStat2(text), parseStat1(text)
		if s2.inactiveFile != want["inactive_file"] || s2.activeFile != want["active_file"] ||
			s2.dirty != want["file_dirty"] || s2.writeback != want["file_writeback"] || s2.slabReclaimable != want["slab_reclaimable"] {
			t.Errorf("%q: v2 gave %+v, want %v", text, s2, want)
		}
		if s1.inactiveFile != want["total_inactive_file"] || s1.activeFile != want["total_active_file"] ||
			s1.dirty != want["total_dirty"] || s1.writeback != want["total_writeback"] ||
			s1.hierarchicalLimit != want["hierarchical_memory_limit"] {
			t.Errorf("%q: v1 gave %+v, want %v", text, s1, want)
		}
		if kills, events := parseEvents(text); kills != want["oom_kill"] || events != want["max"] {
			t.Errorf("%q: got %d kills and %d events, want %v", text, kills, events, want)
		}
		for _, s := range []stat{s1, s2} {
			m := Memory{Limit: 1 << 40}
			all, clean := s.reclaim()
			m.apply(usage{limit: 1 << 30, used: 1 << 29, free: 1 << 29, reclaimable: all, clean: clean}, "", false)
			if m.Headroom < 0 || m.Headroom > m.Available || m.Available > m.Limit {
				t.Errorf("%q: out of range: %+v", text, m)
			}
		}
	})
}

func FuzzValue(f *testing.F) {
	for _, text := range []string{"268435456\n", "max\n", "9223372036854771712\n", "18446744073709551615\n", "-1\n", "", "\n", "1 2"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		n, ok := parseValue(text)
		digits := strings.Trim(string(text), "0123456789") == "" && len(text) > 0 ||
			strings.HasSuffix(string(text), "\n") && len(text) > 1 && strings.Trim(string(text[:len(text)-1]), "0123456789") == ""
		if ok != digits || n < 0 || !ok && n != 0 {
			t.Errorf("%q: got %d, %v", text, n, ok)
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
		h, _ := parseMeminfo(text)
		if h.available < 0 || h.available > h.total || h.swapFree < 0 || h.swapFree > h.swapTotal {
			t.Errorf("%q: got %+v", text, h)
		}
	})
}

func FuzzCPUMax(f *testing.F) {
	for _, text := range captured(f, "/cpu.max") {
		f.Add(text)
	}
	for _, text := range []string{"max 100000\n", "150000 100000\n", "-1 100000", "1 0", "1 1000000", "9223372036854775807 1"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if n, ok := parseCPUMax(text); ok && n < 1 || !ok && n != 0 {
			t.Errorf("%q: got %d, %v", text, n, ok)
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
