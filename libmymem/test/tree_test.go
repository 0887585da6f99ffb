package libmymem

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// trees are package budget's captured trees, and places that none of them shows.
func trees(t *testing.T) map[string]*txtar.Archive {
	t.Helper()
	archives, err := filepath.Glob("../../budget/testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	trees := make(map[string]*txtar.Archive)
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		trees[strings.TrimSuffix(filepath.Base(path), ".txtar")] = archive
	}
	for name, text := range places {
		trees[name] = txtar.Parse([]byte(meminfo + text))
	}
	// What the captured ones do not have, half of them without overcommitting.
	for i, name := range slices.Sorted(maps.Keys(trees)) {
		extra := []txtar.File{
			{Name: "proc/net/sockstat", Data: []byte("sockets: used 300\nTCP: inuse 3 orphan 0 tw 0 alloc 3 mem 1\n")},
			{Name: "proc/sys/vm/overcommit_memory", Data: fmt.Appendln(nil, i%2*2)},
		}
		for _, f := range extra {
			if text(trees[name], f.Name) == nil {
				trees[name].Files = append(trees[name].Files, f)
			}
		}
	}
	return trees
}

// text is that of a file of archive.
func text(archive *txtar.Archive, name string) []byte {
	for _, f := range archive.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

const (
	meminfo = "-- proc/meminfo --\nMemTotal: 1048576 kB\nMemFree: 524288 kB\nActive(file): 8192 kB\nInactive(file): 4096 kB\nSReclaimable: 4096 kB\nSwapTotal: 4096 kB\nSwapFree: 2048 kB\nCommitLimit: 528384 kB\nCommitted_AS: 520192 kB\n" +
		"-- proc/zoneinfo --\nNode 0, zone   Normal\n  pages free     36113\n        min      1024\n        low      2048\n        high     4096\n        spanned  262144\n        managed  262000\n"
	stat2 = "inactive_file 2097152\nactive_file 1048576\nfile_dirty 4096\nfile_writeback 4096\nslab_reclaimable 8388608\n"
	stat1 = "total_inactive_file 2097152\ntotal_active_file 1048576\ntotal_dirty 4096\ntotal_writeback 4096\n"
)

// long is above PATH_MAX.
var long = strings.Repeat("a/b", 2000)

var places = map[string]string{
	"escapes": `-- proc/self/mountinfo --
30 23 0:26 /my\040app\056 /sys/my\134cgroups ro shared:1 master:2 - cgroup2 cgroup rw
-- proc/self/cgroup --
0::/my app./a:b
-- sys/my\cgroups/a:b/memory.max --
67108864
-- sys/my\cgroups/a:b/memory.current --
33554432
-- sys/my\cgroups/a:b/memory.stat --
` + stat2 + `-- sys/my\cgroups/memory.max --
max
-- sys/my\cgroups/memory.high --
50331648
`,
	"a prefix that is no parent": `-- proc/self/mountinfo --
30 23 0:26 /fo /cg ro - cgroup2 cgroup rw
-- proc/self/cgroup --
0::/foo
-- cg/memory.max --
67108864
-- cgo/memory.max --
1
`,
	"outside of the namespace": `-- proc/self/mountinfo --
30 23 0:26 /../.. /cg ro - cgroup2 cgroup rw
-- proc/self/cgroup --
0::/../other
-- cg/memory.max --
67108864
-- cg/other/memory.max --
1
`,
	"a way out of the mount": `-- proc/self/mountinfo --
30 23 0:26 / /cg ro - cgroup2 cgroup rw
-- proc/self/cgroup --
0::/../other
-- cg/memory.max --
67108864
-- other/memory.max --
1
`,
	"two mounts": `-- proc/self/mountinfo --
30 23 0:26 / /host/ ro - cgroup2 cgroup rw
31 23 0:26 /a/b /cg ro - cgroup2 cgroup rw
-- proc/self/cgroup --
0::/a/b/
-- host/a/b/memory.max --
67108864
-- host/a/memory.max --
33554432
-- host/a/memory.current --
16777216
-- host/a/memory.stat --
` + stat2 + `-- cg/memory.max --
1048576
`,
	"single files": `-- proc/self/mountinfo --
30 23 0:26 /a/memory.max /cg/memory.max ro - cgroup2 cgroup rw
31 23 0:26 /a/memory.current /cg/memory.current ro - cgroup2 cgroup rw
-- proc/self/cgroup --
0::/a
-- cg/memory.max --
67108864
-- cg/memory.current --
4096
`,
	"a cgroup named like a file": `-- proc/self/mountinfo --
30 23 0:26 /memory.slice /cg/memory.slice ro - cgroup2 cgroup rw
-- proc/self/cgroup --
0::/memory.slice/web
-- cg/memory.slice/web/memory.max --
67108864
-- cg/memory.max --
1
`,
	"v1 by its options": `-- proc/self/mountinfo --
30 23 0:26 / /cg/memory ro - cgroup cgroup rw,cpu
31 23 0:27 / /cg/x ro - cgroup cgroup rw,cpuset,memory
32 23 0:28 / /cg/unified ro - cgroup2 cgroup rw
-- proc/self/cgroup --
3:cpuset,memory:/a
2:cpu:/b
0::/c
-- cg/x/a/memory.limit_in_bytes --
67108864
-- cg/x/a/memory.usage_in_bytes --
16777216
-- cg/x/a/memory.stat --
` + stat1 + `hierarchical_memory_limit 33554432
-- cg/x/a/memory.memsw.limit_in_bytes --
68157440
-- cg/x/a/memory.memsw.usage_in_bytes --
20971520
-- cg/unified/c/memory.max --
2
`,
	"two levels with sockets": `-- proc/self/mountinfo --
30 23 0:26 / /cg ro - cgroup2 cgroup rw
-- proc/self/cgroup --
0::/a
-- cg/a/memory.max --
67108864
-- cg/a/memory.current --
33554432
-- cg/a/memory.stat --
` + stat2 + `-- cg/memory.max --
50331648
-- cg/memory.current --
41943040
-- cg/memory.stat --
` + stat2 + `-- proc/net/sockstat --
sockets: used 4096
TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 0
`,
	"no sockets to count": `-- proc/self/mountinfo --
30 23 0:26 / /cg ro - cgroup2 cgroup rw
-- proc/self/cgroup --
0::/
-- cg/memory.max --
67108864
-- cg/memory.current --
33554432
-- cg/memory.stat --
` + stat2 + `-- proc/net/sockstat --
TCP: inuse 1
`,
	"an empty mountinfo": "-- proc/self/mountinfo --\n",
	"as much as the host": `-- proc/self/mountinfo --
30 23 0:26 / /cg ro - cgroup2 cgroup rw
-- proc/self/cgroup --
0::/
-- cg/memory.max --
558759936
`,
	"v1 parents apart": `-- proc/self/mountinfo --
31 23 0:27 / /cg ro - cgroup cgroup rw,memory
-- proc/self/cgroup --
3:memory:/a/b
-- cg/a/b/memory.limit_in_bytes --
9223372036854771712
-- cg/a/memory.limit_in_bytes --
67108864
-- cg/a/memory.usage_in_bytes --
4194304
-- cg/a/memory.stat --
` + stat1 + `-- cg/a/memory.use_hierarchy --
1
-- cg/memory.limit_in_bytes --
3
-- cg/memory.use_hierarchy --
0
`,
	"paths longer than any": `-- proc/self/mountinfo --
30 23 0:26 / /` + long + ` ro - cgroup cgroup rw,memory
31 23 0:26 / /cg ro - cgroup2 cgroup rw
-- proc/self/cgroup --
1:memory:/
0::/` + long + `
-- cg/memory.max --
67108864
`,
	"no cgroup": `-- proc/self/cgroup --
`,
}

func unpack(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	root := t.TempDir()
	for _, f := range archive.Files {
		write(t, filepath.Join(root, f.Name), f.Data)
	}
	return root
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
