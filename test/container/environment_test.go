//go:build container

package container

import (
	"fmt"
	"strings"
	"testing"
)

// What a worker is told of its memory is what `docker inspect` says and what
// the cgroup's files say at that moment.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	c := start(t, &workersImage, append(memory("300m"), "--cpus", "0.5"), "--", "stress", "environment")
	c.await(1, "available=")
	if code := c.wait(); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
	got := map[string]string{}
	for _, line := range c.out() {
		name, value, _ := strings.Cut(strings.TrimPrefix(line, "stress: "), "=")
		got[name] = value
	}
	if limit := c.inspect("{{.HostConfig.Memory}}"); got["MEM_LIMIT"] != limit || got["limit"] != limit {
		t.Errorf("MEM_LIMIT=%s, the cgroup says %s, docker %s", got["MEM_LIMIT"], got["limit"], limit)
	}
	if got["CPU_LIMIT"] != "0.5" {
		t.Errorf("CPU_LIMIT=%s, want 0.5", got["CPU_LIMIT"])
	}
	told, real := number(t, got["MEM_AVAILABLE"]), number(t, got["available"])
	if d := told - real; d < -8<<20 || d > 8<<20 {
		t.Errorf("MEM_AVAILABLE=%d, the cgroup's files say %d", told, real)
	}
}

// What a worker is told stands the truth test, too: a process that takes memory until
// it is refused gets MEM_AVAILABLE, within a twentieth of the limit.
func TestAvailableIsTrue(t *testing.T) {
	t.Parallel()
	c := start(t, &workersImage, memory("256m"), "--", "stress", "take")
	// While the taker dies the kernel may find the one who counts at a page
	// fault, and kill it too: then nobody tells, and another try is needed.
	for try := 1; c.wait() == 137 && len(c.lines("took")) == 0 && try < 5; try++ {
		c = start(t, &workersImage, memory("256m"), "--", "stress", "take")
	}
	var took, told int64
	line := c.await(1, "took")
	if _, err := fmt.Sscanf(line, "stress: took %d MEM_AVAILABLE %d", &took, &told); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	t.Logf("took %d, was told %d", took, told)
	if d := told - took; d < -256<<20/20 || d > 256<<20/20 {
		t.Errorf("took %d bytes, MEM_AVAILABLE said %d", took, told)
	}
}

// `memsup env` says in a shell of the container what a worker was told, and so do
// `memsup free` and `memsup meminfo`.
func TestEnvCommand(t *testing.T) {
	t.Parallel()
	c := start(t, &workersImage, append(memory("300m"), files(t, "stop")...))
	c.await(2, ": ready")
	if !strings.Contains(c.exec("memsup", "env", "--format", "dotenv"), "MEM_LIMIT=314572800") {
		t.Error("no MEM_LIMIT=314572800 in `memsup env --format dotenv`")
	}
	if text := c.exec("memsup", "free", "-b"); !strings.Contains(text, "\nMem:       314572800 ") {
		t.Errorf("memsup free -b:\n%s", text)
	}
	text := c.exec("memsup", "meminfo")
	var total, anon, cached int64
	for line := range strings.Lines(text) {
		_, _ = fmt.Sscanf(line, "MemTotal: %d kB", &total)
		_, _ = fmt.Sscanf(line, "AnonPages: %d kB", &anon)
		_, _ = fmt.Sscanf(line, "Cached: %d kB", &cached)
	}
	if total != 300<<10 || anon <= 0 || cached <= 0 || anon+cached > total {
		t.Errorf("memsup meminfo:\n%s", text)
	}
	c.stop(0)
}
