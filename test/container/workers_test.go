//go:build container

package container

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// Only what was asked to scale is duplicated, and release is not run at all.
func TestTypes(t *testing.T) {
	t.Parallel()
	c := start(t, &workersImage, append(memory("256m"), files(t, "types")...))
	c.steady(2*time.Minute, "web", func(n int) bool { return n == 3 })
	var started []string
	for _, line := range c.lines("started|serving|released") {
		name, _, _ := strings.Cut(line, ":")
		started = append(started, name)
	}
	slices.Sort(started)
	if want := []string{"clock.1", "web.1", "web.2", "web.3", "worker.1"}; !slices.Equal(started, want) {
		t.Errorf("started %v, want %v", started, want)
	}
	c.stop(0)
}

// Twenty thousand orphans are reaped while memsup's own workers end with the
// statuses that they gave.
func TestOrphans(t *testing.T) {
	t.Parallel()
	t.Run("command", func(t *testing.T) {
		t.Parallel()
		c := start(t, &workersImage, memory("256m"), "--", "stress", "orphans", "-n", "2000", "-exit", "7")
		c.await(1, "2000 orphans")
		c.await(1, "^stress: 0 left")
		if code := c.wait(); code != 7 {
			t.Errorf("exit status %d, want the command's own 7", code)
		}
	})
	t.Run("Procfile", func(t *testing.T) {
		t.Parallel()
		c := start(t, &workersImage, append(memory("256m"), files(t, "orphans")...))
		c.eventually(6*time.Minute, "none left", func() bool { return len(c.lines("^orphans.1: 0 left")) > 0 })
		if len(c.lines("^orphans.1: 20000 orphans")) != 1 {
			t.Error("there were no 20000 orphans")
		}
		if code := c.wait(); code != 9 {
			t.Errorf("exit status %d, want 9 of the only worker that failed", code)
		}
	})
}

// Docker's own ways to stop and to signal a container reach the workers, and
// stopping takes as long as they need and no longer.
func TestStop(t *testing.T) {
	t.Parallel()
	for name, words := range map[string][]string{
		"Procfile": {"--grace", "100s"},
		"command":  {"--grace", "100s", "--", "stress", "signals", "-stop", "2s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, &workersImage, append(memory("256m"), files(t, "stop")...), words...)
			workers := 1
			if name == "Procfile" {
				workers = 2
			}
			c.await(workers, ": ready")
			if _, err := docker("kill", "--signal", "USR1", c.id); err != nil {
				t.Fatal(err)
			}
			c.await(workers, ": caught SIGUSR1")
			began := time.Now()
			c.stop(0)
			if took := time.Since(began); took < 2*time.Second || took > 50*time.Second {
				t.Errorf("took %s; the slowest worker takes 2s and the grace is 100s", took)
			}
			if n := len(c.lines(": stopped")); n != workers {
				t.Errorf("%d workers stopped by themselves, want %d", n, workers)
			}
		})
	}
}

// A worker that will not stop is killed at the end of the grace; the stop was
// asked for, so that is no failure.
func TestStubborn(t *testing.T) {
	t.Parallel()
	c := start(t, &workersImage, append(memory("256m"), files(t, "stubborn")...), "--grace", "1s")
	c.await(1, "^stubborn.1: ready")
	c.stop(0)
	if n := len(c.lines("^stubborn.1: caught SIGTERM")); n != 1 {
		t.Errorf("was asked to stop %d times, want once", n)
	}
}
