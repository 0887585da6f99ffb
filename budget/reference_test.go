package budget

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestReference reads each tree in the slow and obvious way and compares.
func TestReference(t *testing.T) {
	for _, tt := range trees {
		t.Run(tt.name, func(t *testing.T) {
			root := tree(t, tt.name)
			b := openTree(t, root)
			for _, ceiling := range []int64{0, 1, 100 * mib, 1 << 50} {
				b.SetLimit(ceiling)
				got := read(t, b)
				limit, available, headroom := reference(t, root, tt.levels, ceiling)
				if got.Limit != limit || got.Available != available || got.Headroom != headroom {
					t.Errorf("SetLimit(%d): Read gave limit %d, available %d, headroom %d; the reference %d, %d, %d",
						ceiling, got.Limit, got.Available, got.Headroom, limit, available, headroom)
				}
			}
		})
	}
}

func reference(t *testing.T, root string, levels []string, ceiling int64) (limit, available, headroom int64) {
	host := numbers(t, root+"/proc/meminfo")
	limit, available = host["MemTotal:"]*kib, host["MemAvailable:"]*kib
	headroom = available
	var inFile, inClean int64 // of the level within
	narrow := func(l, used, more int64, stat map[string]int64) {
		limit = min(limit, l)
		slab := stat["slab_reclaimable"]
		file := stat["inactive_file"] + stat["active_file"] + max(0, slab-512*kib)
		clean := stat["inactive_file"] - stat["file_dirty"] - stat["file_writeback"]
		if _, ok := stat["total_cache"]; ok {
			file = stat["total_inactive_file"] + stat["total_active_file"]
			clean = stat["total_inactive_file"] - stat["total_dirty"] - stat["total_writeback"]
		}
		if l < 1<<62 {
			inFile, inClean = max(min(inFile, used), min(used, file)), max(min(inClean, used), min(used, clean))
			file, clean = max(file, inFile), max(clean, inClean)
		}
		free := min(l-used, more)
		available = min(available, max(0, free+min(used, file)))
		headroom = min(headroom, max(0, free+max(0, min(used, clean))))
	}
	const unlimited = 1 << 62
	for i, level := range levels {
		dir := root + level
		stat := numbers(t, dir+"/memory.stat")
		used := number(dir+"/memory.current", 0) + number(dir+"/memory.usage_in_bytes", 0)
		l := min(number(dir+"/memory.max", unlimited), number(dir+"/memory.limit_in_bytes", unlimited))
		if hidden, ok := stat["hierarchical_memory_limit"]; ok && i == len(levels)-1 {
			l = min(l, hidden)
		}
		more := number(dir+"/memory.memsw.limit_in_bytes", unlimited) - number(dir+"/memory.memsw.usage_in_bytes", 0)
		if host["SwapTotal:"] == 0 {
			more = unlimited
		}
		narrow(l, used, more, stat)
		if i == 0 && ceiling > 0 {
			narrow(ceiling, used, unlimited, stat)
		}
	}
	if len(levels) == 0 && ceiling > 0 {
		narrow(ceiling, (host["MemTotal:"]-host["MemAvailable:"])*kib, unlimited, nil)
	}
	available = min(available, limit)
	return limit, available, min(headroom, available)
}

// numbers reads the lines of a file whose second word is a number.
func numbers(t *testing.T, path string) map[string]int64 {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := make(map[string]int64)
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 {
			if n, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				m[f[0]] = n
			}
		}
	}
	return m
}

func number(path string, otherwise int64) int64 {
	text, _ := os.ReadFile(path)
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return otherwise
	}
	return n
}
