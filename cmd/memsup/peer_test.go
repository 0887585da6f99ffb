package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/spawn"
)

// The test binary is, by the name it is started under, also memsup as tini and
// as dumb-init, and the processes that the tests put around and below it.
func init() {
	switch filepath.Base(os.Args[0]) {
	case spawn.ShimName:
		spawn.Shim(os.Args)
	case "tini", "docker-init":
		os.Exit(runTini(os.Args))
	case "dumb-init":
		os.Exit(runDumbInit(os.Args))
	case "signals":
		os.Exit(printSignals())
	case "unusual":
		execUnusual(os.Args[1:])
	case "entered":
		os.Exit(peerCode(spawn.Ignored.Has(unix.SIGUSR1)))
	}
}

func peerCode(ok bool) int {
	if ok {
		return 0
	}
	return 1
}

// printSignals prints "ready" and then the name of each signal that it gets.
// SIGTERM ends it with status 7; so does the end of descriptor 3, which only
// the test holds open.
func printSignals() int {
	got := make(chan os.Signal, 64)
	signal.Notify(got, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM,
		unix.SIGTERM, unix.SIGCONT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGWINCH)
	released := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.NewFile(3, "lifeline"))
		close(released)
	}()
	out := func(line string) { _, _ = os.Stdout.WriteString(line + "\n") }
	out("ready")
	for {
		select {
		case sig := <-got:
			out(unix.SignalName(sig.(syscall.Signal)))
			if sig == unix.SIGTERM {
				return 7
			}
		case <-released:
			out("released")
			return 7
		}
	}
}

// peerLinks are names of the test binary, in a directory of their own.
func peerLinks(t *testing.T, names ...string) (dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for _, name := range names {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// peerPath is the path of the real program.
func peerPath(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed: apt-get install %[1]s", name)
	return ""
}

// peerRun is one program under test, started.
type peerRun struct {
	t        *testing.T
	cmd      *exec.Cmd
	stdin    *os.File // nil once closed; with a terminal its master
	out, err *bufio.Reader
	text     [2]strings.Builder // all that was read of out and err
	lifeline *os.File
}

// peerCase is what is the same for the real program and for memsup.
type peerCase struct {
	args     []string
	env      []string
	around   func(path string, argv []string) (string, []string) // another program before it
	prepare  func(*exec.Cmd)
	terminal bool
	play     func(*peerRun)
}

// peerOutcome is what a run looks like from outside.
type peerOutcome struct{ end, stdout, stderr string }

var peerPids = regexp.MustCompile(`(?i)(tini \(|pid[ :=]+'?)\d+`)

func (i peerCase) start(t *testing.T, path, name string) *peerRun {
	t.Helper()
	argv := append([]string{name}, i.args...)
	if i.around != nil {
		path, argv = i.around(path, argv)
	}
	r := &peerRun{t: t, cmd: &exec.Cmd{Path: path, Args: argv, SysProcAttr: &syscall.SysProcAttr{}}}
	r.cmd.Env = append([]string{"PATH=/usr/bin:/bin", "POSIXLY_CORRECT=1", "GORACE=atexit_sleep_ms=0"}, i.env...)
	var ours, theirs [4]*os.File
	if i.terminal {
		master, slave := openTerminal(t)
		r.cmd.SysProcAttr.Setsid, r.cmd.SysProcAttr.Setctty = true, true
		ours = [4]*os.File{master, master, master, nil}
		theirs = [4]*os.File{slave, slave, slave, nil}
	} else {
		theirs[0], ours[0] = peerPipe(t)
		ours[1], theirs[1] = peerPipe(t)
		ours[2], theirs[2] = peerPipe(t)
	}
	theirs[3], ours[3] = peerPipe(t)
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr, r.cmd.ExtraFiles = theirs[0], theirs[1], theirs[2], theirs[3:]
	r.stdin, r.lifeline = ours[0], ours[3]
	r.out = bufio.NewReader(io.TeeReader(ours[1], &r.text[0]))
	r.err = bufio.NewReader(io.TeeReader(ours[2], &r.text[1]))
	if i.prepare != nil {
		i.prepare(r.cmd)
	}
	if err := r.cmd.Start(); err != nil {
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) {
			t.Skipf("not permitted here: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if r.cmd.ProcessState == nil {
			_ = r.cmd.Process.Kill()
			_ = r.cmd.Wait()
		}
	})
	for _, f := range theirs {
		if f != nil {
			_ = f.Close()
		}
	}
	return r
}

func peerPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r, w
}

func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slave.Close() })
	return master, slave
}

// line waits for one line on stdout that contains want.
func (r *peerRun) line(want string) { r.await(r.out, want) }

// errLine waits for one line on stderr that contains want.
func (r *peerRun) errLine(want string) { r.await(r.err, want) }

func (r *peerRun) await(from *bufio.Reader, want string) {
	r.t.Helper()
	got, err := from.ReadString('\n')
	if err != nil || !strings.Contains(got, want) {
		r.t.Fatalf("%s: got %q (%v), want %q; stdout %q, stderr %q",
			r.cmd.Path, got, err, want, r.text[0].String(), r.text[1].String())
	}
}

func (r *peerRun) signal(sig unix.Signal) {
	r.t.Helper()
	if err := unix.Kill(r.cmd.Process.Pid, sig); err != nil {
		r.t.Fatal(err)
	}
}

// write gives the program's standard input, or its terminal, a text.
func (r *peerRun) write(text string) {
	r.t.Helper()
	if _, err := r.stdin.WriteString(text); err != nil {
		r.t.Fatal(err)
	}
}

// wait waits for the end of the program itself, not of what it left behind.
func (r *peerRun) wait() {
	r.t.Helper()
	if r.cmd.ProcessState != nil {
		return
	}
	var exit *exec.ExitError
	if err := r.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
}

func (r *peerRun) release() { _ = r.lifeline.Close() }

// finish waits for the program and for all that holds its output.
func (r *peerRun) finish(terminal bool) peerOutcome {
	r.t.Helper()
	if !terminal {
		_ = r.stdin.Close()
	}
	r.wait()
	r.release()
	_, _ = io.Copy(io.Discard, r.out) // a terminal ends with EIO
	_, _ = io.Copy(io.Discard, r.err)
	return peerOutcome{
		end:    r.cmd.ProcessState.String(),
		stdout: peerPids.ReplaceAllString(r.text[0].String(), "${1}PID"),
		stderr: peerPids.ReplaceAllString(r.text[1].String(), "${1}PID"),
	}
}

func (i peerCase) outcome(t *testing.T, path, name string) peerOutcome {
	t.Helper()
	r := i.start(t, path, name)
	if i.play != nil {
		i.play(r)
	}
	return r.finish(i.terminal)
}

// both runs the real program and memsup under its name.
func (i peerCase) both(t *testing.T, name string) (real, ours peerOutcome) {
	t.Helper()
	path := peerPath(t, name)
	real = i.outcome(t, path, name)
	ours = i.outcome(t, filepath.Join(peerLinks(t, name), name), name)
	return real, ours
}

// same fails t where memsup and the real program differ in anything.
func (i peerCase) same(t *testing.T, name string) {
	t.Helper()
	real, ours := i.both(t, name)
	differ(t, real, ours)
}

func differ(t *testing.T, real, ours peerOutcome) {
	t.Helper()
	if ours.end != real.end {
		t.Errorf("ended with %q, the real one with %q", ours.end, real.end)
	}
	if ours.stdout != real.stdout {
		t.Errorf("stdout:\n%s\nof the real one:\n%s", ours.stdout, real.stdout)
	}
	if ours.stderr != real.stderr {
		t.Errorf("stderr:\n%s\nof the real one:\n%s", ours.stderr, real.stderr)
	}
}

// sameUsage is same for what prints a help text: its first paragraph, with the
// message before it, is the real one's, and it explains the same things.
func (i peerCase) sameUsage(t *testing.T, name string, entry *regexp.Regexp) {
	t.Helper()
	real, ours := i.both(t, name)
	entries := func(o peerOutcome) string { return strings.Join(entry.FindAllString(o.stdout+o.stderr, -1), " ") }
	if entries(ours) != entries(real) {
		t.Errorf("explains %q, the real one %q", entries(ours), entries(real))
	}
	for _, o := range []*peerOutcome{&real, &ours} {
		o.stdout, _, _ = strings.Cut(o.stdout, "\n\n")
		o.stderr, _, _ = strings.Cut(o.stderr, "\n\n")
	}
	differ(t, real, ours)
}

// peerScript is `sh -c text`; $D in it is a directory with the test's helpers.
func peerScript(t *testing.T, options []string, text string) peerCase {
	t.Helper()
	return peerCase{
		args: append(options[:len(options):len(options)], "--", "sh", "-c", text),
		env:  []string{"D=" + peerLinks(t, "signals")},
	}
}
