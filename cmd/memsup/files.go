package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/memsup/memsup/filewatch"
	"github.com/memsup/memsup/procfile"
)

// readProcfile reads the Procfile, which command mode does not have.
func (l *loader) readProcfile() error {
	if l.inv.isCommand {
		return nil
	}
	path, given := l.get("procfile")
	if !given {
		path.text = "Procfile"
	}
	l.from = path.text
	src, err := os.ReadFile(path.text)
	if err != nil {
		return l.noProcfile(path, given, err)
	}
	l.seen = append(l.seen, seen{path.text, src})
	if l.entries, err = procfile.Parse(path.text, src); err != nil {
		return err
	}
	for i, name := range l.inv.types {
		if _, ok := l.entry(name); !ok {
			return l.noType(i)
		}
	}
	return nil
}

func (l *loader) noProcfile(path setting, given bool, err error) error {
	if given {
		err = path.wrap(err)
	}
	words := "CMD"
	if len(l.inv.types) > 0 {
		words = l.inv.types[0] + " …"
	}
	return fmt.Errorf("%w; name the Procfile: memsup -f PATH; or run a command: memsup -- %s", err, words)
}

// noType says that the i-th word names no process type. The first is likely
// to be a command.
func (l *loader) noType(i int) error {
	name := l.inv.types[i]
	if i > 0 {
		return fmt.Errorf("no process type %q in %s; its types are %s", name, l.from, l.names())
	}
	return fmt.Errorf("no process type %q in %s; to run a command: memsup -- %[1]s …", name, l.from)
}

func (l *loader) entry(name string) (procfile.Entry, bool) {
	for _, e := range l.entries {
		if e.Name == name {
			return e, true
		}
	}
	return procfile.Entry{}, false
}

// names lists the Procfile's types for people.
func (l *loader) names() string {
	names := make([]string, len(l.entries))
	for i, e := range l.entries {
		names[i] = e.Name
	}
	return strings.Join(names, ", ")
}

// readEnv merges the env file into the environment of the process.
func (l *loader) readEnv() error {
	l.env = os.Environ()
	override := l.boolean("env-override", false)
	path, src, err := l.readFile("env-file", ".env")
	switch {
	case l.err != nil:
		return l.err
	case err != nil:
		return err
	}
	vars, err := procfile.ParseEnv(path, src)
	if err != nil {
		return err
	}
	l.envFile = vars
	inherited := len(l.env)
	for _, v := range vars {
		if strings.ContainsRune(v.Value, 0) {
			return mistakeAt(fmt.Sprintf("%s:%d:1", path, v.Line), "NUL in %s; a variable cannot hold it", v.Name)
		}
		i := slices.IndexFunc(l.env, func(s string) bool { return strings.HasPrefix(s, v.Name+"=") })
		switch text := v.Name + "=" + v.Value; {
		case i < 0:
			l.env = append(l.env, text)
		case i >= inherited || override:
			l.env[i] = text
		default:
			continue
		}
		if v.Name == "PORT" {
			l.portAt = fmt.Sprintf("%s:%d:1", path, v.Line)
		}
	}
	return nil
}

// basePort gives the PORT of the first worker.
func (l *loader) basePort() (int, error) {
	if port := read(l.settings, "port", 0, parsePort); port != 0 || l.err != nil {
		return port, l.err
	}
	for _, v := range l.env {
		if text, ok := strings.CutPrefix(v, "PORT="); ok && text != "" {
			port, err := parsePort(text)
			switch {
			case err == nil:
				return port, nil
			case l.portAt != "":
				return 0, mistakeAt(l.portAt, "PORT: %w", err)
			}
			return 0, fmt.Errorf("PORT: %w", err)
		}
	}
	return 5000, nil
}

// sums are the files that were read, and those that would be if they were there.
func (l *loader) sums() []filewatch.File {
	files := make([]filewatch.File, len(l.seen))
	for i, f := range l.seen {
		files[i].Path = f.path
		if f.contents != nil {
			files[i].Sum = filewatch.SumOf(f.contents)
		}
	}
	return files
}
