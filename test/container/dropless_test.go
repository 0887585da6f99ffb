//go:build container

package container

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// restless is how long TestNoRequestIsDropped goes on; MEMSUP_RESTLESS, a duration,
// says otherwise.
const restless = time.Minute

// Clients that ask one request a connection meet no failure but in the hands of a
// worker that was killed: while the number of workers goes from 1 to 8 and back every
// five seconds, all are replaced three times, one every ten seconds, and one is
// killed every twenty.
func TestNoRequestIsDropped(t *testing.T) {
	t.Parallel()
	whole := restless
	if text := os.Getenv("MEMSUP_RESTLESS"); text != "" {
		var err error
		if whole, err = time.ParseDuration(text); err != nil {
			t.Fatalf("MEMSUP_RESTLESS: %v", err)
		}
	}
	c := start(t, &workersImage, append(memory("256m"), files(t, "dropless")...), "--port", "8080")
	c.await(1, "serving")
	rush := c.rush(16, "8080")
	wrk := c.wrk(16, "8080", whole)

	ctx, cancel := context.WithTimeout(context.Background(), whole)
	defer cancel()
	var kills []span
	var disturb sync.WaitGroup
	every := func(interval time.Duration, f func(i int)) {
		disturb.Go(func() {
			tick := time.NewTicker(interval)
			defer tick.Stop()
			for i := 0; ; i++ {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					f(i)
				}
			}
		})
	}
	one := func() (name string, pid int) {
		s, err := c.status()
		if err != nil || len(s.Workers) == 0 {
			return "", 0
		}
		w := s.Workers[rand.IntN(len(s.Workers))]
		if w.PID == 0 {
			return "", 0
		}
		return w.Name, w.PID
	}
	order := func(words ...string) {
		if _, err := docker(append([]string{"exec", c.id, "memsup"}, words...)...); err != nil {
			t.Error(err)
		}
	}
	every(5*time.Second, func(i int) { order("scale", "web="+[]string{"8", "1"}[i%2]) })
	every(whole/4-time.Second, func(int) { order("restart", "web") })
	every(10*time.Second, func(int) {
		if name, _ := one(); name != "" {
			_, _ = docker("exec", c.id, "memsup", "restart", name) // it may be gone
		}
	})
	every(20*time.Second, func(int) {
		for range 5 { // one that was chosen may be gone
			if _, pid := one(); pid != 0 {
				began := time.Now()
				if _, err := docker("exec", c.id, "sh", "-c", "kill -9 "+strconv.Itoa(pid)); err == nil {
					kills = append(kills, span{began, time.Now()})
					return
				}
			}
		}
	})
	disturb.Wait()
	rush.stop()
	wrk(len(kills))

	all, failures := rush.results()
	t.Logf("%d requests in %s, %d failed, %d workers killed", all, whole, len(failures), len(kills))
	for _, f := range failures {
		switch {
		case errors.Is(f.err, syscall.ECONNREFUSED):
			t.Errorf("refused: %v", f.err)
		case !slices.ContainsFunc(kills, f.overlaps):
			t.Errorf("failed while nobody was killed: %v", f.err)
		}
	}
	if n := len(failures); n > len(kills)*16 {
		t.Errorf("%d requests failed, more than %d clients can have had in the hands of %d workers", n, 16, len(kills))
	}
	if len(kills) == 0 || all < 1000 {
		t.Errorf("%d requests and %d killed workers show little", all, len(kills))
	}
	if n := len(c.lines("serving")); n < 20 {
		t.Errorf("%d workers were started in all", n)
	}
	for _, line := range c.err() {
		// A replacement that was killed before it was ready ends its restart.
		if strings.Contains(line, "rolled back") && !strings.Contains(line, "SIGKILL") || strings.Contains(line, "internal error") {
			t.Error(line)
		}
	}
	c.stop(0)
}

// wrk has so many connections of wrk(1) ask as long, one request each, and gives what
// judges them: wrk does not say when an answer failed, but how, and how often.
func (c *container) wrk(connections int, port string, long time.Duration) (judge func(kills int)) {
	c.t.Helper()
	cmd := exec.Command("wrk", "--threads", "1", "--connections", strconv.Itoa(connections), "--duration", fmt.Sprintf("%.0fs", long.Seconds()),
		"--header", "Connection: close", "http://"+net.JoinHostPort(c.inspect("{{.NetworkSettings.IPAddress}}"), port)+"/")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") != "true" {
		c.t.Log("without wrk, which is not installed")
		return func(int) {}
	} else if err != nil {
		c.t.Fatal(err)
	}
	return func(kills int) {
		c.t.Helper()
		if err := cmd.Wait(); err != nil {
			c.t.Fatalf("wrk: %v\n%s", err, out.String())
		}
		var connect, read, write, timeout int
		if _, errs, some := strings.Cut(out.String(), "Socket errors:"); some {
			if _, err := fmt.Sscanf(errs, " connect %d, read %d, write %d, timeout %d", &connect, &read, &write, &timeout); err != nil {
				c.t.Fatalf("%v in\n%s", err, out.String())
			}
		}
		requests := regexp.MustCompile(`\d+ requests`).FindString(out.String())
		c.t.Logf("wrk: %s; not connected %d, not read %d, not written %d, too late %d", requests, connect, read, write, timeout)
		if connect > 0 || timeout > 0 || read+write > kills*connections || strings.Contains(out.String(), "Non-2xx") || requests == "" {
			c.t.Errorf("with %d workers killed wrk says\n%s", kills, out.String())
		}
	}
}

// span is from an instant to another one.
type span struct{ from, to time.Time }

// overlaps says whether an instant is in both, give or take what a signal takes.
func (s span) overlaps(other span) bool {
	return s.from.Before(other.to.Add(100*time.Millisecond)) && other.from.Before(s.to)
}

// failure is a request that got no answer.
type failure struct {
	span
	err error
}

// rush are clients that ask one request after the other without a pause.
type rush struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	mu     sync.Mutex
	all    int
	failed []failure
}

// rush starts so many of them at the container's own address.
func (c *container) rush(clients int, port string) *rush {
	c.t.Helper()
	url := "http://" + net.JoinHostPort(c.inspect("{{.NetworkSettings.IPAddress}}"), port) + "/"
	ctx, cancel := context.WithCancel(context.Background())
	r := &rush{cancel: cancel}
	for range clients {
		r.done.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				_, err := get(url)
				r.mu.Lock()
				r.all++
				if err != nil {
					r.failed = append(r.failed, failure{span{began, time.Now()}, fmt.Errorf("%s: %w", began.Format(time.StampMilli), err)})
				}
				r.mu.Unlock()
			}
		})
	}
	c.t.Cleanup(r.stop)
	return r
}

func (r *rush) stop() {
	r.cancel()
	r.done.Wait()
}

func (r *rush) results() (all int, failed []failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all, r.failed
}
