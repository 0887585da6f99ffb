//go:build container

package container

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Gunicorns sharing memsup's socket fill 256 MiB to within one of what truly
// fits, shrink and grow as the limit does, survive a refused one, and answer
// every request meanwhile.
func TestGunicorn(t *testing.T) {
	t.Parallel()
	fit := largestThatFits(t)
	if t.Failed() {
		return
	}
	t.Logf("%d gunicorns fit in 256 MiB", fit)

	c := start(t, &gunicornImage, memory("256m"))
	c.await(1, "app loaded")
	if n := c.of("web").Running; n != 1 {
		t.Errorf("started with %d workers, want 1", n)
	}
	if name := c.exec("cat", "/proc/1/comm"); name != "memsup" {
		t.Errorf("the first process is %s, want memsup", name)
	}
	stream := c.request("8080")
	grown := func(n int) bool { return n >= fit-1 && n <= fit+1 }
	n := c.steady(3*time.Minute, "web", grown)
	stream.forget()
	c.eventually(patience, "every worker answers", func() bool {
		processes, _ := stream.answers()
		return processes >= n
	})

	// A gunicorn takes some 7 MiB more while it stops.
	limit := c.unreclaimable() + 8<<20
	c.setLimit(limit)
	c.eventually(patience, "memsup knows the lower limit", func() bool {
		s, err := c.status()
		return err == nil && s.Container.Limit/4096 == limit/4096
	})
	before := n
	n = c.steady(2*time.Minute, "web", func(n int) bool { return n < before })

	if _, err := docker("update", "--memory", "24m", "--memory-swap", "24m", c.id); err == nil {
		t.Error("a limit below what cannot be reclaimed was not refused: is this cgroup v1?")
	} else if after := c.steady(patience, "web", func(int) bool { return true }); after != n {
		t.Errorf("%d workers after the refused limit, %d before", after, n)
	}

	c.setLimit(256 << 20)
	c.steady(4*time.Minute, "web", grown)

	stream.stop()
	stream.check(t)
	if kills := c.oomKills(); kills != 0 {
		t.Errorf("the kernel killed %d processes for memory", kills)
	}
	c.stop(0)
}

// Three clients of an application that waits half a second keep three gunicorns
// busy: that many run, though memory holds more, and one while nobody asks.
func TestGunicornByBacklog(t *testing.T) {
	t.Parallel()
	c := start(t, &gunicornImage, append(memory("512m"), files(t, "demand")...))
	idle := c.steady(2*time.Minute, "web", func(n int) bool { return n == 1 })
	if why := c.of("web").Blocked; why != "demand: no connection waits" {
		t.Errorf("%d without a request because of %q", idle, why)
	}
	stream := c.requestBy(3, "8080")
	n := c.steady(3*time.Minute, "web", func(n int) bool { return n >= 3 })
	if why := c.of("web").Blocked; n > 4 || !strings.HasPrefix(why, "demand: ") {
		t.Errorf("%d for three clients, want 3 or 4; not more because of %q", n, why)
	}
	stream.stop()
	stream.check(t)
	c.stop(0)
}

// largestThatFits tries fixed numbers of gunicorns, one more each time, in a
// memsup that only observes: a number fits where all of them have started and
// answered a few hundred requests without a kill.
func largestThatFits(t *testing.T) int {
	t.Helper()
	for n := 3; ; n++ {
		if !fits(t, n) {
			return n - 1
		}
	}
}

func fits(t *testing.T, n int) (ok bool) {
	t.Run(fmt.Sprintf("fixed number %d", n), func(t *testing.T) {
		c := start(t, &gunicornImage, memory("256m"), "--mode", "observe", "--scale", "web="+strconv.Itoa(n))
		c.eventually(patience, "loaded, or too many", func() bool {
			return len(c.lines("app loaded")) >= n || c.oomKills() > 0
		})
		if c.oomKills() > 0 {
			return
		}
		stream := c.request("8080")
		c.eventually(patience, "answers, or too many", func() bool {
			processes, all := stream.answers()
			return processes >= n && all >= 100*n || c.oomKills() > 0
		})
		ok = c.oomKills() == 0
	})
	return ok
}

// Pumas in single mode share memsup's socket too.
func TestPuma(t *testing.T) {
	t.Parallel()
	c := start(t, &pumaImage, memory("256m"), "--scale", "web=1..3")
	c.await(1, "app loaded")
	stream := c.request("8080")
	c.steady(3*time.Minute, "web", func(n int) bool { return n == 3 })
	stream.forget()
	c.eventually(patience, "every worker answers", func() bool {
		processes, _ := stream.answers()
		return processes == 3
	})
	stream.stop()
	stream.check(t)
	if kills := c.oomKills(); kills != 0 {
		t.Errorf("the kernel killed %d processes for memory", kills)
	}
	c.stop(0)
}
