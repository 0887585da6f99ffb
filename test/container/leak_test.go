//go:build container

package container

import "testing"

// A worker leaks 10 MiB a second beside two steady ones: memsup replaces it
// before the kernel kills anything, again and again, and the steady ones stay.
func TestLeak(t *testing.T) {
	t.Parallel()
	c := start(t, &workersImage, append(memory("256m"), files(t, "leak")...))
	c.await(3, "^leaky.1: started")
	if n := len(c.lines("^leaky.1: drained")); n != 2 {
		t.Errorf("leaky.1 finished its job %d times, want each of the 2 times it was replaced", n)
	}
	if n := len(c.lines("^steady.[12]: started")); n != 2 {
		t.Errorf("%d steady workers were started, want 2", n)
	}
	if n := len(c.lines("^steady.*drained")); n != 0 {
		t.Errorf("%d steady workers were stopped", n)
	}
	if kills := c.oomKills(); kills != 0 {
		t.Errorf("the kernel killed %d processes for memory", kills)
	}
	c.stop(0)
}

// The same three workers without memsup: the kernel kills, the worker never
// comes back, and the container stays up as if nothing were wrong.
func TestLeakWithoutMemsup(t *testing.T) {
	t.Parallel()
	const runner = `
		PS=steady.1 worker -hold 30MiB & PS=steady.2 worker -hold 30MiB &
		PS=leaky.1 worker -hold 10MiB -leak 10MiB/s & wait; wait; wait`
	c := start(t, &workersImage, append(memory("256m"), "--entrypoint", "sh"), "-c", runner)
	c.eventually(patience, "the kernel kills", func() bool { return c.oomKills() > 0 })
	if n := len(c.lines("^leaky.1: started")); n != 1 {
		t.Errorf("leaky.1 was started %d times, want once", n)
	}
	if running := c.inspect("{{.State.Running}}"); running != "true" {
		t.Error("the container is down")
	}
}
