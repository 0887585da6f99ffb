package main

import (
	"reflect"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/supervisor"
)

func TestActuator(t *testing.T) {
	for text, want := range map[string]*supervisor.Prefork{
		`actuator = "process"`:                nil,
		`actuator = "signal"`:                 {},
		`actuator = {}`:                       {},
		`actuator.workers = "cluster worker"`: {Workers: "cluster worker"},
		"[web.actuator]\nadd = \"a\"\nremove = \"r\"\nworkers = \"w\"\nstop_signal = \"HUP\"": {
			Add: "a", Remove: "r", Workers: "w", StopSignal: unix.SIGHUP,
		},
	} {
		writeFiles(t, map[string]string{"Procfile": "web: cat\n", "memsup.toml": "[web]\nworkers = \"2..8\"\n" + text + "\n"})
		if got := load(t).Types[0].Prefork; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}
