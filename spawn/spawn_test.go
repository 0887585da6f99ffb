package spawn

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if os.Args[0] == ShimName {
		Shim(os.Args)
	}
	if os.Getenv("SPAWN_BECOME") != "" {
		becomeUser()
		os.Exit(0)
	}
	if os.Getenv("SPAWN_TEST") != "" {
		os.Unsetenv("SPAWN_TEST")
		s := &Spec{
			Argv: os.Args[1:], Env: append(os.Environ(), "KEPT=yes"), Files: []uintptr{0, 1, 2},
			Group: true, ListenPID: os.Getenv("LISTEN_FDS") != "", WatchdogPID: os.Getenv("WATCHDOG_USEC") != "",
		}
		if text := os.Getenv("SPAWN_SETTINGS"); text != "" {
			if err := json.Unmarshal([]byte(text), &s.Settings); err != nil {
				panic(err)
			}
		}
		pid, err := Start(s)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		var status unix.WaitStatus
		_, _ = unix.Wait4(pid, &status, 0, nil)
		os.Exit(status.ExitStatus())
	}
	os.Exit(m.Run())
}

// started runs args through Start in a process of its own, started by a shell
// after that did before, and gives what they print.
func started(t *testing.T, before string, env []string, args ...string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", append([]string{"-c", before + `exec "$@"`, "sh", exe}, args...)...)
	cmd.Env = append(append(os.Environ(), "SPAWN_TEST=1", "GORACE=atexit_sleep_ms=0"), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// The Go runtime keeps SIGHUP and SIGINT ignored, so these are known however
// the binary was linked; the others need the entry point.
func TestIgnoredSignalsAreInherited(t *testing.T) {
	got := started(t, "trap '' HUP INT; ", nil, "grep", "SigIgn", "/proc/self/status")
	var mask SignalSet
	if _, err := fmt.Sscanf(got, "SigIgn: %x", &mask); err != nil {
		t.Fatalf("%q: %v", got, err)
	}
	if !mask.Has(unix.SIGHUP) || !mask.Has(unix.SIGINT) || mask.Has(unix.SIGTERM) {
		t.Errorf("%s: HUP and INT are to be ignored, TERM is not", got)
	}
}

func TestEntrySeesEverySignal(t *testing.T) {
	if entered == 0 {
		t.Skip("this binary was linked without -E github.com/memsup/memsup/spawn.entry")
	}
	got := started(t, "trap '' PIPE USR2 TERM; ", nil, "grep", "SigIgn", "/proc/self/status")
	var mask SignalSet
	if _, err := fmt.Sscanf(got, "SigIgn: %x", &mask); err != nil {
		t.Fatalf("%q: %v", got, err)
	}
	if want := bit(unix.SIGPIPE) | bit(unix.SIGUSR2) | bit(unix.SIGTERM) | Ignored; (mask^want)&^untouched != 0 {
		t.Errorf("%s, want %x", got, want)
	}
}

func TestListenPIDIsTheProgramsOwn(t *testing.T) {
	if got := started(t, "", []string{"LISTEN_FDS=1"}, "sh", "-c", `[ "$LISTEN_PID" = $$ ] && echo $KEPT`); got != "yes" {
		t.Errorf("got %q, want yes", got)
	}
}

func TestWatchdogPIDIsTheProgramsOwn(t *testing.T) {
	const show = `[ "$WATCHDOG_PID" = $$ ] && echo "$KEPT${LISTEN_PID-}"`
	if got := started(t, "", []string{"WATCHDOG_USEC=1"}, "sh", "-c", show); got != "yes" {
		t.Errorf("got %q, want yes", got)
	}
}

func TestGroup(t *testing.T) {
	if got := started(t, "", nil, "sh", "-c", `read -r pid comm state ppid pgrp rest </proc/$$/stat; [ $pid = $pgrp ] && echo leader`); got != "leader" {
		t.Errorf("got %q, want leader", got)
	}
}

func TestLookPath(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, mode os.FileMode) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("a/plain", 0o644)
	write("b/plain", 0o755)
	write("a/none", 0o644)
	if err := os.Mkdir(filepath.Join(dir, "b", "none"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := dir + "/a:" + dir + "/b"
	for _, test := range []struct {
		name, want string
		err        error
	}{
		{"plain", dir + "/b/plain", nil},
		{"none", "", unix.EACCES},
		{"missing", "", unix.ENOENT},
		{"", "", unix.ENOENT},
		{dir + "/a/plain", "", unix.EACCES},
		{dir + "/b", "", unix.EACCES},
		{dir + "/b/plain/more", "", unix.ENOTDIR},
	} {
		got, err := lookPath("", test.name, path, true)
		if !errors.Is(err, test.err) || err == nil && got != test.want {
			t.Errorf("%q: got %q, %v; want %q, %v", test.name, got, err, test.want, test.err)
		}
	}
	for _, name := range []string{"a/plain", "./b/plain"} {
		if _, err := lookPath(dir+"/b/..", name, path, true); (err == nil) != (name != "a/plain") {
			t.Errorf("%s in another directory: %v", name, err)
		}
	}
	if got, err := lookPath(dir, "plain", "a:b", true); err != nil || got != "b/plain" {
		t.Errorf("by a relative PATH in another directory: %q, %v", got, err)
	}
	if code := (&Error{"x", unix.ENOTDIR}).ExitCode(); code != 127 {
		t.Errorf("ENOTDIR gives %d, want 127", code)
	}
	if code := (&Error{"x", unix.EACCES}).ExitCode(); code != 126 {
		t.Errorf("EACCES gives %d, want 126", code)
	}
}

func TestScriptWithoutInterpreterLine(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("echo by sh $1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, env := range [][]string{nil, {"LISTEN_FDS=1"}} { // as a child, and by the shim
		if got := started(t, "", env, script, "it"); got != "by sh it" {
			t.Errorf("%s: got %q, want %q", env, got, "by sh it")
		}
	}
}

// Where clone3 is refused the process writes itself to cgroup.procs. A plain
// file in its place shows what is written before the program runs.
func TestCgroupByTheProcessItself(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/cgroup.procs", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	procs, err := os.OpenFile(dir+"/cgroup.procs", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer procs.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := &Spec{Argv: []string{"/bin/sh", "-c", "cat " + dir + "/cgroup.procs; ls -l /proc/self/fd | grep -c cgroup.procs; true"}, Env: []string{"PATH=/bin:/usr/bin"}, Files: []uintptr{0, w.Fd(), 2}}
	pid, err := s.fork("/bin/sh", false, int(procs.Fd()))
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	out, _ := io.ReadAll(r)
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil || status != 0 {
		t.Errorf("status %v, %v", status, err)
	}
	if got := strings.TrimSpace(string(out)); got != "00" { // "0" was written, and no descriptor is left open
		t.Errorf("got %q", got)
	}
}
