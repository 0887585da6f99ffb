package filewatch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// limit is how long a test waits for what should come at once.
const limit = time.Minute

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, contents string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(contents), 0o644))
}

// replace puts a file in another one's place as editors do.
func replace(t *testing.T, path, contents string) {
	t.Helper()
	write(t, path+"~", contents)
	must(t, os.Rename(path+"~", path))
}

// relink has a link lead elsewhere, without a moment in which it is not there.
func relink(t *testing.T, target, link string) {
	t.Helper()
	must(t, os.Symlink(target, link+"~"))
	must(t, os.Rename(link+"~", link))
}

// asRead is the file as it is now.
func asRead(t *testing.T, path string) File {
	t.Helper()
	contents, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return File{Path: path}
	}
	must(t, err)
	return File{path, SumOf(contents)}
}

// TestTells changes a file three times in each way. The first change may be found when
// the watch begins; the others are heard of.
func TestTells(t *testing.T) {
	for _, test := range []struct {
		name   string
		path   string
		change func(t *testing.T, dir string, n int) // from 0
	}{
		{"written in place", "Procfile", func(t *testing.T, dir string, n int) {
			write(t, dir+"/Procfile", fmt.Sprint(n))
		}},
		{"replaced by a rename", "Procfile", func(t *testing.T, dir string, n int) {
			replace(t, dir+"/Procfile", fmt.Sprint(n))
		}},
		{"ConfigMap", "Procfile", func(t *testing.T, dir string, n int) {
			version := fmt.Sprintf("..v%d", n)
			must(t, os.Mkdir(filepath.Join(dir, version), 0o755))
			write(t, filepath.Join(dir, version, "Procfile"), fmt.Sprint(n))
			relink(t, version, dir+"/..data")
			if n == 0 {
				must(t, os.Symlink("..data/Procfile", dir+"/Procfile"))
				return
			}
			must(t, os.RemoveAll(filepath.Join(dir, fmt.Sprintf("..v%d", n-1))))
		}},
		{"link to a file that is replaced", "Procfile", func(t *testing.T, dir string, n int) {
			if n == 0 {
				must(t, os.Mkdir(dir+"/elsewhere", 0o755))
				must(t, os.Symlink("elsewhere/Procfile", dir+"/Procfile"))
			}
			replace(t, dir+"/elsewhere/Procfile", fmt.Sprint(n))
		}},
		{"directory that is a link", "current/Procfile", func(t *testing.T, dir string, n int) {
			release := fmt.Sprintf("%s/releases/%d", dir, n)
			must(t, os.MkdirAll(release, 0o755))
			write(t, release+"/Procfile", fmt.Sprint(n))
			relink(t, release, dir+"/current")
		}},
		{"directory that is renamed", "app/Procfile", func(t *testing.T, dir string, n int) {
			must(t, os.Mkdir(dir+"/new", 0o755))
			write(t, dir+"/new/Procfile", fmt.Sprint(n))
			if n > 0 {
				must(t, os.Rename(dir+"/app", fmt.Sprintf("%s/old%d", dir, n)))
			}
			must(t, os.Rename(dir+"/new", dir+"/app"))
		}},
		{"not there at first", "conf/memsup.toml", func(t *testing.T, dir string, n int) {
			switch n {
			case 1:
				must(t, os.Mkdir(dir+"/conf", 0o755))
				fallthrough
			case 2, 3:
				write(t, dir+"/conf/memsup.toml", fmt.Sprint(n))
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			test.change(t, dir, 0)
			w := Start([]File{asRead(t, filepath.Join(dir, test.path))})
			defer w.Close()
			for n := 1; n <= 3; n++ {
				test.change(t, dir, n)
				select {
				case err := <-w.Changes():
					must(t, err)
				case <-time.After(limit):
					t.Fatalf("nothing was told of change %d", n)
				}
			}
		})
	}
}

// Other files take the place of those before, as they were read.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	one, two := dir+"/one", dir+"/two"
	write(t, one, "1")
	write(t, two, "2")
	w := Start([]File{asRead(t, one)})
	defer w.Close()
	w.Follow([]File{asRead(t, one)})
	w.Follow([]File{{two, SumOf([]byte("what it was before"))}})
	select {
	case err := <-w.Changes():
		must(t, err)
	case <-time.After(limit):
		t.Fatal("nothing was told of the file that is followed")
	}
}

// What nobody has taken yet is told once, and an end is not lost behind it.
func TestTellsTheLast(t *testing.T) {
	w := &Watcher{changes: make(chan error, 1)}
	over := errors.New("over")
	w.tell(nil)
	w.tell(nil)
	w.tell(over)
	if err := <-w.Changes(); err != over {
		t.Errorf("told %v, want %v", err, over)
	}
	var none *Watcher
	none.Close()
	if none.Changes() != nil {
		t.Error("nobody tells something")
	}
}
