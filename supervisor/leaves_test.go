package supervisor

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/leaf"
	"github.com/memsup/memsup/spawn"
)

// A start that fails for a reason of the cgroup's has workers go without; one that fails
// for a reason of the command's, or for want of something, has not.
func TestFailedStartInACgroup(t *testing.T) {
	for _, c := range []struct {
		within, without error
		undivided       bool
	}{
		{unix.EOPNOTSUPP, nil, true},
		{unix.ENOSYS, nil, true},
		{unix.EPERM, nil, true},
		{unix.EACCES, nil, true},
		{unix.EACCES, unix.EACCES, false}, // of the program
		{unix.ENOENT, nil, false},         // it is there by now
		{unix.ENOENT, unix.ENOENT, false},
		{unix.EAGAIN, nil, false},
		{unix.ENOMEM, nil, false},
		{nil, nil, false},
	} {
		t.Chdir(t.TempDir()) // the zero Tree's place
		if err := os.Mkdir("web.1", 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"cgroup.events": "populated 0\n", "cgroup.subtree_control": "", "memory.oom.group": "", "memory.high": "", "memory.stat": "", "memory.events": ""} {
			if err := os.WriteFile(filepath.Join("web.1", name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		s := &supervisor{c: &Config{}, tree: &leaf.Tree{}}
		s.sys.start = func(spec *spawn.Spec) (int, error) {
			err := c.without
			if spec.Cgroup > 0 {
				err = c.within
			}
			if err != nil {
				return 0, &spawn.Error{Program: "x", Err: err}
			}
			return 7, nil
		}
		_, err := s.startIn(&worker{typ: &processType{}, name: "web.1"}, &spawn.Spec{})
		want := c.within
		if c.undivided {
			want = nil
		}
		if undivided := s.tree == nil; undivided != c.undivided || !errors.Is(err, want) {
			t.Errorf("%v, and without a cgroup %v: undivided %v, %v", c.within, c.without, undivided, err)
		}
	}
}
