package leaf

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// place is a directory with a cgroup's files as plain ones.
func place(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// child is a cgroup that is not the root, with these processes.
func child(procs string) map[string]string {
	return map[string]string{"cgroup.subtree_control": "", "cgroup.procs": procs, "cgroup.controllers": "cpu memory\n", "cgroup.type": "domain\n"}
}

func with(files map[string]string, name string) map[string]string {
	files[name] = ""
	return files
}

// Where memsup may not, nothing is changed, and why is said.
func TestDivideWhereItMayNot(t *testing.T) {
	self := strconv.Itoa(os.Getpid()) + "\n"
	for name, x := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no cgroup":          {nil, "cgroup.subtree_control: no such file or directory"},
		"without memory":     {map[string]string{"cgroup.subtree_control": "", "cgroup.procs": self, "cgroup.controllers": "cpu pids\n"}, "no memory in "},
		"the machine's root": {map[string]string{"cgroup.subtree_control": "", "cgroup.procs": self, "cgroup.controllers": "cpu memory\n"}, "root cgroup, and this is not its PID 1"},
		"before Linux 5.14":  {child(self), "cgroup.kill: no such file or directory"},
		"not the process's":  {with(child("1\n"), "cgroup.kill"), "this process is not in "},
	} {
		dir := place(t, x.files)
		tree, err := Divide(dir)
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: got %v, %v, want %q", name, tree, err, x.want)
		}
		if found, _ := os.ReadDir(dir); len(found) != len(x.files) {
			t.Errorf("%s: %v was left behind", name, found)
		}
	}
}

func TestCost(t *testing.T) {
	for name, x := range map[string]struct {
		stat string
		want int64
	}{
		"since 5.18":  {"anon 1000\nfile 500000\nkernel 300\nkernel_stack 50\nshmem 20\nslab_reclaimable 100\nslab_unreclaimable 90\n", 1220},
		"before":      {"anon 1000\nfile 500000\nkernel_stack 50\npercpu 5\nshmem 20\nslab_reclaimable 100\nslab_unreclaimable 90\n", 1165},
		"no end":      {"anon 1000", 1000},
		"not numbers": {"anon\nshmem x\nkernel -1\n\n", 0},
	} {
		if got := cost([]byte(x.stat)); got != x.want {
			t.Errorf("%s: %d, want %d", name, got, x.want)
		}
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	dir := place(t, map[string]string{
		"cgroup.events": "populated 0\n", "memory.oom.group": "0", "memory.stat": "anon 4096\nfile 700\nkernel 10\nshmem 300\n", "memory.swap.current": "100\n",
		"memory.high": "max\n", "memory.peak": "8192\n",
		"memory.events": "low 0\nmax 3\noom_kill 2\noom_group_kill 1\n",
	})
	l, err := (&Tree{dir: filepath.Dir(dir)}).New(filepath.Base(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	var cost, kills int64
	if n := testing.AllocsPerRun(100, func() {
		cost, _ = l.Cost()
		kills = l.OOMKills()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if cost != 4506 || kills != 2 {
		t.Errorf("cost %d, %d kills, want 4506 and 2", cost, kills)
	}
	if p, ok := l.Parts(); p != (Parts{Anon: 4096, File: 700, Shmem: 300, Swap: 100}) || !ok {
		t.Errorf("parts %+v, %v", p, ok)
	}
	if n, ok := l.Peak(); n != 8192 || !ok {
		t.Errorf("peak %d, %v", n, ok)
	}
	for n, want := range map[int64]string{300 << 20: "314572800", 0: "max"} {
		if err := os.WriteFile(dir+"/memory.high", nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := l.Brake(n); err != nil {
			t.Error(err)
		}
		if b, _ := os.ReadFile(dir + "/memory.high"); string(b) != want {
			t.Errorf("Brake(%d): memory.high is %q", n, b)
		}
	}
	if b, _ := os.ReadFile(dir + "/memory.oom.group"); string(b) != "1" {
		t.Errorf("memory.oom.group is %q", b)
	}
}

// A cgroup of that name is taken over where it is left from before, and not where
// somebody lives in it.
func TestNewWhereThereIsOne(t *testing.T) {
	tree := &Tree{dir: t.TempDir()}
	for events, want := range map[string]bool{"populated 0\nfrozen 0\n": true, "populated 1\nfrozen 0\n": false} {
		dir := filepath.Join(tree.dir, "web.1")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"cgroup.events": events, "memory.oom.group": "0", "memory.stat": "", "memory.events": ""} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		l, err := tree.New("web.1")
		if got := err == nil; got != want {
			t.Errorf("%q: %v", events, err)
		}
		if l != nil {
			if l.Name() != "web.1" {
				t.Errorf("its name is %s", l.Name())
			}
			l.close()
		}
	}
}

func TestAround(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"memsup", "web.1", "other"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if around, ok := Around(filepath.Join(dir, "web.1")); ok {
		t.Errorf("without memsup's own: %s", around)
	}
	if err := os.WriteFile(filepath.Join(dir, "memsup", "cgroup.procs"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"memsup", "web.1"} {
		if around, ok := Around(filepath.Join(dir, name)); !ok || around != dir {
			t.Errorf("%s: %s, %v", name, around, ok)
		}
	}
	if around, ok := Around(dir); ok {
		t.Errorf("the container's own: %s", around)
	}
}
