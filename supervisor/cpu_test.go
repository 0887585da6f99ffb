package supervisor

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/memsup/memsup/budget"
	"github.com/memsup/memsup/procfile"
)

// TestQuotaChanges: a quota that changes at run time changes auto's maximum, at
// a look that is some minutes after the last one.
func TestQuotaChanges(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("proc/meminfo", "MemTotal: 1048576 kB\nMemAvailable: 1048576 kB\n")
	write("proc/self/mountinfo", "30 23 0:26 / /cg ro - cgroup2 cgroup rw\n")
	write("proc/self/cgroup", "0::/\n")
	write("cg/memory.max", "536870912\n")
	write("cg/cpu.max", "250000 100000\n")
	write("sys/devices/system/cpu/online", "0-7\n")
	b, err := budget.OpenAt(root)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	s := &supervisor{c: &Config{}, budget: b, begin: time.Now()}
	s.sys.memory = b.Read
	web := &processType{Type: Type{Name: "web", Range: procfile.Range{Min: 1, Auto: true}}}
	s.types = []*processType{web}
	for _, step := range []struct {
		at      time.Duration
		quota   string
		most    int
		sources string
	}{
		{cpuLook, "250000 100000\n", 10, root + "/cg/cpu.max"},
		{cpuLook + cpuLook/2, "100000 100000\n", 10, root + "/cg/cpu.max"},
		{2 * cpuLook, "100000 100000\n", 4, root + "/cg/cpu.max"},
		{3 * cpuLook, "max 100000\n", 32, root + "/sys/devices/system/cpu/online"},
	} {
		write("cg/cpu.max", step.quota)
		if !s.look(step.at) {
			t.Fatal("memory cannot be read")
		}
		if _, most := s.rangeOf(web); most != step.most {
			t.Errorf("at %s with %q: at most %d, want %d", step.at, step.quota, most, step.most)
		}
		sources := s.container().Sources
		if got := sources[len(sources)-1]; len(sources) != 3 || got != step.sources {
			t.Errorf("at %s: sources %q, want %s last", step.at, sources, step.sources)
		}
		if s.pcfg.Types != nil && s.pcfg.Types[0].Max != step.most {
			t.Errorf("at %s the policy's maximum is %d", step.at, s.pcfg.Types[0].Max)
		}
	}
}
