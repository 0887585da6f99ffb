package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
)

// queue asks workers that take their jobs from a list of Redis: each request is a
// job with an id of its own, and the worker that did it puts its pid into a list
// of that name.
func queue(list string, encode func(id string, r request) any) func(dir string) asker {
	return func(dir string) asker {
		var jobs atomic.Int64
		return func(ctx context.Context, r request) (int, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "redis"))
			if err != nil {
				return 0, err
			}
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			id := fmt.Sprintf("job-%d", jobs.Add(1))
			job, err := json.Marshal(encode(id, r))
			if err != nil {
				return 0, err
			}
			in := bufio.NewReader(conn)
			if _, err := command(conn, in, "LPUSH", list, string(job)); err != nil {
				return 0, err
			}
			done, err := command(conn, in, "BRPOP", id, "0")
			if err != nil {
				return 0, err
			}
			return strconv.Atoi(done[len(done)-1])
		}
	}
}

// celeryJob is a message of Celery's protocol 2 in the envelope of kombu's Redis
// transport.
func celeryJob(id string, r request) any {
	body, _ := json.Marshal([]any{[]any{id, r.kind, r.size, r.key, r.wait}, struct{}{}, struct{}{}})
	type object = map[string]any
	return object{
		"body":             base64.StdEncoding.EncodeToString(body),
		"content-type":     "application/json",
		"content-encoding": "utf-8",
		"headers":          object{"lang": "py", "task": "work", "id": id, "root_id": id},
		"properties": object{
			"correlation_id": id, "delivery_tag": id, "delivery_mode": 1, "body_encoding": "base64",
			"delivery_info": object{"exchange": "", "routing_key": "celery"},
		},
	}
}

func sidekiqJob(id string, r request) any {
	return map[string]any{"class": "Work", "jid": id, "queue": "default", "retry": false, "args": []any{id, r.kind, r.size, r.key, r.wait}}
}

// command sends one command to Redis and returns its answer, an integer or an
// array of strings.
func command(conn net.Conn, in *bufio.Reader, words ...string) ([]string, error) {
	var out strings.Builder
	fmt.Fprintf(&out, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&out, "$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := conn.Write([]byte(out.String())); err != nil {
		return nil, err
	}
	line, err := readLine(in)
	if err != nil {
		return nil, err
	}
	switch {
	case strings.HasPrefix(line, ":"):
		return []string{line[1:]}, nil
	case !strings.HasPrefix(line, "*"):
		return nil, fmt.Errorf("redis: %s: %s", words[0], line)
	}
	n, err := strconv.Atoi(line[1:])
	if err != nil || n < 1 {
		return nil, fmt.Errorf("redis: %s: %s", words[0], line)
	}
	answer := make([]string, n)
	for i := range answer {
		if _, err := readLine(in); err != nil { // its length: none of these has a line break
			return nil, err
		}
		if answer[i], err = readLine(in); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}
