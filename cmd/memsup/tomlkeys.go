package main

import (
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/memsup/memsup/supervisor"
)

// typeKey is a key of a process type's table.
type typeKey struct {
	name    string
	kind    kind
	example string
	table   bool // its value is a table
}

var typeKeys = [...]typeKey{
	{name: "workers", kind: intKind, example: `"2..8"`},
	{name: "priority", kind: intKind, example: "10"},
	{name: "memory", kind: sizeKind, example: `"120MiB"`},
	{name: "recycle", kind: sizeKind, example: `"300MiB"`},
	{name: "brake", kind: sizeKind, example: `"250MiB"`},
	{name: "uses", table: true},
	{name: "listen", kind: listKind, example: `"tcp://0.0.0.0:$PORT"`},
	{name: "ready", example: `"settled"`},
	{name: "ready_timeout", example: `"30s"`},
	{name: "alive", example: `"http:/healthz"`},
	{name: "pre_stop", example: `"5s"`},
	{name: "lens", example: `"exact"`},
	{name: "actuator", example: `"process"`},
	{name: "demand", example: `"cpu"`},
	{name: "stop_signal", kind: intKind, example: `"TERM"`},
	{name: "drain", example: `"60s"`},
	{name: "restart", example: `"on-failure"`},
	{name: "restart_order", example: `"start-first"`},
	{name: "restart_parallelism", kind: intKind, example: `"fit"`},
	{name: "start_limit", example: `"5/60s"`},
	{name: "after", kind: listKind, example: `["db"]`},
	{name: "user", kind: intKind, example: `"app"`},
	{name: "group", kind: intKind, example: `"app"`},
	{name: "directory", example: `"/srv/app"`},
	{name: "umask", example: `"0027"`},
	{name: "nice", kind: intKind, example: "5"},
	{name: "rlimits", table: true},
	{name: "ambient_capabilities", kind: listKind, example: `["NET_BIND_SERVICE"]`},
	{name: "no_new_privileges", kind: boolKind, example: "true"},
	{name: "env", table: true},
}

// add takes one entry, or says why it cannot be.
func (f *configFile) add(e *entry) error {
	first := e.path[0]
	isTable := e.kind == unstable.Table || len(e.path) > 1
	opt := optionOf(first)
	switch {
	case (first == "limits" || first == "export") && !isTable:
		return e.keyErrorf("%s is a table; write [%[1]s]", first)
	case first == "limits":
		return f.addLimit(e)
	case first == "export":
		return f.addExport(e)
	case opt != nil && isTable:
		return e.keyErrorf("%s is an option, no table; write %[1]s = %s above the first table", first, opt.example)
	case opt != nil:
		return f.addOption(opt, e)
	case isTable:
		return f.addType(e)
	}
	return unknownOption(e)
}

// optionOf finds the option that has this key.
func optionOf(key string) *option {
	for i := range options {
		if opt := &options[i]; opt.example != "" && strings.ReplaceAll(opt.name, "-", "_") == key {
			return opt
		}
	}
	return nil
}

func unknownOption(e *entry) error {
	key := e.path[0]
	if opt := optionOf(strings.ReplaceAll(key, "-", "_")); opt != nil {
		return e.keyErrorf("unknown key %q; write %s", key, strings.ReplaceAll(key, "-", "_"))
	}
	if key == "config" {
		return e.keyErrorf("the file cannot name another; write --config PATH or MEMSUP_CONFIG=PATH")
	}
	var names []string
	for i := range options {
		if opt := &options[i]; opt.example != "" {
			names = append(names, strings.ReplaceAll(opt.name, "-", "_"))
		}
	}
	if name, ok := nearest(key, names); ok {
		return e.keyErrorf("unknown key %q; write %s", key, name)
	}
	for i := range typeKeys {
		if typeKeys[i].name == key {
			return e.keyErrorf("%s belongs to a process type; write it below the type's head, such as [web]", key)
		}
	}
	return e.keyErrorf("unknown key %q; write an option of run, or the table of a process type, [%[1]s]", key)
}

func (f *configFile) addOption(opt *option, e *entry) error {
	if err := e.check(opt.kind, opt.example); err != nil {
		return err
	}
	v := e.setting()
	for i, item := range e.items {
		if i > 0 {
			v.text += ","
		}
		v.text += item.text
	}
	if v.text == "" {
		return e.errorf("%s is empty; write %[1]s = %s", e.key(), opt.example)
	}
	f.options[opt.name] = v
	return nil
}

// check says whether the value is of a kind.
func (e *entry) check(want kind, example string) error {
	switch {
	case want == boolKind && e.kind == unstable.Bool,
		want != boolKind && e.kind == unstable.String,
		want == intKind && e.kind == unstable.Integer,
		want == sizeKind && e.kind == unstable.Integer,
		want == listKind && e.kind == unstable.Integer:
		return nil
	case want == listKind && e.kind == unstable.Array && len(e.items) > 0:
		for i := range e.items {
			if k := e.items[i].kind; k != unstable.String && k != unstable.Integer {
				return e.items[i].errorf("%s is %s; write %s", e.key(), kindName(k), example)
			}
		}
		return nil
	}
	return e.errorf("%s is %s; write %[1]s = %[3]s", e.key(), kindName(e.kind), example)
}

func kindName(k unstable.Kind) string {
	switch k {
	case unstable.String:
		return "a string"
	case unstable.Bool:
		return "a boolean"
	case unstable.Float:
		return "a number with a fraction"
	case unstable.Integer:
		return "a number"
	case unstable.Array:
		return "an array"
	case unstable.Table:
		return "a table"
	}
	return "a date or time"
}

func (f *configFile) addExport(e *entry) error {
	switch {
	case len(e.path) == 1:
		return nil
	case len(e.path) > 2 || e.kind == unstable.Table:
		return e.keyErrorf(`%s is a table; write NAME = "text {EXPRESSION}"`, strings.Join(e.path, "."))
	case e.kind != unstable.String:
		return e.errorf(`%s is %s; write %[1]s = "text {EXPRESSION}"`, e.key(), kindName(e.kind))
	}
	if err := e.checkVariable(); err != nil {
		return err
	}
	f.export = append(f.export, *e)
	return nil
}

// checkVariable says whether the key can name an environment variable.
func (e *entry) checkVariable() error {
	for i, c := range []byte(e.key()) {
		if !(c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || i > 0 && '0' <= c && c <= '9') {
			return e.keyErrorf("%q is no name of a variable; write letters, digits and _", e.key())
		}
	}
	if supervisor.Serves(e.key()) {
		return e.keyErrorf("%s is one of memsup's own variables; write another name", e.key())
	}
	if e.key() == "" {
		return e.keyErrorf(`"" is no name of a variable; write letters, digits and _`)
	}
	if strings.ContainsRune(e.text, 0) {
		return e.errorf("NUL in %s; a variable cannot hold it", e.key())
	}
	return nil
}

func (f *configFile) addType(e *entry) error {
	t := f.typeTable(e.path[0])
	if t == nil {
		t = &typeTable{name: e.path[0], at: e.keyAt, values: make(map[string]entry)}
		f.types = append(f.types, t)
	}
	switch {
	case len(e.path) == 1:
		return nil
	case e.path[1] == "env" && len(e.path) == 2 && e.kind == unstable.Table:
		return nil
	case e.path[1] == "env" && len(e.path) == 3 && e.kind == unstable.String:
		t.env = append(t.env, *e)
		return e.checkVariable()
	case e.path[1] == "env" && len(e.path) == 3:
		return e.errorf(`%s is %s; write %[1]s = "TEXT"`, e.key(), kindName(e.kind))
	case e.path[1] == "env":
		return e.keyErrorf("env is no table of variables here; write [%s.env] and below it NAME = \"TEXT\"", t.name)
	}
	return t.add(e)
}

func (t *typeTable) add(e *entry) error {
	name := e.path[1]
	for i := range typeKeys {
		key := &typeKeys[i]
		switch {
		case key.name != name:
		case name == "actuator":
			return t.addActuator(e)
		case name == "uses":
			return t.addUse(e)
		case name == "rlimits":
			return t.addRlimit(e)
		case len(e.path) > 2 || e.kind == unstable.Table:
			return e.keyErrorf("%s is no table; write %[1]s = %s", name, key.example)
		default:
			t.keys = append(t.keys, name)
			t.values[name] = *e
			return e.check(key.kind, key.example)
		}
	}
	names := make([]string, len(typeKeys))
	for i := range typeKeys {
		names[i] = typeKeys[i].name
	}
	if near, ok := nearest(strings.ReplaceAll(name, "-", "_"), names); ok {
		return e.keyErrorf("unknown key %q; write %s", name, near)
	}
	return e.keyErrorf("unknown key %q; write one of %s", name, strings.Join(names, ", "))
}

// typeTable gives the table of a type; nil where the file has none.
func (f *configFile) typeTable(name string) *typeTable {
	if f == nil {
		return nil
	}
	for _, t := range f.types {
		if t.name == name {
			return t
		}
	}
	return nil
}

// nearest finds the name that at most two slips of the finger away from word,
// and fewer than half its letters.
func nearest(word string, names []string) (string, bool) {
	best, found := min(3, (len(word)+1)/2), ""
	for _, name := range names {
		if d := distance(word, name); d < best {
			best, found = d, name
		}
	}
	return found, found != ""
}

// distance counts the letters to insert, drop or replace to make a of b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
