// Package leaf gives each worker a cgroup of its own, where cgroup v2 may be
// written: on a host, under systemd's Delegate=, in a container whose cgroups
// are mounted for writing. What a worker costs is then what its cgroup is
// charged with, and a kill takes a worker whole and nobody else
// (Documentation/admin-guide/cgroup-v2.rst).
//
// A cgroup whose controllers are on for its children may hold no process of its
// own. So memsup moves itself into a child beside the workers'; it never moves
// anybody else, and where somebody else is, nothing is divided.
package leaf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Tree is a cgroup that is divided into one for memsup and one for each worker.
type Tree struct {
	dir  string // the cgroup that memsup was started in
	self string // memsup's own now
	on   bool   // the memory controller is on for children
}

// own is the name of memsup's own cgroup within the one that it divides.
const own = "memsup"

// Divide divides dir, the directory of the cgroup v2 that this process is in. The
// error says why it cannot be, and then everything is as it was.
func Divide(dir string) (t *Tree, err error) {
	if err := May(dir); err != nil {
		return nil, err
	}
	t = &Tree{dir: dir, self: filepath.Join(dir, own)}
	if err := os.Mkdir(t.self, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	err = move(t.self)
	if err == nil {
		err = write(dir, "cgroup.subtree_control", "+memory")
		t.on = err == nil
	}
	if err != nil {
		return nil, errors.Join(explain(dir, err), t.Close())
	}
	return t, nil
}

// May says why dir cannot be divided; nil is that it may be tried. It changes
// nothing.
func May(dir string) error {
	for _, file := range []string{"cgroup.subtree_control", "cgroup.procs"} {
		if err := unix.Access(dir+"/"+file, unix.W_OK); err != nil {
			return &os.PathError{Op: "write", Path: dir + "/" + file, Err: err}
		}
	}
	// cgroup.kill, Linux 5.14, is younger than CLONE_INTO_CGROUP.
	if _, err := os.Stat(dir + "/cgroup.kill"); err != nil {
		return err
	}
	procs, err := processes(dir)
	if err == nil && !slices.Contains(procs, strconv.Itoa(os.Getpid())) {
		err = fmt.Errorf("this process is not in %s itself", dir)
	}
	return err
}

func processes(dir string) ([]string, error) {
	b, err := os.ReadFile(dir + "/cgroup.procs")
	return strings.Fields(string(b)), err
}

// explain names who is in the way where the kernel says EBUSY.
func explain(dir string, err error) error {
	if others, _ := processes(dir); errors.Is(err, unix.EBUSY) && len(others) > 0 {
		return fmt.Errorf("other processes are in %s: %s", dir, strings.Join(others, " "))
	}
	return err
}

// Close undoes Divide, once all leaves were removed.
func (t *Tree) Close() error {
	var err error
	if t.on {
		err = write(t.dir, "cgroup.subtree_control", "-memory")
	}
	if moveErr := move(t.dir); moveErr != nil {
		return errors.Join(err, moveErr)
	}
	return errors.Join(err, unix.Rmdir(t.self))
}

// move moves this process, all its threads, into a cgroup.
func move(dir string) error {
	return write(dir, "cgroup.procs", strconv.Itoa(os.Getpid()))
}

func write(dir, file, text string) error {
	f, err := os.OpenFile(dir+"/"+file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// Leaf is the cgroup of one worker.
type Leaf struct {
	dir                string
	fd                 int
	stat, swap, events int
	buf                []byte
}

// New makes a cgroup by that name. One OOM kill there takes all its processes
// along (memory.oom.group), and none outside.
func (t *Tree) New(name string) (*Leaf, error) {
	dir := filepath.Join(t.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	l := &Leaf{dir: dir, fd: -1, stat: -1, swap: -1, events: -1, buf: make([]byte, 8<<10)}
	err := write(dir, "memory.oom.group", "1")
	if err == nil {
		l.fd, err = unix.Open(dir, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if err == nil {
		l.stat, err = unix.Open(dir+"/memory.stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if err == nil {
		l.events, err = unix.Open(dir+"/memory.events", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		l.close()
		_ = unix.Rmdir(dir)
		return nil, fmt.Errorf("make the cgroup %s: %w", dir, err)
	}
	l.swap, _ = unix.Open(dir+"/memory.swap.current", unix.O_RDONLY|unix.O_CLOEXEC, 0) // missing without swap
	return l, nil
}

// FD is the open directory, for CLONE_INTO_CGROUP (clone(2)).
func (l *Leaf) FD() int { return l.fd }

// Kill sends SIGKILL to every process in the cgroup: cgroup.kill, Linux 5.14.
func (l *Leaf) Kill() error { return write(l.dir, "cgroup.kill", "1") }

// Remove removes the cgroup. It fails with EBUSY while a process in it is alive.
func (l *Leaf) Remove() error {
	if err := unix.Rmdir(l.dir); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	l.close()
	return nil
}

func (l *Leaf) close() {
	for _, fd := range []int{l.fd, l.stat, l.swap, l.events} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	l.fd, l.stat, l.swap, l.events = -1, -1, -1, -1
}
