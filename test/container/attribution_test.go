//go:build container

package container

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// The kernel kills a worker's child, which memsup, with its cgroups read-only, is not told
// of. It finds out whose it was. Observing only, it does not act before the kernel.
func TestKilledChildIsAttributed(t *testing.T) {
	t.Parallel()
	c := start(t, &workersImage, append(memory("128m"), files(t, "child")...), "--mode", "observe", "--grace", "100s")
	c.await(1, "shelly lost its child: 137")
	child := ""
	for _, line := range c.lines("^shelly.1: started, pid ") {
		child = regexp.MustCompile(`pid (\d+)`).FindStringSubmatch(line)[1]
	}
	const text = "the kernel killed a process of shelly.1 for memory"
	c.eventually(patience, "a word of whose the process was", func() bool {
		return strings.Contains(strings.Join(c.err(), "\n"), text)
	})
	for _, line := range c.err() {
		if strings.Contains(line, text) && !strings.Contains(line, "pid="+child+" ") {
			t.Errorf("want process %s: %s", child, line)
		}
	}
	if got, want := c.exec("memsup", "status", "--json"), fmt.Sprintf("the kernel killed its process %s (", child); !strings.Contains(got, want) {
		t.Errorf("status does not tell %q:\n%s", want, got)
	}
	c.stop(0)
}

// A command that ends for the loss of its child, which it does not tell, leaves word of it.
func TestKilledChildOfACommand(t *testing.T) {
	t.Parallel()
	c := start(t, &workersImage, memory("128m"), "--", "sh", "-c", "worker -hold 10MiB -leak 60MiB/s; exit 3")
	if code := c.wait(); code != 3 {
		t.Errorf("exit status %d, want the command's own 3", code)
	}
	if said := strings.Join(c.err(), "\n"); !strings.Contains(said, "the kernel killed a process for memory") {
		t.Errorf("it says nothing of the kill")
	}
}
