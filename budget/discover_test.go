package budget

import (
	"os"
	"strings"
	"testing"
)

// Each archive has one limit a directory, so that the limit names the level.
func TestDiscovery(t *testing.T) {
	const meminfo = "-- proc/meminfo --\nMemTotal: 1048576 kB\nMemAvailable: 524288 kB\n"
	for _, tt := range []struct {
		name   string
		mounts string
		cgroup string
		files  string
		want   string // the levels
	}{
		{
			name:   "space in the mount point and the root",
			mounts: `30 23 0:26 /my\040app /sys/my\040cgroups ro shared:1 master:2 - cgroup2 cgroup rw`,
			cgroup: "0::/my app/web\n",
			files:  "-- sys/my cgroups/web/memory.max --\n1\n-- sys/my cgroups/memory.max --\n2\n",
			want:   "/sys/my cgroups/web /sys/my cgroups",
		},
		{
			name:   "colon in the path",
			mounts: `30 23 0:26 / /cg ro - cgroup2 cgroup rw`,
			cgroup: "0::/a:b/c::d\n",
			files:  "-- cg/a:b/c::d/memory.max --\n1\n-- cg/a:b/memory.max --\n2\n",
			want:   "/cg/a:b/c::d /cg/a:b",
		},
		{
			name:   "root is a prefix but not a parent",
			mounts: `30 23 0:26 /fo /cg ro - cgroup2 cgroup rw`,
			cgroup: "0::/foo\n",
			files:  "-- cg/memory.max --\n1\n-- cgo/memory.max --\n2\n",
			want:   "/cg",
		},
		{
			name:   "path does not exist under the mount",
			mounts: `30 23 0:26 / /cg ro - cgroup2 cgroup rw`,
			cgroup: "0::/docker/gone (deleted)\n",
			files:  "-- cg/memory.max --\n1\n-- cg/docker/memory.max --\n2\n",
			want:   "/cg",
		},
		{
			name:   "path and root outside of the namespace",
			mounts: `30 23 0:26 /../.. /cg ro - cgroup2 cgroup rw`,
			cgroup: "0::/../other\n",
			files:  "-- cg/memory.max --\n1\n-- cg/other/memory.max --\n2\n",
			want:   "/cg",
		},
		{
			name: "of two mounts the one that shows more levels",
			mounts: "30 23 0:26 / /host ro - cgroup2 cgroup rw\n" +
				"31 23 0:26 /a/b /cg ro - cgroup2 cgroup rw",
			cgroup: "0::/a/b\n",
			files:  "-- host/a/b/memory.max --\n1\n-- host/a/memory.max --\n2\n-- cg/memory.max --\n1\n",
			want:   "/host/a/b /host/a",
		},
		{
			name: "the namespace's own mount before one from outside",
			mounts: "31 23 0:26 / /cg ro - cgroup2 cgroup rw\n" +
				"30 23 0:26 /../.. /host ro - cgroup2 cgroup rw",
			cgroup: "0::/\n",
			files:  "-- host/memory.max --\n2\n-- cg/memory.max --\n1\n",
			want:   "/cg",
		},
		{
			name: "v1 by the super options, not by the mount point",
			mounts: "30 23 0:26 / /cg/memory ro - cgroup cgroup rw,cpu\n" +
				"31 23 0:27 / /cg/x ro - cgroup cgroup rw,cpuset,memory\n" +
				"32 23 0:28 / /cg/unified ro - cgroup2 cgroup rw",
			cgroup: "3:cpuset,memory:/a\n2:cpu:/b\n0::/c\n",
			files:  "-- cg/x/a/memory.limit_in_bytes --\n1\n-- cg/unified/c/memory.max --\n2\n-- cg/memory/memory.limit_in_bytes --\n3\n",
			want:   "/cg/x/a",
		},
		{
			name:   "v1 levels end below a parent that does not count its children",
			mounts: "31 23 0:27 / /cg ro - cgroup cgroup rw,memory",
			cgroup: "3:memory:/a/b\n",
			files: "-- cg/a/b/memory.limit_in_bytes --\n1\n-- cg/a/memory.limit_in_bytes --\n2\n-- cg/a/memory.use_hierarchy --\n1\n" +
				"-- cg/memory.limit_in_bytes --\n3\n-- cg/memory.use_hierarchy --\n0\n",
			want: "/cg/a/b /cg/a",
		},
		{
			name: "single files mounted",
			mounts: "30 23 0:26 /a/b/memory.max /cg/memory.max ro - cgroup2 cgroup rw\n" +
				"31 23 0:26 /a/b/memory.current /cg/memory.current ro - cgroup2 cgroup rw",
			cgroup: "0::/a/b\n",
			files:  "-- cg/memory.max --\n1\n-- cg/memory.current --\n1\n",
			want:   "/cg",
		},
		{
			name: "single files of v1 mounted",
			mounts: "30 23 0:26 /a/b/memory.limit_in_bytes /cg/memory.limit_in_bytes ro - cgroup cgroup rw,memory\n" +
				"31 23 0:26 /a/b/memory.usage_in_bytes /cg/memory.usage_in_bytes ro - cgroup cgroup rw,memory\n" +
				"32 23 0:26 /a/b/memory.stat /cg/memory.stat ro - cgroup cgroup rw,memory",
			cgroup: "4:memory:/a/b\n",
			files: "-- cg/memory.limit_in_bytes --\n1\n-- cg/memory.usage_in_bytes --\n1\n" +
				"-- cg/memory.stat --\ntotal_inactive_file 0\ntotal_active_file 0\n",
			want: "/cg",
		},
		{
			name:   "a cgroup that is named like a file",
			mounts: "30 23 0:26 /memory.slice /cg/memory.slice ro - cgroup2 cgroup rw",
			cgroup: "0::/memory.slice/web\n",
			files:  "-- cg/memory.slice/web/memory.max --\n1\n-- cg/memory.slice/memory.max --\n2\n-- cg/memory.max --\n3\n",
			want:   "/cg/memory.slice/web /cg/memory.slice",
		},
		{
			name:   "the controller is off in the leaf",
			mounts: "30 23 0:26 / /cg ro - cgroup2 cgroup rw",
			cgroup: "0::/a/b\n",
			files:  "-- cg/a/b/cgroup.controllers --\n\n-- cg/a/memory.max --\n1\n-- cg/cgroup.controllers --\nmemory\n",
			want:   "/cg/a",
		},
		{
			name:   "no membership",
			mounts: "30 23 0:26 /a /cg ro - cgroup2 cgroup rw",
			files:  "-- cg/memory.max --\n1\n",
			want:   "/cg",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := unpack(t, meminfo+"-- proc/self/mountinfo --\n"+tt.mounts+"\n-- proc/self/cgroup --\n"+tt.cgroup+tt.files)
			b := openTree(t, root)
			var got []string
			for _, l := range b.levels {
				got = append(got, strings.TrimPrefix(l.dir, root))
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if m := read(t, b); m.Limit != 1 {
				t.Errorf("got limit %d, want that of the innermost level", m.Limit)
			}
		})
	}
}

// TestV1Swap has memory and swap together run out before memory: what was swapped
// out counts there.
func TestV1Swap(t *testing.T) {
	root := tree(t, "lxc-v1")
	dir := root + v1 + "/lxc/web/memory."
	for name, text := range map[string]string{
		"limit_in_bytes":       "104857600\n",
		"usage_in_bytes":       "52428800\n",
		"memsw.limit_in_bytes": "115343360\n",
		"memsw.usage_in_bytes": "110100480\n",
		"stat":                 "total_inactive_file 1048576\ntotal_active_file 0\n",
	} {
		write(t, dir+name, text)
	}
	m := read(t, openTree(t, root))
	if m.Available != 6*mib || m.SwapUsed != 55*mib || m.SwapLimit != 10*mib || !m.SwapLimited {
		t.Errorf("got %+v", m)
	}
}

func TestUnlimitedV1(t *testing.T) {
	for _, limit := range []string{"9223372036854771712", "9223372036854710272", "18446744073709551615"} {
		root := tree(t, "docker-v1-host")
		write(t, root+v1+"/memory.limit_in_bytes", limit+"\n")
		write(t, root+v1+"/memory.stat", "hierarchical_memory_limit "+limit+"\ntotal_inactive_file 0\ntotal_active_file 0\n")
		b := openTree(t, root)
		if m := read(t, b); m.Limited || m.Limit != m.HostTotal {
			t.Errorf("%s: got %+v", limit, m)
		}
		if n, ok := b.levels[0].limit.limitValue(&b.in); ok {
			t.Errorf("%s: is a limit of %d", limit, n)
		}
	}
}

func TestSources(t *testing.T) {
	for _, tt := range trees {
		t.Run(tt.name, func(t *testing.T) {
			b := openTree(t, tree(t, tt.name))
			decided := false
			for _, s := range b.Sources() {
				if s.Name == "" || s.File == "" && s.Missing == "" || (s.Value == "") == (s.Missing == "") {
					t.Errorf("incomplete: %+v", s)
				}
				if strings.TrimPrefix(s.File, b.root) == tt.want.LimitFrom && s.Missing == "" {
					decided = true
				}
			}
			if !decided {
				t.Errorf("the file that decides, %s, is not listed", tt.want.LimitFrom)
			}
		})
	}
}

func TestOldMeminfo(t *testing.T) {
	h, flaw := parseMeminfo([]byte("MemTotal: 100 kB\nMemFree: 10 kB\nBuffers: 1 kB\nActive(file): 20 kB\nInactive(file): 5 kB\n"))
	if want := (host{total: 100 * kib, available: 35 * kib, file: 25 * kib}); h != want || flaw.line != 0 {
		t.Errorf("got %+v, %+v, want %+v", h, flaw, want)
	}
}

// 2^53 kB are one byte more than int64 holds.
func TestMeminfoBeyondInt64(t *testing.T) {
	for text, want := range map[string]int{"9007199254740991": 0, "9007199254740992": 2, "18446744073709551615": 2} {
		h, flaw := parseMeminfo([]byte("MemTotal: 100 kB\nMemAvailable: " + text + " kB\n"))
		if flaw.line != want || h.available < 0 {
			t.Errorf("%s: got %+v, %+v, want a flaw in line %d", text, h, flaw, want)
		}
	}
}

func TestCPUString(t *testing.T) {
	for milli, want := range map[int64]string{1: "0.001", 500: "0.5", 1250: "1.25", 2000: "2", 64000: "64"} {
		if got := (CPU{Limit: milli}).String(); got != want {
			t.Errorf("%d: got %q, want %q", milli, got, want)
		}
	}
}

// TestCPUAffinity has an affinity that names CPUs that are not online, as virtual
// machines show.
func TestCPUAffinity(t *testing.T) {
	root := tree(t, "no-cgroupfs")
	write(t, root+"/proc/self/status", "Name:\tx\nCpus_allowed_list:\t1-127\n")
	write(t, root+onlineFile, "0-3,8\n")
	c, err := openTree(t, root).CPU()
	if want := (CPU{Limit: 4000, Limited: true, Allowed: 4, Online: 5, LimitFrom: root + "/proc/self/status"}); err != nil || c != want {
		t.Errorf("got %+v, %v, want %+v", c, err, want)
	}
	for _, name := range []string{"/proc/self/status", onlineFile} {
		if err := os.Remove(root + name); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := openTree(t, root).CPU(); err == nil {
		t.Errorf("without any file: got %+v", c)
	}
}

// TestCPUChanges: a quota that changes is seen by the next look, the tightest level
// counts, and cpu.max.burst, which lends time that was saved, is no limit.
func TestCPUChanges(t *testing.T) {
	root := tree(t, "kubernetes-v2")
	b := openTree(t, root)
	own, outer := root+v2+"/"+pod+"/cri-containerd-"+container+".scope", root+v2+"/"+pod
	for _, step := range []struct {
		file, text string
		limit      int64
		from       string
	}{
		{own + "/cpu.max.burst", "50000\n", 1000, own + "/cpuset.cpus.effective"},
		{own + "/cpu.max", "70000 100000\n", 700, own + "/cpu.max"},
		{outer + "/cpu.max", "60000 200000\n", 300, outer + "/cpu.max"},
		{outer + "/cpu.max", "max 100000\n", 700, own + "/cpu.max"},
		{own + "/cpuset.cpus.effective", "0-1\n", 700, own + "/cpu.max"},
		{own + "/cpu.max", "max 100000\n", 1000, root + "/proc/self/status"},
	} {
		write(t, step.file, step.text)
		if c, err := b.CPU(); err != nil || c.Limit != step.limit || c.LimitFrom != step.from {
			t.Errorf("after %q in %s: got %+v, %v, want %d from %s", step.text, step.file, c, err, step.limit, step.from)
		}
	}
}
