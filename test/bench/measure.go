package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// verbs are what this program does as a child of itself.
var verbs = map[string]func([]string) error{"inside": inside, "orphans": makeOrphans, "read": readVerb}

var environment = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/"}

// starts times each peer from its start to its end around true(1).
func starts(t *table, peers []*peer, e extent, dir string) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	attr := &syscall.ProcAttr{Dir: dir, Env: environment, Files: []uintptr{null.Fd(), null.Fd(), null.Fd()}}
	r := t.row("start and end of `true`, ms", fractionOf("tini", 2.5))
	for i := range e.rounds {
		for j := range peers {
			p := peers[(i+j)%len(peers)]
			if p.alone == nil {
				continue
			}
			var status syscall.WaitStatus
			begin := time.Now()
			pid, err := syscall.ForkExec(p.program, p.command("true"), attr)
			if err == nil {
				_, err = syscall.Wait4(pid, &status, 0, nil)
			}
			took := time.Since(begin)
			if err != nil || status != 0 {
				return fmt.Errorf("%s true: wait status %#x: %w", p.name, status, err)
			}
			r.add(p.name, took.Seconds()*1e3)
		}
	}
	return nil
}

// asPID1 is argv as PID 1 of a PID namespace with its own /proc: that is how
// inits are run, and killing it ends all that it started.
func asPID1(argv ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", append([]string{"inside"}, argv...)...)
	cmd.Env = environment
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	return cmd
}

func inside(argv []string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	return unix.Exec(path, argv, os.Environ())
}

// reaping measures how peers reap as PID 1: orphans that come in small groups
// over seconds, and the same number that are all dead already.
func reaping(t *table, peers []*peer, e extent) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	name := fmt.Sprintf("reaping %d orphans, ", e.orphans)
	kinds := []struct {
		each         int
		elapsed, cpu *row
	}{
		{20, t.row(name+"20 of each parent, s", noSlowerThan("tini")), t.row("– CPU time of PID 1, s", target{})},
		{e.orphans, t.row(name+"all dead at once, s", noSlowerThan("tini")), t.row("– CPU time of PID 1, s", target{})},
	}
	for i := range e.pairs {
		for j := range peers {
			p := peers[(i+j)%len(peers)]
			if p.alone == nil {
				continue
			}
			for _, k := range kinds {
				cmd := asPID1(p.command(self, "orphans", strconv.Itoa(e.orphans), strconv.Itoa(k.each))...)
				cmd.Stderr = os.Stderr
				out, err := cmd.Output()
				if err != nil {
					return fmt.Errorf("%s orphans: %w", p.name, err)
				}
				var elapsed, cpu float64
				if _, err := fmt.Sscan(string(out), &elapsed, &cpu); err != nil {
					return fmt.Errorf("%s orphans: %q: %w", p.name, out, err)
				}
				k.elapsed.add(p.name, elapsed)
				k.cpu.add(p.name, cpu)
			}
		}
	}
	return nil
}

// makeOrphans makes argv[0] orphans, argv[1] of each parent, and prints how
// many seconds it took until PID 1 had reaped them, and its CPU time meanwhile.
// Where one parent leaves all of them, the time is from that parent's end.
func makeOrphans(argv []string) error {
	n, err := strconv.Atoi(argv[0])
	if err != nil {
		return err
	}
	each, err := strconv.Atoi(argv[1])
	if err != nil {
		return err
	}
	before, err := cpuTime(1)
	if err != nil {
		return err
	}
	begin := time.Now()
	for done := 0; done < n; done += each {
		parent, errno := forkParent(each)
		if errno != 0 {
			return fmt.Errorf("fork: %w", errno)
		}
		var status unix.WaitStatus
		if _, err := unix.Wait4(parent, &status, 0, nil); err != nil || status != 0 {
			return fmt.Errorf("fork %d processes: wait status %#x: %w", each, status, err)
		}
	}
	if each == n {
		begin = time.Now()
	}
	// Signal 0 goes to all that there is besides PID 1 and this process.
	for !errors.Is(unix.Kill(-1, 0), unix.ESRCH) {
		time.Sleep(500 * time.Microsecond)
	}
	elapsed := time.Since(begin)
	after, err := cpuTime(1)
	if err != nil {
		return err
	}
	_, err = fmt.Println(elapsed.Seconds(), (after - before).Seconds())
	return err
}

// forkParent forks a process that forks n more, which end at once, and ends
// without having waited. A fork of this process has one thread and no Go
// runtime, so it makes bare system calls alone.
//
//go:norace
func forkParent(n int) (pid int, errno syscall.Errno) {
	r, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || r != 0 {
		return int(r), errno
	}
	for range n {
		r, _, errno = unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		if errno != 0 || r == 0 {
			break
		}
	}
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(errno), 0, 0)
	}
}

// cpuTime is what all threads of a process have used of the CPU:
// /proc/PID/task/TID/schedstat, nanoseconds.
func cpuTime(pid int) (time.Duration, error) {
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	var sum time.Duration
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		var used time.Duration
		if _, err := fmt.Sscan(string(b), (*int64)(&used)); err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		sum += used
	}
	return sum, err
}

// sleepers measures what it takes to supervise one sleeping worker. All
// instances of all peers live side by side.
func sleepers(t *table, peers []*peer, e extent, dir string) error {
	rows := []*row{
		t.row("one sleeping worker: VmRSS, MiB", atMost(10)),
		t.row("– of it RssAnon, MiB", atMost(3)),
		t.row("– threads", target{}),
		t.row(fmt.Sprintf("– wake-ups of all threads in %v", e.watch), atMost(10)),
	}
	var all []*instance
	defer func() {
		for _, i := range all {
			i.end()
		}
	}()
	for n := range e.instances {
		for _, p := range peers {
			i, err := supervise(p, filepath.Join(dir, p.name+"."+strconv.Itoa(n)))
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			all = append(all, i)
		}
	}
	for _, i := range all {
		if err := i.await(); err != nil {
			return err
		}
	}
	time.Sleep(e.settle)
	before := make([]footprint, len(all))
	for k, i := range all {
		var err error
		if before[k], err = i.look(); err != nil {
			return err
		}
	}
	time.Sleep(e.watch)
	for k, i := range all {
		f, err := i.look()
		if err != nil {
			return err
		}
		const mib = 1 << 10 // of kB
		for r, v := range []float64{f.rss / mib, f.anon / mib, f.threads, f.switches - before[k].switches} {
			rows[r].add(i.peer.name, v)
		}
	}
	return nil
}

// instance is one running supervisor.
type instance struct {
	peer   *peer
	cmd    *exec.Cmd
	output *os.File
}

func supervise(p *peer, dir string) (*instance, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	argv := p.command("sleep", "1000")
	if p.supervise != nil {
		args, err := p.supervise(dir)
		if err != nil {
			return nil, err
		}
		argv = append([]string{p.program}, args...)
	}
	output, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		return nil, err
	}
	cmd := asPID1(argv...)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		output.Close()
		return nil, err
	}
	return &instance{p, cmd, output}, nil
}

func (i *instance) end() {
	i.cmd.Process.Kill()
	i.cmd.Wait()
	i.output.Close()
}

// await returns once the worker runs.
func (i *instance) await() error {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if _, err := i.look(); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// footprint sums what the processes of one supervisor take, without its worker.
type footprint struct{ rss, anon, threads, switches float64 }

// look fails where the instance has not one sleeping worker.
func (i *instance) look() (footprint, error) {
	var f footprint
	names, err := tree(i.cmd.Process.Pid)
	workers := 0
	for pid, name := range names {
		if name == "sleep" {
			workers++
			continue
		}
		all, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		if err != nil {
			return f, err
		}
		for _, path := range all {
			thread, err := numbers(path)
			if err != nil {
				return f, err
			}
			if path == fmt.Sprintf("/proc/%d/task/%[1]d/status", pid) {
				f.rss += thread["VmRSS"]
				f.anon += thread["RssAnon"]
			}
			f.switches += thread["voluntary_ctxt_switches"] + thread["nonvoluntary_ctxt_switches"]
		}
		f.threads += float64(len(all))
	}
	if err == nil && workers != 1 {
		said, _ := os.ReadFile(i.output.Name())
		err = fmt.Errorf("%s has %d sleeping workers, not one\n%s", i.peer.name, workers, said)
	}
	return f, err
}

// tree names a process and its descendants, from /proc/PID/stat.
func tree(root int) (map[int]string, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	names, children := map[int]string{}, map[int][]int{}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		var pid, parent int
		var state string
		open, end := strings.IndexByte(string(b), '('), strings.LastIndexByte(string(b), ')')
		if _, err := fmt.Sscan(string(b[:open])+string(b[end+1:]), &pid, &state, &parent); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		names[pid] = string(b[open+1 : end])
		children[parent] = append(children[parent], pid)
	}
	found := map[int]string{}
	for todo := []int{root}; len(todo) > 0; todo = todo[1:] {
		found[todo[0]] = names[todo[0]]
		todo = append(todo, children[todo[0]]...)
	}
	return found, err
}

// numbers are the lines of /proc/PID/status that have one, sizes in kB.
func numbers(path string) (map[string]float64, error) {
	b, err := os.ReadFile(path)
	found := map[string]float64{}
	for line := range strings.Lines(string(b)) {
		name, rest, _ := strings.Cut(line, ":")
		var value float64
		if n, _ := fmt.Sscan(rest, &value); n == 1 {
			found[name] = value
		}
	}
	return found, err
}
