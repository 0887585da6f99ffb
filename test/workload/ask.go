package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"sync/atomic"
)

// request is one request of the load. Its kind is a function of the apps.
type request struct {
	kind string
	size int     // rows, or MiB of a report
	key  int     // which product
	wait float64 // milliseconds that its database takes
}

// ping is the least that a worker can be asked; while it waits, another worker
// gets the next one.
var ping = request{kind: "ping", wait: 2}

// draw chooses the next request: pages and the like of any length, few of them
// long, of which some products are asked for far more often than others.
func (m mix) draw(random *rand.Rand) request {
	r := request{
		size: 1 + int(math.Exp(4+0.8*random.NormFloat64())),
		key:  int(math.Min(1e6, math.Pow(1-random.Float64(), -1/0.6))),
		wait: m.wait * random.ExpFloat64(),
	}
	switch n := random.IntN(100); {
	case n < m.percent:
		r.kind, r.size = "report", m.least+random.IntN(m.most-m.least+1)
	case n < 10:
		r.kind = "save"
	case n < 30:
		r.kind = "api"
	default:
		r.kind = "page"
	}
	return r
}

func (r request) query() string {
	return url.Values{
		"kind": {r.kind}, "size": {strconv.Itoa(r.size)}, "key": {strconv.Itoa(r.key)},
		"wait": {strconv.FormatFloat(r.wait, 'f', 2, 64)},
	}.Encode()
}

// asker sends one request and returns the pid of the worker that served it, as
// its container sees it.
type asker func(ctx context.Context, r request) (pid int, err error)

// web asks a server that listens on so many sockets, called 0, 1 and so on, in
// turn, with a connection for each request.
func web(sockets int) func(dir string) asker {
	return func(dir string) asker {
		var turn atomic.Int64
		client := http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				name := strconv.FormatInt(turn.Add(1)%int64(sockets), 10)
				return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, name))
			},
		}}
		return func(ctx context.Context, r request) (int, error) {
			q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://shop/?"+r.query(), nil)
			if err != nil {
				return 0, err
			}
			answer, err := client.Do(q)
			if err != nil {
				return 0, err
			}
			defer answer.Body.Close()
			if _, err := io.Copy(io.Discard, answer.Body); err != nil {
				return 0, err
			}
			if answer.StatusCode != http.StatusOK {
				return 0, fmt.Errorf("%s: %s", r.query(), answer.Status)
			}
			return strconv.Atoi(answer.Header.Get("X-Pid"))
		}
	}
}
