package main

import (
	"testing"

	"github.com/memsup/memsup/procfile"
)

// How a type's workers are replaced: beside each other where they share a socket or the
// user says so, and one at a time unless he says more.
func TestRestartKeys(t *testing.T) {
	type replacing struct {
		first  bool
		atOnce int
	}
	for text, want := range map[string]replacing{
		"":                               {},
		`listen = "tcp://127.0.0.1:1"`:   {first: true},
		`restart_order = "start-first"`:  {first: true},
		"restart_parallelism = 3":        {atOnce: 3},
		`restart_parallelism = "3"`:      {atOnce: 3},
		`restart_parallelism = "fit"`:    {atOnce: procfile.MaxWorkers},
		"restart_parallelism = 10000000": {atOnce: procfile.MaxWorkers},
		"listen = 'tcp://127.0.0.1:1'\nrestart_order = 'stop-first'": {},
		"workers = 2\nactuator = 'signal'\nlisten = 'tcp://:1'":      {},
	} {
		writeFiles(t, map[string]string{"Procfile": "web: cat\n", "memsup.toml": "[web]\n" + text + "\n"})
		y := &load(t).Types[0]
		if got := (replacing{y.StartFirst, y.AtOnce}); got != want {
			t.Errorf("%s\ngot  %+v\nwant %+v", text, got, want)
		}
	}
}
