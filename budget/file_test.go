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

// A directory where a file should be can be opened and not read.
func TestDirectoriesAreClosed(t *testing.T) {
	root := tree(t, "docker-v2")
	for _, name := range []string{"memory.max", "memory.current"} {
		if err := errors.Join(os.Remove(root+v2+"/"+name), os.Mkdir(root+v2+"/"+name, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	before := nextDescriptor(t)
	b, err := OpenAt(root)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := b.Read(); err != nil || m.Limited {
		t.Errorf("got %+v, %v", m, err)
	}
	b.Close()
	if after := nextDescriptor(t); after != before {
		t.Errorf("the next descriptor was %d and is %d", before, after)
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
