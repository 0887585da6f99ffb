//go:build container

package container

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Debian's own servers, each a master that keeps its workers, in one container.
var preforkImage = image{name: "prefork", dir: "testdata/prefork", programs: []string{"memsup"}}

// A master grows to what fits, shrinks as the limit does, before the kernel has
// to kill, and follows a user; requests are answered all the while. A worker
// that is killed is the master's to replace.
func TestActuator(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"gunicorn", "puma", "uwsgi"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, &preforkImage, memory("200m"), "--reserve", "40MiB", name)
			stream := c.request("8080")
			// A worker takes 20 MiB or more.
			n := c.steady(4*time.Minute, name, func(n int) bool { return n >= 4 && n <= 8 })
			stream.forget()
			c.eventually(patience, "every worker answers", func() bool {
				processes, _ := stream.answers()
				return processes == n
			})

			// Less than half the reserve is left, and enough for a worker to stop: it
			// writes to pages that it shares with its master.
			c.setLimit(c.unreclaimable() + 16<<20)
			n = c.steady(3*time.Minute, name, func(now int) bool { return now < n })
			c.scale(name, "1")
			c.steady(patience, name, func(n int) bool { return n == 1 })
			c.setLimit(200 << 20)
			c.scale(name, "3")
			c.steady(patience, name, func(n int) bool { return n == 3 })
			stream.stop()
			stream.check(t)

			c.replaced(name, func(pid int) { c.exec("sh", "-c", fmt.Sprintf("kill -9 %d", pid)) })
			c.steady(patience, name, func(n int) bool { return n == 3 })
			c.replaced(name, func(int) { c.exec("memsup", "restart", name+".2") })
			c.steady(patience, name, func(n int) bool { return n == 3 })
			if kills := c.oomKills(); kills != 0 {
				t.Errorf("the kernel killed %d processes for memory", kills)
			}
			c.stop(0)
		})
	}
}

// Preloaded workers cost what they do not share: six of them fit where four that
// loaded the application themselves would.
func TestActuatorPreloaded(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"gunicorn-preload", "puma-preload"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, &preforkImage, memory("128m"), name)
			c.await(1, "app loaded")
			stream := c.request("8080")
			c.steady(5*time.Minute, name, func(n int) bool { return n == 6 })
			s, err := c.status()
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range s.Workers {
				if w.Name != name+".0" && w.Memory > 12<<20 {
					t.Errorf("%s costs %d MiB, and shares 16 with its master", w.Name, w.Memory>>20)
				}
			}
			c.scale(name, "2")
			c.steady(patience, name, func(n int) bool { return n == 2 })
			stream.stop()
			stream.check(t)
			if loads := len(c.lines("app loaded")); loads != 1 {
				t.Errorf("the application was loaded %d times, want once, by the master", loads)
			}
			c.stop(0)
		})
	}
}

// unicorn is stopped by QUIT, its master and its workers.
func TestActuatorUnicorn(t *testing.T) {
	t.Parallel()
	c := start(t, &preforkImage, memory("256m"), "unicorn")
	stream := c.request("8080")
	c.steady(4*time.Minute, "unicorn", func(n int) bool { return n == 4 })
	c.scale("unicorn", "2")
	c.steady(patience, "unicorn", func(n int) bool { return n == 2 })
	c.replaced("unicorn", func(int) { c.exec("memsup", "restart", "unicorn.2") })
	c.steady(patience, "unicorn", func(n int) bool { return n == 2 })
	stream.stop()
	stream.check(t)
	c.stop(0)
}

// Workers that leak are replaced one by one before the kernel kills, and their
// siblings and the requests do not notice.
func TestActuatorLeak(t *testing.T) {
	t.Parallel()
	c := start(t, &preforkImage, memory("160m"), "leaky")
	c.await(2, "app loaded")
	stream := c.request("8080")
	c.await(8, "app loaded")
	stream.stop()
	stream.check(t)
	if kills := c.oomKills(); kills != 0 {
		t.Errorf("the kernel killed %d processes for memory", kills)
	}
	c.stop(0)
}

// What a master forks sees through the lens of its type, as the master does.
func TestActuatorLens(t *testing.T) {
	t.Parallel()
	c := start(t, &preforkImage, memory("192m"), "--lens", "wide", "--scale", "gunicorn=2", "gunicorn")
	c.steady(patience, "gunicorn", func(n int) bool { return n == 2 })
	address := "http://" + c.inspect("{{.NetworkSettings.IPAddress}}") + ":8080"
	for range 8 {
		if _, err := get(address + "/meminfo"); err != nil {
			t.Fatal(err)
		}
	}
	c.await(8, `^sees MemTotal: +196608 kB$`)
	c.stop(0)
}

// A worker that the kernel kills is named, unless memsup was as fast, and its
// master and its siblings go on.
func TestActuatorKilled(t *testing.T) {
	t.Parallel()
	c := start(t, &preforkImage, memory("128m"), "--scale", "gunicorn-preload=3", "gunicorn-preload")
	c.steady(patience, "gunicorn-preload", func(n int) bool { return n == 3 })
	address := "http://" + c.inspect("{{.NetworkSettings.IPAddress}}") + ":8080"
	if answer, err := get(address + "/eat"); err == nil {
		t.Errorf("a worker that takes 1 GiB answered %q", answer)
	}
	c.eventually(patience, "the killed worker is named", func() bool {
		s, _ := c.status()
		for _, w := range s.Workers {
			if strings.HasPrefix(w.LastExit, "was killed by the kernel for memory") && w.Name != "gunicorn-preload.0" {
				return w.Restarts == 1
			}
		}
		return strings.Contains(strings.Join(c.err(), "\n"), "kill gunicorn-preload.")
	})
	c.steady(patience, "gunicorn-preload", func(n int) bool { return n == 3 })
	if _, err := get(address); err != nil {
		t.Error(err)
	}
	if kills := c.oomKills(); kills > 1 {
		t.Errorf("the kernel killed %d processes for memory, want one", kills)
	}
	c.stop(0)
}

func (c *container) scale(name, to string) {
	c.t.Helper()
	c.exec("memsup", "scale", name+"="+to)
}

// replaced does something to the second worker, and waits until another process
// is in its place.
func (c *container) replaced(name string, do func(pid int)) {
	c.t.Helper()
	second := func() (pid int) {
		s, _ := c.status()
		masters := 0
		for _, w := range s.Workers {
			if strings.HasPrefix(w.Name, name+".") && w.State == "ready" {
				masters++
			}
			if masters == 3 { // after the master and the first worker
				return w.PID
			}
		}
		return 0
	}
	before := second()
	do(before)
	c.eventually(patience, "another process in its place", func() bool {
		s, _ := c.status()
		gone, ready := true, 0
		for _, w := range s.Workers {
			gone = gone && w.PID != before
			if w.State == "ready" {
				ready++
			}
		}
		return gone && ready == len(s.Workers) && ready > 1
	})
}
