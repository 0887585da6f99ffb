package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A cage is a container made by hand: a cgroup with memory.max, and processes
// that see it as the root of their cgroup namespace.
type cage struct {
	name     string
	memory   string // memory.max
	parent   string // memory.max of a cgroup around it; "" is no such cgroup
	visible  bool   // the parent is the root that the container sees
	writable bool   // cgroups are mounted for writing
	oomGroup bool   // memory.oom.group, as Kubernetes sets it
	user     int    // user and group id
	noClone3 bool   // clone3 is answered with ENOSYS, as by Docker's seccomp profile
	capable  bool   // it keeps every capability

	group string // directory of its cgroup
	cmd   *exec.Cmd
	lines chan string // what its processes print; closed at their end
}

// contain makes a container, follows the steps and prints the result:
//
//	lab contain NAME [-memory SIZE] [...] [STEP ...] -- CMD [ARG ...]
//
// Steps are done in order; then the container is sent SIGTERM.
func contain(args []string) error {
	if len(args) == 0 {
		return errors.New("the container has no name")
	}
	c := &cage{name: args[0], lines: make(chan string)}
	j := &judge{cage: c, values: map[string]any{}}
	flags := flag.NewFlagSet("contain", flag.ExitOnError)
	flags.StringVar(&c.memory, "memory", "max", "memory.max")
	flags.StringVar(&c.parent, "parent", "", "memory.max of a cgroup around it")
	flags.BoolVar(&c.visible, "visible", false, "the container sees its parent")
	flags.BoolVar(&c.writable, "writable", false, "cgroups are mounted for writing")
	flags.BoolVar(&c.oomGroup, "oom-group", false, "memory.oom.group")
	flags.BoolVar(&c.noClone3, "no-clone3", false, "clone3 is answered with ENOSYS, as by Docker's seccomp profile")
	flags.BoolVar(&c.capable, "capable", false, "the container keeps every capability")
	flags.IntVar(&c.user, "user", 0, "user and group id")
	flags.DurationVar(&j.within, "within", 90*time.Second, "longest time that a step may take")
	flags.Func("until", "step: KEY=N[|KEY=N ...], wait until a count reaches N", j.until)
	flags.Func("set", "step: FILE=VALUE, write a file of the cgroup", j.set)
	flags.Func("for", "step: let so much time pass", j.lasting)
	flags.Func("idle", "step: count PID 1's context switches over so much time", j.idle)
	_ = flags.Parse(args[1:])
	if err := c.start(flags.Args()); err != nil {
		return err
	}
	return j.watch()
}

// start makes the cgroup and starts the program in it. The new process is in
// the cgroup before it unshares its cgroup namespace.
func (c *cage) start(words []string) error {
	entered, err := c.makeGroups()
	if err != nil {
		return err
	}
	dir, err := os.Open(entered)
	if err != nil {
		return err
	}
	defer dir.Close()
	gate, open, err := os.Pipe()
	if err != nil {
		return err
	}
	defer gate.Close()
	args := []string{"inside", "-user", strconv.Itoa(c.user), "-writable=" + strconv.FormatBool(c.writable), "-no-clone3=" + strconv.FormatBool(c.noClone3), "-capable=" + strconv.FormatBool(c.capable), "--"}
	c.cmd = exec.Command("/proc/self/exe", append(args, words...)...)
	c.cmd.ExtraFiles = []*os.File{gate}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{
		UseCgroupFD: true, CgroupFD: int(dir.Fd()), Cloneflags: unix.CLONE_NEWPID,
		Unshareflags: unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWNET,
	}
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	c.cmd.Stdout, c.cmd.Stderr = in, in
	if err := c.cmd.Start(); err != nil {
		return err
	}
	in.Close()
	go c.follow(out)
	if c.visible {
		if err := c.descend(entered); err != nil {
			_ = c.cmd.Process.Kill()
			return err
		}
	}
	return open.Close()
}

// makeGroups makes the cgroups and returns the directory of the one that the
// first process starts in.
func (c *cage) makeGroups() (entered string, err error) {
	c.group = filepath.Join(cgroups, c.name)
	if c.parent == "" {
		return c.group, c.makeGroup()
	}
	around := c.group
	c.group = filepath.Join(around, "inner")
	if err := os.Mkdir(around, 0o755); err != nil {
		return "", err
	}
	if err := put(around, "memory.max", c.parent); err != nil || c.visible {
		return around, err
	}
	if err := put(around, "cgroup.subtree_control", "+memory"); err != nil {
		return "", err
	}
	return c.group, c.makeGroup()
}

func (c *cage) makeGroup() error {
	if err := os.Mkdir(c.group, 0o755); err != nil {
		return err
	}
	if err := c.delegate(); err != nil {
		return err
	}
	return c.limit()
}

// delegate gives a cgroup that is mounted for writing to the container's user:
// the files that cgroup-v2.rst names, and no limit.
func (c *cage) delegate() error {
	if !c.writable || c.user == 0 {
		return nil
	}
	for _, name := range []string{"", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"} {
		if err := os.Chown(filepath.Join(c.group, name), c.user, c.user); err != nil {
			return err
		}
	}
	return nil
}

func (c *cage) limit() error {
	if c.oomGroup {
		if err := put(c.group, "memory.oom.group", "1"); err != nil {
			return err
		}
	}
	return put(c.group, "memory.max", c.memory)
}

// descend moves the first process from the parent, where its cgroup namespace
// has its root, into the cgroup within. A cgroup that has processes cannot pass
// a controller on, so the order matters.
func (c *cage) descend(around string) error {
	pid := c.cmd.Process.Pid
	for range 1000 { // until it has unshared, which nothing announces
		ours, err := os.Readlink("/proc/self/ns/cgroup")
		if err != nil {
			return err
		}
		if its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/cgroup", pid)); err == nil && its != ours {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := os.Mkdir(c.group, 0o755); err != nil {
		return err
	}
	if err := put(c.group, "cgroup.procs", strconv.Itoa(pid)); err != nil {
		return err
	}
	if err := put(around, "cgroup.subtree_control", "+memory"); err != nil {
		return err
	}
	return c.limit()
}

// follow passes the container's output on, line by line.
func (c *cage) follow(out *os.File) {
	defer close(c.lines)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		c.lines <- lines.Text()
	}
}

func put(dir, name, value string) error {
	return os.WriteFile(filepath.Join(dir, name), []byte(value), 0)
}
