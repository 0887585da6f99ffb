package budget

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestParts(t *testing.T) {
	for name, want := range map[string]Parts{
		"docker-v2":      {Anon: 141533184, File: 88088576, Shmem: 8388608},
		"docker-v1-host": {Anon: 140406784, File: 79163392, Shmem: 8388608, PagesIn: 49239, PagesOut: 734, HasPages: true},
	} {
		got, err := openTree(t, tree(t, name)).Parts()
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, want)
		}
	}
	root := t.TempDir()
	write(t, filepath.Join(root, "proc/meminfo"), "MemTotal: 1000 kB\nMemAvailable: 500 kB\nBuffers: 10 kB\nCached: 200 kB\nAnonPages: 100 kB\nShmem: 50 kB\n")
	got, err := openTree(t, root).Parts()
	if want := (Parts{Anon: 100 * kib, File: 210 * kib, Shmem: 50 * kib}); err != nil || got != want {
		t.Errorf("the host: got %+v, %v, want %+v", got, err, want)
	}
}

// A file that does not say what the kernel would say is an error with its path
// and line.
func TestPartsOfACorruptFile(t *testing.T) {
	for _, tt := range []struct{ tree, file, text, want string }{
		{"docker-v2", "sys/fs/cgroup/memory.stat", "anon 4096\nfile x\n", `:2: "file x" is not a key and a decimal number`},
		{"docker-v2", "sys/fs/cgroup/memory.stat", "anon 4096\n", `:2: "" is not a line of anon and one of file`},
		{"docker-v2", "sys/fs/cgroup/memory.stat", "anon 4096\nfile 40", `:2: "file 40" is not a line with an end`},
		{"docker-v1-host", "sys/fs/cgroup/memory/memory.stat", "total_rss 1\n", `:2: "" is not a line of total_rss and one of total_cache`},
		{"docker-v1-host", "sys/fs/cgroup/memory/memory.stat", "total_rss 1\ntotal_cache 1\ntotal_pgpgin -1\n", `:3: "total_pgpgin -1" is not a key and a decimal number`},
		{"", "proc/meminfo", "MemTotal: 9 kB\nMemAvailable: 1 kB\nCached: 2 kB\n", `:1: "" is not the text of meminfo, with a line of AnonPages`},
		{"", "proc/meminfo", "MemTotal: 9 kB\nMemAvailable: 1 kB\nShmem: 2 MB\n", `:3: "Shmem: 2 MB" is not a name, a decimal number and "kB"`},
	} {
		root := t.TempDir()
		if tt.tree != "" {
			root = tree(t, tt.tree)
		}
		path := filepath.Join(root, tt.file)
		if tt.tree == "" {
			write(t, path, tt.text)
		}
		b := openTree(t, root)
		write(t, path, tt.text)
		p, err := b.Parts()
		if err == nil || err.Error() != path+tt.want || !errors.As(err, new(*FormatError)) || p != (Parts{}) {
			t.Errorf("%q: got %+v, %v, want %s", tt.text, p, err, path+tt.want)
		}
	}
	root := tree(t, "docker-v2")
	b := openTree(t, root)
	if err := os.Remove(filepath.Join(root, "sys/fs/cgroup/memory.stat")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Parts(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is gone: %v", err)
	}
}

// What is no flaw has numbers in range, and what is cut off is one.
func FuzzParts(f *testing.F) {
	for _, name := range []string{"/memory.stat", "/meminfo"} {
		for _, text := range captured(f, name) {
			f.Add(text)
		}
	}
	f.Add([]byte("AnonPages: 1 kB\nCached: 9007199254740992 kB\nBuffers: 9007199254740992 kB\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, parse := range []func([]byte) (Parts, flaw){parseParts, parseParts1, parseParts2} {
			p, flaw := parse(text)
			wantWhole(t, text, flaw)
			if min(p.Anon, p.File, p.Shmem, p.PagesIn, p.PagesOut) < 0 || flaw.line > 0 && p != (Parts{}) {
				t.Errorf("%q: %+v, %+v", text, p, flaw)
			}
		}
	})
}
