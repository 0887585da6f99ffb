package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/memsup/memsup/supervisor"
)

// actuatorKeys are the keys of [TYPE.actuator], each with an example.
var actuatorKeys = [...]struct{ name, example string }{
	{"add", `"echo + > /tmp/fifo"`},
	{"remove", `"echo - > /tmp/fifo"`},
	{"workers", `"cluster worker"`},
	{"stop_signal", `"HUP"`},
}

// addActuator takes actuator = "WORD", or a key of the table that is written in
// its place.
func (t *typeTable) addActuator(e *entry) error {
	if len(e.path) == 2 && e.kind != unstable.Table {
		t.keys = append(t.keys, "actuator")
		t.values["actuator"] = *e
		return e.check(textKind, `"signal"`)
	}
	if _, given := t.values["actuator"]; !given {
		t.keys = append(t.keys, "actuator")
		t.values["actuator"] = entry{path: e.path[:2], kind: unstable.Table, keyAt: e.keyAt, at: e.keyAt}
	}
	if len(e.path) == 2 {
		return nil
	}
	names := make([]string, len(actuatorKeys))
	for i, key := range actuatorKeys {
		names[i] = key.name
		switch {
		case key.name != e.path[2]:
		case len(e.path) > 3 || e.kind == unstable.Table:
			return e.keyErrorf("%s is no table; write %[1]s = %s", e.path[2], key.example)
		default:
			t.actuator = append(t.actuator, *e)
			if err := e.check(textKind, key.example); err != nil {
				return err
			}
			if e.text == "" {
				return e.errorf("%s is empty; write %[1]s = %s", e.key(), key.example)
			}
			return nil
		}
	}
	if near, ok := nearest(strings.ReplaceAll(e.path[2], "-", "_"), names); ok {
		return e.keyErrorf("unknown key %q; write %s", e.path[2], near)
	}
	return e.keyErrorf("unknown key %q; write one of %s", e.path[2], strings.Join(names, ", "))
}

// prefork is what actuator says: nil where memsup starts each worker.
func (t *typeTable) prefork() (*supervisor.Prefork, error) {
	word := t.values["actuator"]
	if word.kind != unstable.Table {
		switch word.text {
		case "process":
			return nil, nil
		case "signal":
			return &supervisor.Prefork{}, nil
		}
		return nil, word.errorf(`%q is unknown; write "process", "signal", or a table with add and remove`, word.text)
	}
	p := &supervisor.Prefork{}
	for i := range t.actuator {
		e := &t.actuator[i]
		var err error
		switch e.key() {
		case "add":
			p.Add = e.text
		case "remove":
			p.Remove = e.text
		case "workers":
			p.Workers = e.text
		case "stop_signal":
			p.StopSignal, err = parseSignal(e.text)
		}
		if err != nil {
			return nil, e.setting().wrap(err)
		}
	}
	if (p.Add == "") != (p.Remove == "") {
		i := slices.IndexFunc(t.actuator, func(e entry) bool { return e.key() == "add" || e.key() == "remove" })
		return nil, t.actuator[i].keyErrorf("add and remove belong together; write both, or neither for SIGTTIN and SIGTTOU")
	}
	return p, nil
}

// checkActuator says whether a type whose master keeps the workers says how many:
// what is left out means one, and nobody who starts a master wants that. What it
// says must be possible.
func (l *loader) checkActuator(t *supervisor.Type) error {
	if t.Prefork == nil {
		return nil
	}
	values := l.file.typeTable(t.Name).values
	if brake, given := values["brake"]; given {
		return brake.keyErrorf("brake needs a cgroup for each worker, and a master's workers are in its own; remove it")
	}
	if !t.Unscaled {
		return nil
	}
	word := values["actuator"]
	return word.keyErrorf(`%s has a master that keeps its workers, and no number of them; write workers = "MIN..MAX" below [%[1]s]`, t.Name)
}

// preforkNote says how a master's number of workers is changed.
func preforkNote(t *supervisor.Type) string {
	switch p := t.Prefork; {
	case p == nil:
		return ""
	case p.Add == "":
		return fmt.Sprintf("%s: one master keeps the workers: SIGTTIN adds one, SIGTTOU removes one\n", t.Name)
	default:
		return fmt.Sprintf("%s: one master keeps the workers: `%s` adds one, `%s` removes one\n", t.Name, p.Add, p.Remove)
	}
}
