package budget

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// zoneinfo is of a machine with 1 GiB, as far as it is read.
const zoneinfo = `Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 16815
  pages free     3840
        boost    0
        min      176
        low      220
        high     264
        spanned  4095
        present  3998
        managed  3840
        protection: (0, 950, 950, 950, 950)
  pagesets
    cpu: 0
              count:    0
              high:     0
              batch:    1
Node 0, zone    DMA32
  pages free     195000
        boost    0
        min      11088
        low      13860
        high     16632
        managed  245252
`

func TestZoneinfoBeyondInt64(t *testing.T) {
	line := "managed 549755813888\n"
	if m, flaw := parseZoneinfo([]byte(line + line)); flaw.line != 0 || m.managed != mostPages {
		t.Errorf("got %+v, %+v", m, flaw)
	}
	if m, flaw := parseZoneinfo([]byte(line + line + "managed 1\n")); flaw.line != 3 {
		t.Errorf("got %+v, %+v, want a flaw in line 3", m, flaw)
	}
}

// A corrupt zoneinfo is an error at each reading, until it is none.
func TestCorruptZoneinfo(t *testing.T) {
	root := tree(t, "no-cgroupfs")
	write(t, root+"/proc/zoneinfo", "low x\n")
	b := openTree(t, root)
	for range 2 {
		var flaw *FormatError
		if m, err := b.Read(); !errors.As(err, &flaw) || flaw.Line != 1 {
			t.Errorf("got %+v, %v", m, err)
		}
	}
	write(t, root+"/proc/zoneinfo", zoneinfo)
	read(t, b)
}

// Watermarks that change are seen some minutes later.
func TestZoneinfoChanges(t *testing.T) {
	root := tree(t, "no-cgroupfs")
	write(t, root+"/proc/zoneinfo", "managed 262144\nlow 256\nhigh 512\n")
	write(t, root+"/proc/meminfo", "MemTotal: 1048576 kB\nMemAvailable: 524288 kB\n")
	b := openTree(t, root)
	before := read(t, b).Available
	write(t, root+"/proc/zoneinfo", "managed 262144\nlow 256\nhigh 1024\n")
	if got := read(t, b).Available; got != before {
		t.Errorf("%d bytes available, %d before: the file is read at each look", got, before)
	}
	b.marksAt = b.marksAt.Add(-marksAge)
	if got := read(t, b).Available; got != before+512*int64(os.Getpagesize()) {
		t.Errorf("%d bytes available, %d before", got, before)
	}
}

// What one process can take of the machine goes below the high watermarks and
// into the last of the page cache.
func TestTaking(t *testing.T) {
	m, flaw := parseZoneinfo([]byte(zoneinfo))
	if want := (marks{managed: 249092, low: 14080, high: 16896}); flaw.line != 0 || m != want {
		t.Fatalf("got %+v, %+v, want %+v", m, flaw, want)
	}
	m = marks{m.managed << 12, m.low << 12, m.high << 12}
	for _, tt := range []struct {
		name string
		host host
		more int64
	}{
		{"no cache", host{total: m.managed, available: 700 * mib}, 2816 << 12},
		{"little cache", host{total: m.managed, available: 700 * mib, file: 10 * mib}, 2816<<12 + 5*mib},
		{"much cache", host{total: m.managed, available: 700 * mib, file: 400 * mib}, 2816<<12 + 14080<<12},
		{"slab", host{total: m.managed, available: 700 * mib, slab: 32 * mib}, 2816<<12 + 16*mib - 512*kib},
		{"nothing is available", host{total: m.managed, file: 10 * mib}, 0},
		{"all is available", host{total: m.managed, available: m.managed}, 0},
		{"lxcfs shows the container's memory", host{total: m.managed / 2, available: 100 * mib, file: 50 * mib}, 0},
	} {
		if got := tt.host.taking(m); got != tt.host.available+tt.more {
			t.Errorf("%s: %d more than available, want %d", tt.name, got-tt.host.available, tt.more)
		}
	}
}

// Where the host's memory is what limits, the watermarks count, and not elsewhere.
func TestWatermarks(t *testing.T) {
	for _, limit := range []string{"max", "8589934592", "104857600"} {
		root := tree(t, "docker-v2")
		write(t, root+v2+"/memory.max", limit+"\n")
		before := read(t, openTree(t, root))
		write(t, root+"/proc/zoneinfo", zoneinfo)
		after := read(t, openTree(t, root))
		if more := after.Available - before.Available; (more > 0) != (before.AvailableFrom == "/proc/meminfo") {
			t.Errorf("memory.max %s: %d more is available", limit, more)
		}
		before.Available = after.Available
		if after != before {
			t.Errorf("memory.max %s: got %+v, want %+v", limit, after, before)
		}
	}
}

// Sockets keep slab in use that counts as reclaimable, on v2.
func TestSockets(t *testing.T) {
	root := tree(t, "docker-v2")
	stat, err := os.ReadFile(root + v2 + "/memory.stat")
	if err != nil {
		t.Fatal(err)
	}
	slab := numbers(t, root+v2+"/memory.stat")["slab_reclaimable"]
	set := func(to int64) {
		write(t, root+v2+"/memory.stat", strings.Replace(string(stat), fmt.Sprintf("slab_reclaimable %d", slab), fmt.Sprintf("slab_reclaimable %d", to), 1))
	}
	set(0)
	none := read(t, openTree(t, root)).Available
	for _, tt := range []struct {
		slab    int64
		sockets string
		want    int64
	}{
		{32 * mib, "", 32*mib - 512*kib},
		{32 * mib, "sockets: used 0\nTCP: inuse 1 orphan 0 tw 0 alloc 1 mem 0\n", 32*mib - 512*kib},
		{36 * mib, "sockets: used 4096\n", 32*mib - 512*kib},
		{36 * mib, "sockets: used 40960\n", 0},
		{512 * kib, "nonsense\n", 0}, // too little for anybody to ask
	} {
		set(tt.slab)
		if tt.sockets != "" {
			write(t, root+"/proc/net/sockstat", tt.sockets)
		}
		if got := read(t, openTree(t, root)).Available - none; got != tt.want {
			t.Errorf("slab of %d, %q: %d can be reclaimed, want %d", tt.slab, tt.sockets, got, tt.want)
		}
	}
	set(32 * mib)
	var bad *FormatError
	if _, err := openTree(t, root).Read(); !errors.As(err, &bad) || bad.Path != root+"/proc/net/sockstat" {
		t.Errorf("got %v", err)
	}
}

// Where the kernel does not overcommit it refuses what is above CommitLimit.
func TestOvercommit(t *testing.T) {
	root := tree(t, "docker-v2")
	before := read(t, openTree(t, root))
	host := numbers(t, root+"/proc/meminfo")
	meminfo, err := os.ReadFile(root + "/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	write(t, root+"/proc/meminfo", regexp.MustCompile(`CommitLimit: .*`).ReplaceAllString(string(meminfo), fmt.Sprintf("CommitLimit:     %d kB", host["Committed_AS:"]+1024)))
	for mode, want := range map[string]int64{"0": before.Available, "1": before.Available, "2": mib} {
		write(t, root+"/proc/sys/vm/overcommit_memory", mode+"\n")
		if m := read(t, openTree(t, root)); m.Available != want || mode == "2" && (m.AvailableFrom != "/proc/meminfo" || m.Headroom > mib) {
			t.Errorf("vm.overcommit_memory=%s: got %+v, want %d available", mode, m, want)
		}
	}
}

// What can be reclaimed in a level can be in those around it, also where their
// memory.stat is behind.
func TestReclaimableWithin(t *testing.T) {
	root := unpack(t, "-- proc/meminfo --\nMemTotal: 1048576 kB\nMemAvailable: 1048576 kB\n-- proc/self/cgroup --\n0::/a\n"+
		"-- proc/self/mountinfo --\n30 23 0:26 / /cg ro - cgroup2 cgroup rw\n"+
		"-- cg/memory.max --\n104857600\n-- cg/memory.current --\n62914560\n-- cg/memory.stat --\ninactive_file 0\nactive_file 0\n"+
		"-- cg/a/memory.max --\n209715200\n-- cg/a/memory.current --\n31457280\n-- cg/a/memory.stat --\ninactive_file 20971520\nactive_file 41943040\nfile_dirty 10485760\n")
	m := read(t, openTree(t, root))
	if m.Available != 70*mib || m.Headroom != 50*mib || m.AvailableFrom != "/cg/memory.max" {
		t.Errorf("got %+v, want 70 MiB available and 50 of headroom", m)
	}
}
