//go:build container

package container

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// status is what the tests read of memsup's own picture.
type status struct {
	Container struct{ Limit, Headroom, Reserve int64 }
	Types     []typeStatus
	Workers   []struct {
		Name, State string
		LastExit    string `json:"last_exit"`
		PID         int
		Restarts    int
		Memory      int64
	}
}

type typeStatus struct {
	Name                   string
	Running, Ready, Wanted int
	Blocked                string `json:"blocked_reason"`
}

// status asks memsup over its control socket, which root reaches from outside
// the container without taking memory inside it.
func (c *container) status() (status, error) {
	socket := fmt.Sprintf("/proc/%d/root/run/memsup/control.sock", c.pid)
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	var s status
	r, err := client.Get("http://memsup/v1/status")
	if err != nil {
		return s, err
	}
	defer r.Body.Close()
	return s, json.NewDecoder(r.Body).Decode(&s)
}

// of is the status of one process type, once memsup answers.
func (c *container) of(name string) typeStatus {
	c.t.Helper()
	var found typeStatus
	c.eventually(patience, "a status of "+name, func() bool {
		s, err := c.status()
		for _, t := range s.Types {
			if t.Name == name {
				found = t
				return err == nil
			}
		}
		return false
	})
	return found
}

// steady waits until the number of a type's workers has not changed for ten
// seconds, all of them ready, and returns it. ok says which numbers count.
func (c *container) steady(within time.Duration, name string, ok func(n int) bool) int {
	c.t.Helper()
	var last typeStatus
	since := time.Now()
	c.eventually(within, "a steady number of "+name, func() bool {
		now := c.of(name)
		if now.Running != last.Running || now.Ready != now.Running || now.Wanted != now.Running || !ok(now.Running) {
			if now.Running != last.Running {
				c.t.Logf("%s: %d running: %s", name, now.Running, now.Blocked)
			}
			since = time.Now()
		}
		last = now
		return time.Since(since) >= 10*time.Second
	})
	return last.Running
}

// cgroup reads one of the files of the container's memory cgroup from outside.
// v1 and v2 name the file.
func (c *container) cgroup(v1, v2 string) string {
	c.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", c.pid))
	if err != nil {
		c.t.Fatal(err)
	}
	path := ""
	for line := range strings.Lines(string(b)) {
		switch part := strings.SplitN(strings.TrimSpace(line), ":", 3); {
		case part[1] == "memory":
			path = filepath.Join("/sys/fs/cgroup/memory", part[2], v1)
		case part[0] == "0" && path == "":
			path = filepath.Join("/sys/fs/cgroup", part[2], v2)
		}
	}
	if b, err = os.ReadFile(path); err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// field is the number after a key of such a file.
func field(t *testing.T, file, key string) int64 {
	t.Helper()
	for line := range strings.Lines(file) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name == key {
			return number(t, value)
		}
	}
	t.Fatalf("no %s in\n%s", key, file)
	return 0
}

func number(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// oomKills is how many processes of the container the kernel killed for memory.
func (c *container) oomKills() int64 {
	c.t.Helper()
	return field(c.t, c.cgroup("memory.oom_control", "memory.events"), "oom_kill")
}

// unreclaimable is what stays charged however hard the kernel tries: all but
// the file cache.
func (c *container) unreclaimable() int64 {
	c.t.Helper()
	usage := number(c.t, c.cgroup("memory.usage_in_bytes", "memory.current"))
	stat := c.cgroup("memory.stat", "memory.stat")
	return usage - field(c.t, stat, "inactive_file") - field(c.t, stat, "active_file")
}

// requests is a steady stream of requests to a container.
type requests struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu       sync.Mutex
	answered map[string]int // by the answer's first line
	failed   []error
}

// request starts the stream, two at a time.
func (c *container) request(port string) *requests { return c.requestBy(2, port) }

// requestBy starts the stream of some clients, at the container's own address.
func (c *container) requestBy(clients int, port string) *requests {
	c.t.Helper()
	url := "http://" + net.JoinHostPort(c.inspect("{{.NetworkSettings.IPAddress}}"), port) + "/"
	return c.stream(clients, url, func() (string, error) { return get(url) })
}

// stream has some clients ask, once the first answer came.
func (c *container) stream(clients int, from string, ask func() (string, error)) *requests {
	c.t.Helper()
	c.eventually(patience, "an answer from "+from, func() bool {
		_, err := ask()
		return err == nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	r := &requests{cancel: cancel, answered: map[string]int{}}
	for range clients {
		r.done.Go(func() {
			pause := time.NewTicker(20 * time.Millisecond)
			defer pause.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-pause.C:
					r.count(ask())
				}
			}
		})
	}
	c.t.Cleanup(r.stop)
	return r
}

func (r *requests) stop() {
	r.cancel()
	r.done.Wait()
}

func (r *requests) count(who string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.failed = append(r.failed, fmt.Errorf("%s: %w", time.Now().Format(time.TimeOnly), err))
		return
	}
	r.answered[who]++
}

// forget drops the answers so far.
func (r *requests) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.answered)
}

// answers is how many different processes answered, and how often in all.
func (r *requests) answers() (processes, all int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.answered {
		all += n
	}
	return len(r.answered), all
}

// check reports every request that was not answered.
func (r *requests) check(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, err := range r.failed[:min(len(r.failed), 5)] {
		t.Error(err)
	}
	if n := len(r.failed); n > 5 {
		t.Errorf("… %d requests failed in all", n)
	}
}

// get makes one request on a connection of its own and returns the first line
// of the answer.
func get(url string) (string, error) {
	return ask(&http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}, url)
}

func ask(client *http.Client, url string) (string, error) {
	r, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	if r.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", url, r.Status)
	}
	line, _, _ := strings.Cut(string(body), "\n")
	return line, nil
}
