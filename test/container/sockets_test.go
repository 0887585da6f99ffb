//go:build container

package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Servers as Debian has them, and a Go program, take memsup's sockets: two workers
// answer on each, and no request is lost when one of them goes, but by uvicorn.
func TestSharedSockets(t *testing.T) {
	for name, types := range map[string][]string{
		"gunicorn": {"gunicorn"}, "puma": {"puma"}, "uvicorn": {"uvicorn", "uvicorn-unix"}, "node": {"node"}, "go": {"go"},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, &socketsImage, memory("512m"), append([]string{"run"}, types...)...)
			streams := []*requests{c.requestBy(8, "8080"), c.requestUnix(8, "/run/web.sock")}
			answeredBy := func(n int) {
				t.Helper()
				for _, s := range streams {
					s.forget()
				}
				c.eventually(patience, fmt.Sprintf("answers from %d on each socket", n), func() bool {
					for _, s := range streams {
						if processes, all := s.answers(); processes < n || all < 100 {
							return false
						}
					}
					return true
				})
			}
			scale := func(n int) {
				t.Helper()
				for _, name := range types {
					c.exec("memsup", "scale", fmt.Sprintf("%s=%d", name, n))
				}
				for _, name := range types {
					c.eventually(patience, fmt.Sprintf("%d of %s", n, name), func() bool {
						now := c.of(name)
						return now.Running == n && now.Ready == n
					})
				}
			}
			for range 3 {
				scale(2)
				answeredBy(2)
				scale(1)
				answeredBy(1)
			}
			for _, s := range streams {
				s.stop()
				if name == "uvicorn" {
					s.forgive(t, unix.ECONNRESET)
					s.forgive(t, io.EOF)
				}
				s.check(t)
			}
			c.stop(0)
		})
	}
}

// forgive takes failures for none that a server is to blame for. A uvicorn that is told
// to stop closes the connections that it has accepted and read no request from yet
// (Server.shutdown of 0.17), whoever started it.
func (r *requests) forgive(t *testing.T, of error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := len(r.failed)
	r.failed = slices.DeleteFunc(r.failed, func(err error) bool { return errors.Is(err, of) })
	if n := all - len(r.failed); n > 0 {
		t.Logf("%d requests failed by the server's own doing: %v", n, of)
	}
}

// requestUnix is requestBy at a unix socket of the container, which root reaches from
// outside.
func (c *container) requestUnix(clients int, path string) *requests {
	c.t.Helper()
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", fmt.Sprintf("/proc/%d/root%s", c.pid, path))
		},
	}}
	return c.stream(clients, path, func() (string, error) { return ask(&client, "http://web/") })
}
