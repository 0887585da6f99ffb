package budget

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// A file that is there and cannot be opened for now is no missing file.
func TestOutOfDescriptors(t *testing.T) {
	root := tree(t, "docker-v2")
	want := read(t, openTree(t, root))
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	next := nextDescriptor(t)
	enough := false
	for more := 0; !enough && more < 32; more++ {
		err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: uint64(next + more), Max: was.Max})
		if err != nil {
			t.Fatal(err)
		}
		b, err := OpenAt(root)
		if err == nil {
			_, err = b.Read()
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
			t.Fatal(err)
		}
		if enough = err == nil; !enough && !errors.Is(err, syscall.EMFILE) {
			t.Errorf("with %d descriptors: %v", more, err)
		}
		if b == nil {
			continue
		}
		if m := read(t, b); m != want {
			t.Errorf("after %d descriptors: got %+v, want %+v", more, m, want)
		}
		b.Close()
	}
	if !enough {
		t.Error("never enough")
	}
}

// A directory or a pipe where a file should be is an error that names it, leaves no
// descriptor open and does not wait.
func TestNoFiles(t *testing.T) {
	for _, name := range []string{"/proc/meminfo", "/proc/self/mountinfo", "/proc/self/cgroup", v2 + "/memory.max", v2 + "/memory.current", v2 + "/memory.stat", v2 + "/memory.events"} {
		for kind, put := range map[string]func(string) error{
			"directory": func(path string) error { return os.Mkdir(path, 0o755) },
			"pipe":      func(path string) error { return syscall.Mkfifo(path, 0o644) },
		} {
			root := tree(t, "docker-v2")
			if err := errors.Join(os.Remove(root+name), put(root+name)); err != nil {
				t.Fatal(err)
			}
			before := nextDescriptor(t)
			m, _, _, err := everything(root)
			var bad *os.PathError
			if !errors.As(err, &bad) || bad.Path != root+name {
				t.Errorf("a %s for %s: got %+v, %v", kind, name, m, err)
			}
			if after := nextDescriptor(t); after != before {
				t.Errorf("a %s for %s: the next descriptor was %d and is %d", kind, name, before, after)
			}
		}
	}
}

func nextDescriptor(t *testing.T) int {
	t.Helper()
	fd, err := open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	syscall.Close(fd)
	return fd
}
