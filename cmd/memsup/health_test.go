package main

import (
	"testing"
	"time"

	"github.com/memsup/memsup/supervisor"
)

// Each form of the keys that say when a worker is ready and alive is taken for
// what it is.
func TestHealthKeys(t *testing.T) {
	type health struct {
		ready     time.Duration
		readyWhen supervisor.Check
		timeout   time.Duration
		alive     supervisor.Check
		preStop   supervisor.PreStop
	}
	const half = 30 * time.Second
	for text, want := range map[string]health{
		`ready = "settled"`: {},
		`ready = "2s"`:      {ready: 2 * time.Second},
		`ready = "notify"`:  {readyWhen: supervisor.Check{By: supervisor.ByNotify}, timeout: half},
		`ready = "tcp"`:     {readyWhen: supervisor.Check{By: supervisor.ByTCP}, timeout: half},
		"ready = 'http:/a?b=c'\nready_timeout = '5s'": {
			readyWhen: supervisor.Check{By: supervisor.ByHTTP, Path: "/a?b=c"}, timeout: 5 * time.Second,
		},
		`ready = "cat healthy"`: {readyWhen: supervisor.Check{By: supervisor.ByCommand, Command: "cat healthy"}, timeout: half},
		`ready = "[ -e it ]"`:   {readyWhen: supervisor.Check{By: supervisor.ByCommand, Command: "[ -e it ]"}, timeout: half},
		`alive = "notify:1m"`:   {alive: supervisor.Check{By: supervisor.ByNotify, Within: time.Minute}},
		`alive = "http:/"`:      {alive: supervisor.Check{By: supervisor.ByHTTP, Path: "/"}},
		`pre_stop = "1500ms"`:   {preStop: supervisor.PreStop{Wait: 1500 * time.Millisecond}},
		"drain = '2m'\npre_stop = '90s'": {
			preStop: supervisor.PreStop{Wait: 90 * time.Second},
		},
		`pre_stop = "sleep 1 && true"`: {preStop: supervisor.PreStop{Command: "sleep 1 && true"}},
		// Connecting to a worker says something of it where no other one listens.
		"listen = 'tcp://127.0.0.1:1'\nready = 'notify'": {readyWhen: supervisor.Check{By: supervisor.ByNotify}, timeout: half},
	} {
		writeFiles(t, map[string]string{"Procfile": "web: cat\n", "memsup.toml": "[web]\n" + text + "\n"})
		inv, _ := newInvocation()
		c, err := inv.load()
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		y := &c.Types[0]
		if got := (health{y.Ready, y.ReadyWhen, y.ReadyTimeout, y.Alive, y.PreStop}); got != want {
			t.Errorf("%s\ngot  %+v\nwant %+v", text, got, want)
		}
	}
}
