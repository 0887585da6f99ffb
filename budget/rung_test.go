package budget

import (
	"net"
	"strings"
	"testing"
)

// TestWhyNoCgroup has cgroups that tell nothing of memory.
func TestWhyNoCgroup(t *testing.T) {
	const v2mount = "30 23 0:26 / /cg ro - cgroup2 cgroup rw\n"
	for name, tt := range map[string]struct{ mounts, files, why, rung string }{
		"none":                 {"26 1 8:1 / / rw - ext4 /dev/sda1 rw\n", "", "no cgroup file system is mounted", "processes"},
		"hybrid":               {"30 23 0:26 / /cg ro - cgroup cgroup rw,pids\n", "", "no cgroup with the memory controller is mounted", "processes"},
		"v1 that is hidden":    {"30 23 0:26 / /cg ro - cgroup cgroup rw,memory\n", "-- cg/x --\n", "/cg has no memory.limit_in_bytes to read", "processes"},
		"v2 that is hidden":    {v2mount, "-- cg/x --\n", "/cg has no memory.max to read", "processes"},
		"v2 without memory":    {v2mount, "-- cg/cgroup.controllers --\ncpu pids\n", "/cg has no memory controller", "processes"},
		"the machine's root":   {v2mount, "-- cg/cgroup.controllers --\ncpu memory pids\n", "this process is in the machine's root cgroup, which has no limit", "host"},
		"a child without it":   {v2mount, "-- cg/cgroup.controllers --\ncpu memory pids\n-- cg/in/cgroup.controllers --\ncpu\n-- proc/self/cgroup --\n0::/in\n", "/cg/in has no memory controller, and the machine's root cgroup no limit", "host"},
		"something that is it": {v2mount, "-- cg/memory.max --\nmax\n", "", "cgroup v2"},
	} {
		t.Run(name, func(t *testing.T) {
			root := unpack(t, "-- proc/meminfo --\nMemTotal: 1048576 kB\nMemAvailable: 524288 kB\n-- proc/self/cgroup --\n0::/\n"+
				"-- proc/7/statm --\n"+statm(1024, 0)+"-- proc/7/smaps_rollup --\n"+rollup(1024, 1024, 0)+
				"-- proc/self/mountinfo --\n"+tt.mounts+tt.files)
			b := openTree(t, root)
			if why := strings.ReplaceAll(missed(b, "cgroup"), root, ""); why != tt.why || b.Rung() != tt.rung {
				t.Errorf("%s, because of no cgroup %q; want %s, %q", b.Rung(), why, tt.rung, tt.why)
			}
		})
	}
}

// TestFilesFirst: where a cgroup's files answer nobody is asked.
func TestFilesFirst(t *testing.T) {
	root := socketRoot(t)
	for path, text := range map[string]string{
		"/proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "/proc/self/cgroup": "0::/\n",
		"/sys/fs/cgroup/memory.max": "1048576\n", "/sys/fs/cgroup/memory.current": "4096\n",
	} {
		write(t, root+path, text)
	}
	asked := make(chan string, 8)
	for _, socket := range []string{systemdSocket, systemBus, cgmanagerSocket} {
		listen(t, root+socket, func(c net.Conn) {
			asked <- socket
			c.Close()
		})
	}
	b := openTree(t, root)
	if m := read(t, b); m.Limit != mib || b.Rung() != "cgroup v2" || b.Missed() != nil {
		t.Errorf("%s: got %+v; %v", b.Rung(), m, b.Missed())
	}
	b.Sources()
	if len(asked) > 0 { // whoever asks waits until that is noted
		t.Errorf("%s was asked", <-asked)
	}
}

// TestSideBySide: a systemd that answers when cgmanager was asked too comes first, and one
// that hangs does not take cgmanager's time.
func TestSideBySide(t *testing.T) {
	root := socketRoot(t)
	asked := make(chan struct{})
	listen(t, root+cgmanagerSocket, func(net.Conn) { close(asked) })
	listen(t, root+systemdSocket, func(c net.Conn) {
		<-asked
		answering(newManager().handle)(c)
	})
	b := openPatient(t, root)
	if m := read(t, b); b.Rung() != "systemd" || m.Limit != 150*mib || len(b.late) != 0 {
		t.Errorf("%s: got %+v", b.Rung(), m)
	}
}

func TestSystemdHangs(t *testing.T) {
	t.Parallel() // it takes the two seconds
	root := socketRoot(t)
	listen(t, root+systemdSocket, func(net.Conn) {})
	listenCgmanager(t, root, tree(t, "lxc-v1"))
	b := openPatient(t, root)
	if got := b.Rung(); got != "cgmanager" || len(b.late) != 1 || b.late[0].rung != rungSystemd {
		t.Errorf("the rung is %s: %v", got, b.Missed())
	}
}
