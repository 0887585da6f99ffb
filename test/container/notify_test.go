//go:build container

package container

import (
	"strings"
	"testing"
)

// Debian's gunicorn, unmodified, says by sd_notify when it is ready and what it
// does, and answers when it is asked whether it is alive. A worker that no longer
// says so is ended by its watchdog, and only then.
func TestNotify(t *testing.T) {
	t.Parallel()
	c := start(t, &gunicornImage, append(memory("256m"), files(t, "notify")...))
	c.await(1, "beat: starts, watched every 5.0 s, by its own pid: True")
	c.eventually(patience, "both gunicorns are ready", func() bool { return c.of("web").Ready == 2 })
	if text := c.exec("memsup", "status"); strings.Count(text, "Gunicorn arbiter booted") != 2 {
		t.Errorf("memsup status does not show what two gunicorns say:\n%s", text)
	}
	log := func() string { return strings.Join(c.err(), "\n") }
	if text := log(); !strings.Contains(text, `ready: worker=web.1 because="it said READY=1"`) {
		t.Errorf("web.1 is not ready because it said so:\n%s", text)
	}
	c.await(1, "beat: hangs")
	if strings.Contains(log(), "not alive") {
		t.Error("it was ended while it said that it is alive")
	}
	c.await(2, "beat: starts")
	if text := log(); !strings.Contains(text, "beat.1 is not alive: no WATCHDOG=1 in 5s") || strings.Contains(text, "web.1 is not alive") {
		t.Errorf("what the log says of it:\n%s", text)
	}
	c.stop(0)
}
