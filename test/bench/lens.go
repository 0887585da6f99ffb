package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/test/debian"
)

// modes are those of the lens with what a command may cost there at most, beside the
// same without.
var modes = []struct {
	name  string
	most  float64
	walks float64 // grep -r, which opens one file after the other and reads little of it
}{{"exact", 1.1, 1.1}, {"wide", 1.25, 2}, {"bind", 1.02, 1.02}}

// commands are what is run, so many times before the clock is read; each needs its program.
var commands = []struct {
	program, apt, line string
	times              int
}{
	{"true", "coreutils", "/bin/true", 200},
	{"find", "findutils", "find /usr/share/doc", 10},
	{"git", "git", "git status", 30},
	{"grep", "grep", "grep -r nothing-has-this budget supervisor", 40},
	{"gcc", "gcc", "gcc -O1 -o $DIR/compiled $DIR/source.c", 4},
	{"python3", "python3", "python3 -c pass", 12},
	{"ruby", "ruby", "ruby -e 1", 6},
	{"node", "nodejs", "node -e 1", 8},
}

const without = "no lens"

// turns is in what order the ways are timed, one line a round: after four of them each has
// been in each place once, and once after each other one.
var turns = [...][4]int{{0, 1, 3, 2}, {1, 2, 0, 3}, {2, 3, 1, 0}, {3, 0, 2, 1}}

// lensCosts times commands that see through a lens in turns with the same ones that
// do not, under memsup all of them, in a container where that can be. A shell counts, from
// the second run on, so that the start of what is around it is not in it: while the first
// one runs memsup still makes itself ready; and as long as what is done once a second
// falls into it. The limit is half of the host's memory:
// compilers and runtimes that size themselves by it do the same work then.
func lensCosts(e extent, memsup, dir string) (*table, error) {
	t := newTable(without)
	if err := os.WriteFile(filepath.Join(dir, "source.c"), []byte("#include <stdio.h>\n#include <stdlib.h>\nint main(void) { return printf(\"%d\\n\", rand()) < 0; }\n"), 0o644); err != nil {
		return nil, err
	}
	var host unix.Sysinfo_t
	if err := unix.Sysinfo(&host); err != nil {
		return nil, err
	}
	limit := strconv.FormatUint(uint64(host.Totalram)*uint64(host.Unit)/2, 10)
	where, remove, err := inContainer(dir)
	if err != nil {
		fmt.Printf("Not in a container, where each process has a filter without the lens too (%v): it costs more so.\n", err)
	} else {
		defer remove()
	}
	for _, c := range commands {
		if _, err := exec.LookPath(c.program); err != nil {
			fmt.Printf("Left out, because it is not installed: %s (apt install %s).\n", c.program, c.apt)
			continue
		}
		script := fmt.Sprintf("DIR=%s; %s >/dev/null; sleep 0.1; n=0; t=$(date +%%s%%N); e=$t; while [ $((e-t)) -lt %d ]; do i=0; while [ $i -lt %d ]; do %[2]s >/dev/null; i=$((i+1)); done; n=$((n+i)); e=$(date +%%s%%N); done; echo $(((e-t)/n))",
			dir, c.line, e.while.Nanoseconds()+1, c.times)
		var rows []*row
		for _, m := range modes {
			most := m.most
			if c.program == "grep" {
				most = m.walks
			}
			name, _, _ := strings.Cut(strings.TrimPrefix(c.line, "/bin/"), " nothing")
			name, _, _ = strings.Cut(name, " -O1")
			rows = append(rows, t.row(fmt.Sprintf("`%s`, %s, ms", name, m.name), within(without, most)))
		}
		for i := range e.lens + 1 {
			var ns [len(turns)]float64
			for _, k := range turns[i%len(turns)] {
				mode := "off"
				if k > 0 {
					mode = modes[k-1].name
				}
				argv := append(slices.Clone(where), memsup, "--control", "off", "--limit", limit, "--lens", mode, "--", "sh", "-c", script)
				out, err := clean(exec.Command(argv[0], argv[1:]...))
				if err != nil {
					return nil, err
				}
				if ns[k], err = strconv.ParseFloat(out, 64); err != nil {
					return nil, err
				}
			}
			if i == 0 { // files come from a disk
				continue
			}
			for k, r := range rows {
				r.add("memsup", ns[k+1]/1e6)
				r.add(without, ns[0]/1e6)
			}
		}
	}
	return t, nil
}

// inContainer starts a container under Docker's default profile that has this machine's
// programs and files, and gives the words before a command that runs in it. It may mount,
// and read the memory of its processes, which Docker before 23 denies otherwise.
func inContainer(dir string) (words []string, remove func(), err error) {
	if err := debian.Base(dir); err != nil {
		return nil, nil, err
	}
	here, err := os.Getwd()
	if err != nil {
		return nil, nil, err
	}
	args := []string{
		"run", "--detach", "--rm", "--cap-add", "SYS_ADMIN", "--cap-add", "SYS_PTRACE", "--network", "none", "--workdir", here,
		"--env", "GIT_CONFIG_COUNT=1", "--env", "GIT_CONFIG_KEY_0=safe.directory", "--env", "GIT_CONFIG_VALUE_0=" + here,
	}
	for _, volume := range []string{"/usr:/usr:ro", "/etc:/etc:ro", here + ":" + here, dir + ":" + dir} {
		args = append(args, "--volume", volume)
	}
	id, err := clean(exec.Command("docker", append(args, "debian:bookworm-slim", "sleep", "infinity")...))
	if err != nil {
		return nil, nil, err
	}
	return []string{"docker", "exec", id}, func() { _ = exec.Command("docker", "rm", "--force", id).Run() }, nil
}

// clean runs a command that has nothing to say on standard error but an error.
func clean(cmd *exec.Cmd) (string, error) {
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err == nil && problems.Len() > 0 {
		err = fmt.Errorf("it says %q", problems.String())
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, problems.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// lensReads times opening, reading and closing /proc/meminfo through a lens, and
// that of lxcfs; nil where it cannot run here.
func lensReads(e extent, memsup, dir string) (*table, error) {
	t := newTable("lxcfs", without)
	mount := filepath.Join(dir, "lxcfs")
	if err := os.Mkdir(mount, 0o755); err != nil {
		return nil, err
	}
	program, err := exec.LookPath("lxcfs")
	if err != nil {
		fmt.Println("Left out, because lxcfs is not installed (apt install lxcfs): reading /proc/meminfo.")
		return nil, nil
	}
	lxcfs := exec.Command(program, "--foreground", "--pidfile", filepath.Join(dir, "lxcfs.pid"), mount)
	if err := lxcfs.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = unix.Unmount(mount, unix.MNT_DETACH)
		_ = lxcfs.Process.Signal(unix.SIGTERM)
		_ = lxcfs.Wait()
	}()
	file := filepath.Join(mount, "proc/meminfo")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.ReadFile(file); err == nil {
			break
		} else if time.Now().After(deadline) {
			fmt.Printf("Left out, because lxcfs does not answer here (%v): reading /proc/meminfo.\n", err)
			return nil, nil
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	read := func(mode, path string) (float64, error) {
		argv := []string{self, "read", strconv.Itoa(e.reads), path}
		if mode != "" {
			argv = append([]string{memsup, "lens", "--mode", mode, "--limit", "64MiB", "--"}, argv...)
		}
		out, err := clean(exec.Command(argv[0], argv[1:]...))
		if err != nil {
			return 0, err
		}
		return strconv.ParseFloat(out, 64)
	}
	for _, m := range []string{"exact", "bind"} {
		r := t.row("reading /proc/meminfo, "+m+", µs", within("lxcfs", 1))
		for range e.lens {
			for _, way := range []struct{ column, mode, path string }{
				{"memsup", m, "/proc/meminfo"}, {"lxcfs", "", file}, {without, "", "/proc/meminfo"},
			} {
				us, err := read(way.mode, way.path)
				if err != nil {
					return nil, err
				}
				r.add(way.column, us)
			}
		}
	}
	return t, nil
}

// readVerb reads a file so many times, as C's fopen opens it, and prints what one
// time takes in µs.
func readVerb(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	buf := make([]byte, 16<<10)
	start := time.Now()
	for range n {
		fd, err := unix.Open(args[1], unix.O_RDONLY, 0)
		for err == nil {
			var got int
			if got, err = unix.Read(fd, buf); err == nil && got == 0 {
				err = io.EOF
			}
		}
		if err != io.EOF {
			return err
		}
		unix.Close(fd)
	}
	fmt.Println(float64(time.Since(start).Nanoseconds()) / 1e3 / float64(n))
	return nil
}
