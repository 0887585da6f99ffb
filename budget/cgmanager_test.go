package budget

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// listenCgmanager serves org.linuxcontainers.cgmanager0_0 for the process's own
// cgroup, as the published interface has it, from a captured tree of cgroup v1.
// Newlines at the end of a file are left out, as the real one does.
func listenCgmanager(t *testing.T, root, tree string) {
	listen(t, root+cgmanagerSocket, answering(func(_, path, member string, args []any) ([]any, error) {
		const iface = "org.linuxcontainers.cgmanager0_0."
		if path != "/org/linuxcontainers/cgmanager" || !strings.HasPrefix(member, iface) {
			return nil, errors.New("org.freedesktop.DBus.Error.UnknownMethod")
		}
		switch strings.TrimPrefix(member, iface) {
		case "Ping":
			return nil, nil
		case "GetPidCgroup":
			return []any{"/lxc/web"}, nil
		case "GetValue":
			if len(args) != 3 || args[1] != "" {
				return nil, errors.New("org.freedesktop.DBus.Error.InvalidArgs")
			}
			found, _ := filepath.Glob(tree + "/sys/fs/cgroup/" + args[0].(string) + "*/lxc/web/" + args[2].(string))
			if len(found) == 0 {
				return nil, errors.New("org.freedesktop.DBus.Error.InvalidArgs")
			}
			text, err := os.ReadFile(found[0])
			if err != nil {
				return nil, err
			}
			return []any{strings.TrimRight(string(text), "\n")}, nil
		}
		return nil, errors.New("org.freedesktop.DBus.Error.UnknownMethod")
	}))
}

// TestCgmanager: what it tells of a tree is what the tree's files tell.
func TestCgmanager(t *testing.T) {
	files := tree(t, "lxc-v1")
	root := socketRoot(t)
	for _, name := range []string{"/proc/meminfo", "/proc/self/status", onlineFile} {
		text, err := os.ReadFile(files + name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, root+name, string(text))
	}
	listenCgmanager(t, root, files)
	b := openPatient(t, root)
	if got := b.Rung(); got != "cgmanager" {
		t.Fatalf("the rung is %s: %v", got, b.Missed())
	}
	direct := openTree(t, files)
	want := read(t, direct)
	want.LimitFrom, want.AvailableFrom = "cgmanager: memory/memory.limit_in_bytes", "cgmanager: memory/memory.limit_in_bytes"
	if got := read(t, b); got != want {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	wantParts, err := direct.Parts()
	if parts, got := b.Parts(); err != nil || got != nil || parts != wantParts {
		t.Errorf("Parts: got %+v, %v, want %+v, %v", parts, got, wantParts, err)
	}
	wantCPU, err := direct.CPU()
	if err != nil {
		t.Fatal(err)
	}
	cpu, err := b.CPU()
	if cpu.Quota != wantCPU.Quota || cpu.LimitFrom != "cgmanager: cpu/cpu.cfs_quota_us" || err != nil {
		t.Errorf("CPU: got %+v, %v, want %+v", cpu, err, wantCPU)
	}
	dir := files + v1 + "/lxc/web/memory."
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(stat), "hierarchical_memory_limit 134217728", "hierarchical_memory_limit 67108864", 1)
	write(t, dir+"stat", text)
	if got := read(t, b); got.Limit != 64*mib || got.LimitFrom != "cgmanager: memory/memory.stat" {
		t.Errorf("with a tighter parent: got %+v", got)
	}
	write(t, dir+"usage_in_bytes", "much\n")
	if _, err := b.Read(); err == nil || !strings.Contains(err.Error(), "cgmanager: memory/memory.usage_in_bytes:1") {
		t.Errorf("with a usage that is none: %v", err)
	}
}

// TestCgmanagerWithoutMemory has a manager that has nothing to tell.
func TestCgmanagerWithoutMemory(t *testing.T) {
	root := socketRoot(t)
	listenCgmanager(t, root, t.TempDir())
	b := openPatient(t, root)
	if why := missed(b, "cgmanager"); !strings.Contains(why, "InvalidArgs") || b.Rung() != "host" {
		t.Errorf("%s; cgmanager is not used because %q", b.Rung(), why)
	}
}
