package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/memsup/memsup/supervisor"
)

// list is the items of an array, or the one value in its place.
func (e *entry) list() []entry {
	if e.kind == unstable.Array {
		return e.items
	}
	return []entry{*e}
}

// names is the text of each of them.
func (e *entry) names() (names []string) {
	for _, item := range e.list() {
		names = append(names, item.text)
	}
	return names
}

// checkAfter says which type cannot start after another one as its table has it, also
// where it does not run.
func (l *loader) checkAfter() error {
	for _, t := range l.file.types {
		after, given := t.values["after"]
		if !given {
			continue
		}
		if _, ok := l.entry(t.name); !ok && t.name == commandType {
			return after.keyErrorf("a command is alone and comes after nothing; remove after")
		}
		if l.inv.isCommand {
			continue // it speaks of the Procfile's types
		}
		for _, e := range after.list() {
			if e.text == t.name {
				return e.errorf("%s cannot come after itself; write another type, or remove after", t.name)
			}
			if _, ok := l.entry(e.text); !ok {
				return e.errorf("no process type %q in %s; its types are %s", e.text, l.from, l.names())
			}
			if way := l.file.way(e.text, t.name, nil); way != nil {
				return e.errorf("%s comes after %s; remove one of these", t.name, strings.Join(way, ", which comes after "))
			}
		}
	}
	return nil
}

// way is how one type comes after another: the types from the one to the other; nil
// where it does not. Seen are types that need not be looked at.
func (f *configFile) way(from, to string, seen []string) []string {
	if from == to {
		return []string{to}
	}
	t := f.typeTable(from)
	if t == nil || slices.Contains(seen, from) {
		return nil
	}
	after, given := t.values["after"]
	if !given {
		return nil
	}
	for _, name := range after.names() {
		if rest := f.way(name, to, append(slices.Clip(seen), from)); rest != nil {
			return append([]string{from}, rest...)
		}
	}
	return nil
}

// afterNote says whom a type waits for.
func afterNote(c *supervisor.Config, t *supervisor.Type) (note string) {
	var here []string
	for _, name := range t.After {
		if slices.ContainsFunc(c.Types, func(other supervisor.Type) bool {
			return other.Name == name && (other.Range.Auto || other.Range.Max > 0)
		}) {
			here = append(here, name)
		} else {
			note += fmt.Sprintf("%s: does not wait for %s, of which none runs here\n", t.Name, name)
		}
	}
	switch len(here) {
	case 0:
		return note
	case 1:
		return note + fmt.Sprintf("%s: starts when %s is ready, and stops before it\n", t.Name, here[0])
	default:
		return note + fmt.Sprintf("%s: starts when %s are ready, and stops before them\n", t.Name, strings.Join(here, ", "))
	}
}
