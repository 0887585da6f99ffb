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
	self string // memsup's own now; empty is dir
	on   bool   // the memory controller was put on for children
}

// own is the name of memsup's own cgroup within the one that it divides.
const own = "memsup"

// Divide divides dir, the directory of the cgroup v2 that this process is in. The
// error says why it cannot be, and then everything is as it was.
func Divide(dir string) (t *Tree, err error) {
	if err := May(dir); err != nil {
		return nil, err
	}
	t = &Tree{dir: dir}
	if !isRoot(dir) {
		t.self = filepath.Join(dir, own)
		if err := os.Mkdir(t.self, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		err = move(t.self)
	}
	controllers, _ := os.ReadFile(dir + "/cgroup.subtree_control")
	if err == nil && !slices.Contains(strings.Fields(string(controllers)), "memory") {
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
	controllers, err := os.ReadFile(dir + "/cgroup.controllers")
	if err != nil {
		return err
	}
	if !slices.Contains(strings.Fields(string(controllers)), "memory") {
		return fmt.Errorf("no memory in %s/cgroup.controllers", dir)
	}
	if isRoot(dir) {
		if os.Getpid() != 1 {
			return fmt.Errorf("%s is the machine's root cgroup, and this is not its PID 1", dir)
		}
		return nil
	}
	// cgroup.kill, Linux 5.14, is younger than CLONE_INTO_CGROUP.
	if _, err := os.Stat(dir + "/cgroup.kill"); err != nil {
		return err
	}
	procs, err := processes(dir)
	switch {
	case err != nil:
		return err
	case !slices.Contains(procs, strconv.Itoa(os.Getpid())):
		return fmt.Errorf("this process is not in %s itself", dir)
	case os.Getpid() != 1 && !delegated(dir):
		return fmt.Errorf("systemd has not delegated %s: Delegate=yes would", dir)
	}
	return nil
}

// isRoot says whether dir is the hierarchy's real root, which alone has no
// cgroup.type. It may hold processes beside divided children, and no file there
// tells or limits memory.
func isRoot(dir string) bool {
	_, err := os.Stat(dir + "/cgroup.type")
	return errors.Is(err, os.ErrNotExist)
}

// delegated says whether dir is not systemd's own: a unit's cgroup belongs to it
// alone, unless it marked that one, or one around it, with user.delegate (251) or
// trusted.delegate. https://systemd.io/CGROUP_DELEGATION
func delegated(dir string) bool {
	if unix.Access("/run/systemd/system", unix.F_OK) != nil {
		return true
	}
	for ; unix.Access(dir+"/cgroup.controllers", unix.F_OK) == nil; dir = filepath.Dir(dir) {
		for _, name := range []string{"user.delegate", "trusted.delegate"} {
			var value [1]byte
			if n, err := unix.Getxattr(dir, name, value[:]); err == nil && n == 1 && value[0] == '1' {
				return true
			}
		}
	}
	return false
}

// Around gives the cgroup that memsup divided, where dir is memsup's or a
// worker's part of it.
func Around(dir string) (around string, ok bool) {
	around = filepath.Dir(dir)
	return around, dir != around && unix.Access(filepath.Join(around, own)+"/cgroup.procs", unix.F_OK) == nil
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
	if t.self == "" {
		return err
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

// Reclaim has the kernel take n bytes back from dir and below now, cache first and
// where there is swap other memory as well: memory.reclaim, Linux 5.19. It takes as
// long as that takes. EAGAIN and EINTR say that it was less.
func Reclaim(dir string, n int64) error {
	path := dir + "/memory.reclaim"
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = unix.Write(fd, strconv.AppendInt(nil, n, 10)) // again after EINTR would be as much again
		unix.Close(fd)
	}
	if err != nil {
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// Leaf is the cgroup of one worker.
type Leaf struct {
	dir  string
	fd   int
	high int64 // what was written to memory.high; 0 is max
	buf  []byte

	stat, swap, events, peak int
}

// Name is the name that it was made with.
func (l *Leaf) Name() string { return filepath.Base(l.dir) }

// New makes a cgroup by that name; one that is there already is taken where it is
// empty. One OOM kill there takes all its processes along (memory.oom.group), and
// none outside.
func (t *Tree) New(name string) (*Leaf, error) {
	dir := filepath.Join(t.dir, name)
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, os.ErrExist) {
		err = empty(dir)
	}
	if err != nil {
		return nil, err
	}
	l := &Leaf{dir: dir, fd: -1, stat: -1, swap: -1, events: -1, peak: -1, high: -1, buf: make([]byte, 8<<10)}
	err = write(dir, "memory.oom.group", "1")
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
	if l.peak, err = unix.Open(dir+"/memory.peak", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		l.peak, _ = unix.Open(dir+"/memory.peak", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	return l, nil
}

// Begin makes the cgroup ready for one more process: Peak counts from now on,
// where the kernel can forget (Linux 6.12).
func (l *Leaf) Begin() {
	if l.peak >= 0 {
		_, _ = unix.Pwrite(l.peak, []byte("reset"), 0)
	}
}

// Brake makes the kernel slow the worker down and take its cache while it has more
// than n bytes, cache included: memory.high. Zero takes the brake off.
func (l *Leaf) Brake(n int64) error {
	if n == l.high {
		return nil
	}
	text := "max"
	if n > 0 {
		text = strconv.FormatInt(n, 10)
	}
	if err := write(l.dir, "memory.high", text); err != nil {
		return err
	}
	l.high = n
	return nil
}

// FD is the open directory, for CLONE_INTO_CGROUP (clone(2)).
func (l *Leaf) FD() int { return l.fd }

// Kill sends SIGKILL to every process in the cgroup: cgroup.kill, Linux 5.14.
func (l *Leaf) Kill() error { return write(l.dir, "cgroup.kill", "1") }

// Remove removes the cgroup, with those that the worker made in it. It fails with
// EBUSY while a process in it is alive.
func (l *Leaf) Remove() error {
	err := remove(l.dir)
	if err != unix.EBUSY {
		l.close()
	}
	return err
}

// Clean undoes what a worker did to its cgroup that divided it and is gone: no
// process can start in it as long as its controllers are on for children.
func (l *Leaf) Clean() error {
	if err := removeWithin(l.dir); err != nil {
		return err
	}
	on, err := os.ReadFile(l.dir + "/cgroup.subtree_control")
	for _, name := range strings.Fields(string(on)) {
		err = errors.Join(err, write(l.dir, "cgroup.subtree_control", "-"+name))
	}
	return err
}

func remove(dir string) error {
	err := unix.Rmdir(dir)
	if err == unix.EBUSY || err == unix.ENOTEMPTY {
		if err := removeWithin(dir); err != nil {
			return err
		}
		err = unix.Rmdir(dir)
	}
	if err == unix.ENOENT {
		return nil
	}
	return err
}

func removeWithin(dir string) error {
	within, _ := os.ReadDir(dir)
	for _, e := range within {
		if !e.IsDir() {
			continue
		}
		if err := remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// empty says by an error that there is a process in dir or below: populated of
// cgroup.events.
func empty(dir string) error {
	b, err := os.ReadFile(dir + "/cgroup.events")
	if err == nil && !strings.Contains("\n"+string(b), "\npopulated 0") {
		err = fmt.Errorf("somebody else's processes are in %s", dir)
	}
	return err
}

func (l *Leaf) close() {
	for _, fd := range []int{l.fd, l.stat, l.swap, l.events, l.peak} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	l.fd, l.stat, l.swap, l.events, l.peak = -1, -1, -1, -1, -1
}
