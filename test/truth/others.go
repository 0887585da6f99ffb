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

	// The JDK, os::available_memory in a container: limit less usage; v1's limit is
	// the hierarchy's. Free memory of the host where there is no limit.
	if v1 && stat["hierarchical_memory_limit"] > 0 {
		limit = min(limit, stat["hierarchical_memory_limit"])
	}
	if limit > hostTotal {
		r.Others["JDK"] = hostAvailable
	} else {
		r.Others["JDK"] = max(0, limit-usage)
	}

	// lxcfs's MemAvailable: the lowest limit of the levels or the host's memory, less
	// the usage, plus all of the page cache, shared memory in it
	// (src/proc_fuse.c, proc_meminfo_read).
	lowest := min(c.limit(), hostTotal)
	for up := c; ; {
		parent := group{up.dir[:strings.LastIndexByte(up.dir, '/')], v1}
		if parent.limit() == math.MaxInt64 && parent.usage() == 0 {
			break
		}
		lowest = min(lowest, parent.limit())
		up = parent
	}
	cache := stat["file"]
	if v1 {
		cache = stat["total_cache"]
	}
	r.Others["lxcfs"] = max(0, lowest-usage+cache)
	return nil
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
