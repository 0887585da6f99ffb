package main

import (
	"slices"

	"github.com/memsup/memsup/procfile"
	"github.com/memsup/memsup/supervisor"
)

// releaseType is the type that is run once for each release of the program, by the
// platform or where run-release asks for it.
const releaseType = "release"

// runsFirst says whether run-release has the release run before the others. Where types
// are named, it is for the one that names it: it would run once more with each.
func (l *loader) runsFirst() (bool, error) {
	if !l.release {
		return false, nil
	}
	if _, ok := l.entry(releaseType); !ok {
		v, _ := l.get("run-release")
		return false, v.errorf("no process type release in %s; write one there, or leave this out", l.from)
	}
	return len(l.inv.types) == 0 || slices.Contains(l.inv.types, releaseType), nil
}

// asFirst makes a type the release that runs once before the others.
func (l *loader) asFirst(t *supervisor.Type) {
	t.First, t.Unscaled, t.Range = true, false, procfile.Range{Min: 1, Max: 1}
}

// checkFirst says whether the type can run before the others, and has it run once.
func (l *loader) checkFirst(t *supervisor.Type) error {
	if !t.First {
		return nil
	}
	if len(t.After) > 0 {
		e := l.file.typeTable(t.Name).values["after"]
		return e.keyErrorf("release runs before every other type, as run-release asks for; remove after")
	}
	t.Restart = supervisor.RestartNever
	return nil
}

// firstNote says what runs before the others.
func firstNote(t *supervisor.Type) string {
	if !t.First {
		return ""
	}
	return t.Name + ": runs once before the others start, which they do not if it fails\n"
}
