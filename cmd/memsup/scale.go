package main

import (
	"slices"
	"strings"

	"github.com/memsup/memsup/procfile"
)

// commandType is the name of the one type of command mode.
const commandType = "main"

// formation is one place where --scale, its variable or its key was written.
type formation struct {
	setting
	scales []procfile.Scale
}

// formations gives those places, the strongest last.
func (l *loader) formations() ([]formation, error) {
	var list []formation
	for _, v := range l.given("scale") {
		if l.inv.isCommand && !strings.Contains(v.text, "=") {
			r, err := procfile.ParseRange(v.text)
			if err != nil {
				return nil, v.wrap(err)
			}
			list = append(list, formation{v, []procfile.Scale{{Name: commandType, Range: r}}})
			continue
		}
		scales, err := procfile.ParseFormation(v.text)
		if err != nil {
			return nil, v.wrap(err)
		}
		if err := l.checkNames(v, scales); err != nil {
			return nil, err
		}
		list = append(list, formation{v, scales})
	}
	return list, nil
}

// checkNames says which type does not exist. In command mode environment and
// file may speak of the Procfile's types; a flag was written for this command.
func (l *loader) checkNames(v setting, scales []procfile.Scale) error {
	for _, s := range scales {
		_, known := l.entry(s.Name)
		switch {
		case l.inv.isCommand && (s.Name == commandType || !strings.HasPrefix(v.from, "--")):
		case l.inv.isCommand:
			return v.errorf("no process type %q in command mode; write --scale MIN..MAX", s.Name)
		case !known && s.Name != procfile.All:
			return v.errorf("no process type %q in %s; its types are %s", s.Name, l.from, l.names())
		}
	}
	return nil
}

// rangeOf gives a type's range: what a flag says, else the environment, else
// the file, where the type's own table is before the key scale, else 1. Named
// is that one of them names the type itself and does not mean it by "all".
func (l *loader) rangeOf(name string, formations []formation) (r procfile.Range, named bool, err error) {
	r = procfile.Range{Min: 1, Max: 1}
	if t := l.file.typeTable(name); t != nil {
		if e, ok := t.values["workers"]; ok {
			if r, err = procfile.ParseRange(e.text); err != nil {
				return r, false, e.setting().wrap(err)
			}
			named = true
			for _, f := range formations {
				if f.inFile && isNamed(f.scales, name) {
					return r, false, e.errorf("%s is also in scale at %s; write one of the two", name, f.from)
				}
			}
		}
	}
	for _, f := range formations {
		own := isNamed(f.scales, name)
		if f.inFile && named || l.inv.isCommand && !own {
			continue
		}
		if found, ok := procfile.RangeOf(f.scales, name); ok {
			r = found
		}
		named = named || own
	}
	return r, named, nil
}

func isNamed(scales []procfile.Scale, name string) bool {
	return slices.ContainsFunc(scales, func(s procfile.Scale) bool { return s.Name == name })
}

// selected says whether a type runs: those on the command line, else all but
// release, which runs where its number of workers is written.
func (l *loader) selected(name string, named bool) bool {
	if len(l.inv.types) == 0 {
		return name != releaseType || named
	}
	return slices.Contains(l.inv.types, name)
}
