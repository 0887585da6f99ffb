//go:build container

package container

import (
	"encoding/json"
	"strings"
	"testing"
)

// hardened takes from a container what a careful operator takes.
func hardened() []string {
	return append(memory("256m"), "--read-only", "--user", "1000:1000", "--cap-drop", "ALL",
		"--security-opt", "no-new-privileges")
}

// A read-only root filesystem, an unprivileged user and no capability: memsup
// scales, answers `memsup status` and stops as ever.
func TestHardened(t *testing.T) {
	t.Parallel()
	c := start(t, &workersImage, append(hardened(), files(t, "types")...))
	c.await(3, "^web.[123]: serving")
	stream := c.request("5000")
	var s status
	if err := json.Unmarshal([]byte(c.exec("memsup", "status", "--json")), &s); err != nil {
		t.Fatal(err)
	}
	if s.Container.Limit != 256<<20 || len(s.Workers) != 5 {
		t.Errorf("limit %d and %d workers, want 256 MiB and 5", s.Container.Limit, len(s.Workers))
	}
	stream.stop()
	stream.check(t)
	c.stop(0)
}

// With no directory that it may write, memsup runs without a control socket
// and says so in one line.
func TestNowhereToWrite(t *testing.T) {
	t.Parallel()
	c := start(t, &workersImage, append(append(hardened(), "--ipc", "none"), files(t, "stop")...))
	c.await(2, ": ready")
	c.stop(0)
	said := 0
	for _, line := range c.err() {
		if strings.Contains(line, "control") {
			said++
		}
	}
	if said != 1 {
		t.Errorf("%d lines about the control socket, want 1", said)
	}
}
