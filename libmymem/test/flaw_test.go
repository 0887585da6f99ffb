package libmymem

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/memsup/memsup/budget"
)

// TestNoFiles puts what is no file in the place of each one, and has both say so of
// those that matter.
func TestNoFiles(t *testing.T) {
	c := start(t)
	kinds := map[string]func(path string) error{
		"directory": func(path string) error { return os.Mkdir(path, 0o755) },
		"pipe":      func(path string) error { return syscall.Mkfifo(path, 0o644) },
		"loop":      func(path string) error { return os.Symlink(filepath.Base(path), path) },
		"nothing":   func(string) error { return nil },
		"empty":     func(path string) error { return os.WriteFile(path, nil, 0o644) },
	}
	told := make(map[string]int)
	for name, archive := range trees(t) {
		root := unpack(t, archive)
		for _, f := range archive.Files {
			path := filepath.Join(root, f.Name)
			if !shared[filepath.Base(f.Name)] {
				continue
			}
			for kind, put := range kinds {
				if err := errors.Join(os.Remove(path), put(path)); err != nil {
					t.Fatal(err)
				}
				got, want := c.ask(t, root), answer(root)
				if !want.agrees(got) {
					t.Errorf("%s, %s for %s:\nlibmymem:\n%s\nbudget:\n%s", name, kind, f.Name, got, want.text)
				}
				if strings.HasPrefix(got, "error="+path+":") {
					told[kind+" "+filepath.Base(f.Name)]++
				}
				if err := os.RemoveAll(path); err != nil {
					t.Fatal(err)
				}
				write(t, path, f.Data)
			}
		}
	}
	for name := range shared {
		for _, kind := range []string{"directory", "pipe", "loop"} {
			if told[kind+" "+name] == 0 {
				t.Errorf("no tree has a %s for %s that matters", kind, name)
			}
		}
	}
}

// TestTwice has a line of memory.stat twice.
func TestTwice(t *testing.T) {
	c := start(t)
	archive := trees(t)["two levels with sockets"]
	root := unpack(t, archive)
	const name = "cg/a/memory.stat"
	stat := text(archive, name)
	for line := range bytes.Lines(stat) {
		write(t, filepath.Join(root, name), slices.Concat(stat, line))
		got, want := c.ask(t, root), answer(root)
		var flaw *budget.FormatError
		if !want.agrees(got) || !errors.As(want.err, &flaw) || flaw.Line != bytes.Count(stat, []byte("\n"))+1 {
			t.Errorf("%q twice:\nlibmymem:\n%s\nbudget:\n%s", line, got, want.text)
		}
	}
}

// TestCut cuts meminfo off at the end of each line.
func TestCut(t *testing.T) {
	const name = "proc/meminfo"
	c := start(t)
	for tree, archive := range trees(t) {
		meminfo := text(archive, name)
		root := unpack(t, archive)
		flaws := 0
		for i, b := range meminfo {
			if b != '\n' {
				continue
			}
			write(t, filepath.Join(root, name), meminfo[:i+1])
			got, want := c.ask(t, root), answer(root)
			if !want.agrees(got) {
				t.Errorf("%s, %d bytes of meminfo:\nlibmymem:\n%s\nbudget:\n%s", tree, i+1, got, want.text)
			}
			if want.err != nil {
				flaws++
			}
		}
		if flaws < 3 {
			t.Errorf("%s: %d flaws where meminfo was cut", tree, flaws)
		}
	}
}

// TestOvercommit changes the mode of overcommitting and what is committed.
func TestOvercommit(t *testing.T) {
	c := start(t)
	for name, archive := range trees(t) {
		root := unpack(t, archive)
		meminfo := text(archive, "proc/meminfo")
		for _, mode := range []string{"0", "1", "2"} {
			for _, lines := range []string{"CommitLimit: 9007199254740991 kB\nCommitted_AS: 0 kB\n", "CommitLimit: 9 kB\nCommitted_AS: 8 kB\n", "CommitLimit: 8 kB\nCommitted_AS: 9 kB\n"} {
				write(t, filepath.Join(root, "proc/meminfo"), slices.Concat(meminfo, []byte(lines)))
				write(t, filepath.Join(root, "proc/sys/vm/overcommit_memory"), []byte(mode+"\n"))
				got, want := c.ask(t, root), answer(root)
				if !want.agrees(got) {
					t.Errorf("%s, mode %s, %q:\nlibmymem:\n%s\nbudget:\n%s", name, mode, lines, got, want.text)
				}
			}
		}
	}
}
