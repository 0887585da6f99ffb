package main

import (
	"errors"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/memsup/memsup/budget"
)

// askOthers applies the formulas of others to the same files at the same moment.
func (r *row) askOthers(b *budget.Budget) error {
	host := keyed("/proc/meminfo")
	hostTotal, hostAvailable := host["MemTotal:"]<<10, host["MemAvailable:"]<<10
	if hostTotal == 0 {
		return errors.New("/proc/meminfo has no MemTotal")
	}
	r.Others["free"] = hostAvailable
	dir, v1, ok := b.Place()
	if !ok {
		return errors.New("no memory cgroup")
	}
	c := group{dir, v1}
	limit, usage, stat := c.limit(), c.usage(), c.stat()

	// docker stats shows usage without inactive_file, of the container's own limit or
	// the host's memory (docker/cli, calculateMemUsageUnixNoCache).
	inactive := stat["inactive_file"]
	if v1 {
		inactive = stat["total_inactive_file"]
	}
	working := max(0, usage-inactive)
	r.Others["docker stats"] = max(0, min(limit, hostTotal)-working)

	// kubelet's working set is usage without inactive_file; what is available is the
	// limit less that, where there is a limit (kubernetes, eviction's
	// memory.available for containers; cadvisor, setMemoryStats).
	r.Others["kubelet"] = max(0, min(limit, hostTotal)-working)

	// libuv, uv_get_available_memory: the lower of memory.max and memory.high (v1:
	// the soft limit) less usage; MemAvailable where they are above the host's memory.
	constrained := min(limit, c.soft())
	switch {
	case constrained > hostTotal:
		r.Others["libuv"] = hostAvailable
	default:
		r.Others["libuv"] = max(0, constrained-usage)
	}

	// The JDK, os::available_memory in a container: limit less usage, of the level
	// with the lowest limit; free memory of the host where there is no limit.
	tightest := c.tightest()
	lowest := tightest.limit()
	if hidden := stat["hierarchical_memory_limit"]; v1 && hidden > 0 && hidden < lowest {
		tightest, lowest = c, hidden
	}
	if lowest > hostTotal {
		r.Others["JDK"] = hostAvailable
	} else {
		r.Others["JDK"] = max(0, lowest-tightest.usage())
	}

	// lxcfs's MemAvailable since 7.0: the lowest limit of the levels or the host's
	// memory, less the own level's usage, plus its file pages and reclaimable slab
	// (src/proc_fuse.c, proc_meminfo_read).
	cache := stat["active_file"] + stat["inactive_file"] + stat["slab_reclaimable"]
	if v1 {
		cache = stat["total_active_file"] + stat["total_inactive_file"]
	}
	r.Others["lxcfs"] = max(0, min(c.tightest().limit(), hostTotal)-usage+cache)
	return nil
}

// tightest is the level with the lowest limit, of g and those around it.
func (g group) tightest() group {
	for up := g; ; {
		up = group{up.dir[:strings.LastIndexByte(up.dir, '/')], g.v1}
		if up.limit() == math.MaxInt64 && up.usage() == 0 {
			return g
		}
		if up.limit() < g.limit() {
			g = up
		}
	}
}

// group is the directory of one memory cgroup.
type group struct {
	dir string
	v1  bool
}

func (g group) limit() int64 { return g.number("memory.max", "memory.limit_in_bytes") }
func (g group) soft() int64  { return g.number("memory.high", "memory.soft_limit_in_bytes") }

func (g group) usage() int64 {
	if n := g.number("memory.current", "memory.usage_in_bytes"); n < math.MaxInt64 {
		return n
	}
	return 0
}

func (g group) stat() map[string]int64 { return keyed(g.dir + "/memory.stat") }

// number is a file's number; the largest where it has none, as "max" or no file.
func (g group) number(v2, v1 string) int64 {
	name := v2
	if g.v1 {
		name = v1
	}
	text, _ := os.ReadFile(g.dir + "/" + name)
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n > math.MaxInt64-1<<20 {
		return math.MaxInt64
	}
	return n
}

func keyed(path string) map[string]int64 {
	text, _ := os.ReadFile(path)
	m := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 {
			if n, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				m[f[0]] = n
			}
		}
	}
	return m
}
