package supervisor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

// ErrNotRunning is that no memsup answers on the control socket.
var ErrNotRunning = errors.New("no memsup answers")

// Client talks to a running memsup over its control socket.
type Client struct {
	http *http.Client
}

// NewClient looks for the control socket: path where it is not empty, else
// MEMSUP_SOCKET, else the default places in order. The error is ErrNotRunning
// (wrapped, with the places that were tried) where nothing answers.
func NewClient(path string) (*Client, error) {
	var tried []string
	switch env := os.Getenv("MEMSUP_SOCKET"); {
	case path != "":
		tried = []string{path}
	case env != "":
		tried = []string{env}
	default:
		tried = slices.Compact(append([]string{rootsSocket}, places()...)) // other users may look, too
	}
	for _, p := range tried {
		conn, err := net.DialTimeout("unix", p, time.Second)
		if err != nil {
			continue
		}
		conn.Close()
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", p)
		}
		return &Client{&http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: 10 * time.Second}}, nil
	}
	return nil, fmt.Errorf("%w on %s", ErrNotRunning, strings.Join(tried, ", "))
}

// Status asks for GET /v1/status.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	body, err := c.StatusJSON(ctx)
	if err != nil {
		return nil, err
	}
	var st Status
	if err := json.Unmarshal(body, &st); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return &st, nil
}

// StatusJSON is Status as the server wrote it.
func (c *Client) StatusJSON(ctx context.Context) ([]byte, error) {
	return c.do(ctx, http.MethodGet, "status", nil)
}

// Scale pins types to ranges, "4" or "2..8"; "auto" takes the pin away.
func (c *Client) Scale(ctx context.Context, scale map[string]string) error {
	_, err := c.do(ctx, http.MethodPost, "scale", scale)
	return err
}

// Restart restarts a type's workers one after the other, or one worker
// (web.2).
func (c *Client) Restart(ctx context.Context, target string) error {
	return c.post(ctx, "restart", target)
}

// Stop stops a type's workers, and Start starts them again.
func (c *Client) Stop(ctx context.Context, typ string) error { return c.post(ctx, "stop", typ) }

// Start starts a type that was stopped or that gave up.
func (c *Client) Start(ctx context.Context, typ string) error { return c.post(ctx, "start", typ) }

// Exec asks how one more worker of a type is run in this process, with args behind
// those of its command. That memory does not hold it is an error, unless force is set.
func (c *Client) Exec(ctx context.Context, typ string, args []string, force bool) (*Foreground, error) {
	body, err := c.do(ctx, http.MethodPost, "exec", foregroundRequest{typ, args, force})
	if err != nil {
		return nil, err
	}
	var f Foreground
	if err := json.Unmarshal(body, &f); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return &f, nil
}

func (c *Client) post(ctx context.Context, what, target string) error {
	_, err := c.do(ctx, http.MethodPost, what, map[string]string{"target": target})
	return err
}

// do returns the body of an answer of status 200. Any other answer's text is
// the error.
func (c *Client) do(ctx context.Context, method, what string, body any) ([]byte, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://memsup/v1/"+what, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(strings.TrimSpace(string(answer)))
	}
	return answer, nil
}
