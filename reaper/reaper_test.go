package reaper

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain runs a test's body in a process of its own when it is told to:
// Reap takes every child of the process, the test binary's too.
func TestMain(m *testing.M) {
	switch os.Getenv("REAPER_TEST") {
	case "":
		os.Exit(m.Run())
	case "statuses":
		os.Exit(statuses())
	case "orphans":
		os.Exit(orphans())
	case "stopped":
		os.Exit(stopped())
	}
}

func inOwnProcess(t *testing.T, name string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "REAPER_TEST="+name, "GORACE=atexit_sleep_ms=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestReapReportsEveryStatus(t *testing.T) { inOwnProcess(t, "statuses") }
func TestReapTakesOrphans(t *testing.T)       { inOwnProcess(t, "orphans") }
func TestStoppedChildIsToldOnce(t *testing.T) { inOwnProcess(t, "stopped") }

// shell starts a shell and gives its pid; what it prints goes to stderr.
func shell(script string) int {
	p, err := os.StartProcess("/bin/sh", []string{"sh", "-c", script}, &os.ProcAttr{Files: []*os.File{nil, os.Stderr, os.Stderr}})
	if err != nil {
		panic(err)
	}
	pid := p.Pid
	_ = p.Release()
	return pid
}

// stopped is told of a child that stops itself, once, and of its end.
func stopped() int {
	Silence()
	pid := shell("kill -STOP $$; exit 3")
	if err := Await(true); err != nil {
		println(err.Error())
		return 1
	}
	if got, ok := Stopped(); !ok || got != pid {
		println("stopped:", got, ok, "want", pid)
		return 1
	}
	if got, ok := Stopped(); ok {
		println("told twice that", got, "stopped")
		return 1
	}
	_ = unix.Kill(pid, unix.SIGCONT)
	if err := Await(true); err != nil {
		println(err.Error())
		return 1
	}
	code := -1
	if remaining, err := Reap(nil, func(_ int, status unix.WaitStatus) { code = status.ExitStatus() }); remaining || err != nil || code != 3 {
		println("remaining:", remaining, "exit status:", code)
		return 1
	}
	if err := Await(true); err != nil {
		println("without a child:", err.Error())
		return 1
	}
	return 0
}

func statuses() int {
	want := map[int]int{shell("exit 0"): 0, shell("exit 7"): 7, shell("kill -TERM $$"): 128 + 15}
	before := map[int]bool{}
	remaining := true
	for remaining {
		if err := Await(false); err != nil {
			println(err.Error())
			return 1
		}
		var err error
		remaining, err = Reap(func(pid int) {
			if err := unix.Kill(pid, 0); err != nil {
				println("pid", pid, "was collected before it was told of")
				os.Exit(1)
			}
			before[pid] = true
		}, func(pid int, status unix.WaitStatus) {
			code := status.ExitStatus()
			if status.Signaled() {
				code = 128 + int(status.Signal())
			}
			if code != want[pid] || !before[pid] {
				println("pid", pid, "ended with", code, "want", want[pid], "told before:", before[pid])
				os.Exit(1)
			}
			delete(want, pid)
		})
		if err != nil {
			println(err.Error())
			return 1
		}
	}
	if len(want) > 0 {
		println(len(want), "children were never reported")
		return 1
	}
	return 0
}

func orphans() int {
	if err := BecomeSubreaper(); err != nil || !IsSubreaper() {
		println("cannot become a subreaper")
		return 1
	}
	const n = 200
	shell("i=0; while [ $i -lt 200 ]; do (true &); i=$((i+1)); done")
	seen := 0
	for remaining := true; remaining; {
		if err := Await(false); err != nil {
			println(err.Error())
			return 1
		}
		var err error
		if remaining, err = Reap(nil, func(int, unix.WaitStatus) { seen++ }); err != nil {
			println(err.Error())
			return 1
		}
	}
	if seen != n+1 {
		println("reaped", seen, "want", n+1)
		return 1
	}
	return 0
}
