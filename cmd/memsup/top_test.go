package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/supervisor"
)

// screen is memsup top on a pseudo-terminal.
type screen struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	before unix.Termios
	seen   string
	cmd    *exec.Cmd
}

// top starts memsup top beside a memsup that runs.
func (s *started) top(width, height uint16, env ...string) *screen {
	s.t.Helper()
	return s.shell("exec memsup top", width, height, env...)
}

// shell runs a command line on a terminal beside a memsup that runs.
func (s *started) shell(command string, width, height uint16, env ...string) *screen {
	t := s.t
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo-terminal here: ", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminal here: ", err)
	}
	t.Cleanup(func() { slave.Close() })
	x := &screen{t: t, master: master, slave: slave, cmd: exec.Command("sh", "-c", command)}
	x.resize(width, height)
	x.before = x.termios()
	x.cmd.Env = append(s.cmd.Env, append([]string{"TERM=xterm"}, env...)...)
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = slave, slave, slave
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := x.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hung := time.AfterFunc(30*time.Second, func() { _ = x.cmd.Process.Kill() })
	t.Cleanup(func() {
		hung.Stop()
		if t.Failed() {
			t.Logf("the screen: %q", x.seen)
		}
		_ = x.cmd.Process.Kill()
	})
	return x
}

func (x *screen) resize(width, height uint16) {
	x.t.Helper()
	if err := unix.IoctlSetWinsize(int(x.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: height, Col: width}); err != nil {
		x.t.Fatal(err)
	}
}

func (x *screen) termios() unix.Termios {
	x.t.Helper()
	tio, err := unix.IoctlGetTermios(int(x.slave.Fd()), unix.TCGETS)
	if err != nil {
		x.t.Fatal(err)
	}
	return *tio
}

func (x *screen) typed(text string) {
	x.t.Helper()
	if _, err := x.master.WriteString(text); err != nil {
		x.t.Fatal(err)
	}
}

// until reads the screen until it shows text, and returns what was before.
func (x *screen) until(text string) string {
	x.t.Helper()
	buf := make([]byte, 4096)
	late := time.Now().Add(20 * time.Second)
	for {
		if before, after, ok := strings.Cut(x.seen, text); ok {
			x.seen = after
			return before
		}
		ready := []unix.PollFd{{Fd: int32(x.master.Fd()), Events: unix.POLLIN}}
		if n, err := unix.Poll(ready, 20_000); n == 0 || time.Now().After(late) {
			x.t.Fatalf("the screen does not show %q", text)
		} else if err == unix.EINTR {
			continue
		}
		n, err := x.master.Read(buf)
		if err != nil {
			x.t.Fatalf("the screen never showed %q: %v", text, err)
		}
		x.seen += string(buf[:n])
	}
}

// ends waits until top has ended and the terminal is as it was before.
func (x *screen) ends(code int) {
	x.t.Helper()
	x.until(firstScreen)
	_ = x.cmd.Wait()
	if got := x.cmd.ProcessState.ExitCode(); got != code {
		x.t.Errorf("exit status %d, want %d", got, code)
	}
	if after := x.termios(); after != x.before {
		x.t.Errorf("the terminal is left as %+v, was %+v", after, x.before)
	}
}

func TestTopOnATerminal(t *testing.T) {
	s := start(t, "--runtime-metrics", "100ms", "-m", "web=4")
	s.until("source=container")
	x := s.top(80, 24)
	x.until(otherScreen)
	x.until(" of 5 workers ready")
	x.until("RESTARTS")
	x.until("web.4")
	x.until("sorted by memory")
	x.typed("\x1b[1;5n\x1bOnc") // two keys that mean nothing, and one that does
	if before := x.until("sorted by CPU"); strings.Contains(before, "sorted by name") {
		t.Error("a part of a key's sequence was taken for a key")
	}
	x.typed("n")
	x.until("sorted by name")
	_ = s.cmd.Process.Signal(unix.SIGSTOP) // only the new size can have it drawn
	x.resize(30, 11)
	x.until("and 2 more")
	_ = s.cmd.Process.Signal(unix.SIGCONT)
	x.until("sorted by name")
	x.typed("q")
	x.ends(0)
}

func TestTopRestoresTheTerminal(t *testing.T) {
	s := start(t, "--runtime-metrics", "100ms")
	s.until("source=container")
	for name, c := range map[string]struct {
		end  func(x *screen)
		code int
	}{
		"Ctrl-C":  {func(x *screen) { x.typed("\x03") }, 0},
		"SIGTERM": {func(x *screen) { _ = x.cmd.Process.Signal(unix.SIGTERM) }, 143},
		"SIGINT":  {func(x *screen) { _ = x.cmd.Process.Signal(unix.SIGINT) }, 130},
	} {
		t.Run(name, func(t *testing.T) {
			here := *s
			here.t = t
			x := here.top(80, 24)
			x.until("n name")
			c.end(x)
			x.ends(c.code)
		})
	}
	x := s.top(80, 24)
	x.until("n name")
	_ = s.cmd.Process.Signal(unix.SIGTERM)
	x.until(firstScreen)
	x.until("no memsup answers")
	x.seen = firstScreen
	x.ends(3)
}

// Ctrl-Z and SIGTSTP stop top with the terminal as it was before, and its shell brings it
// back.
func TestTopIsStoppedByTheTerminal(t *testing.T) {
	s := start(t, "--runtime-metrics", "100ms")
	s.until("source=container")
	x := s.shell(`set -m; memsup top; echo "stopped: $?"; stty -a | tr '\n' ' '; fg; echo "stopped: $?"; fg; echo "ended: $?"`, 80, 24)
	x.until(otherScreen)
	x.until("n name")
	x.typed("\x1a")
	x.until(firstScreen)
	x.until(fmt.Sprintf("stopped: %d", 128+unix.SIGTSTP))
	if modes := x.until(otherScreen); !strings.Contains(modes, " icanon") || !strings.Contains(modes, " echo ") {
		t.Errorf("the terminal is left as %q", modes)
	}
	x.until("sorted by memory")
	x.typed("n")
	x.until("sorted by name") // which a terminal that waits for a line's end would not tell
	pid, err := unix.IoctlGetInt(int(x.master.Fd()), unix.TIOCGPGRP)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, unix.SIGTSTP); err != nil {
		t.Fatal(err)
	}
	x.until(firstScreen)
	x.until("stopped: ")
	x.until(otherScreen)
	x.until("sorted by name")
	x.typed("q")
	x.until("ended: 0")
}

// Where no shell would bring it back nothing stops it.
func TestTopIsNotStoppedForGood(t *testing.T) {
	s := start(t, "--runtime-metrics", "100ms")
	s.until("source=container")
	x := s.top(80, 24)
	x.until("n name")
	x.typed("\x1a")
	x.until(firstScreen + otherScreen)
	x.until("sorted by memory")
	x.typed("q")
	x.ends(0)
}

// A terminal that cannot move its cursor gets the text once.
func TestTopOnADumbTerminal(t *testing.T) {
	s := start(t, "--runtime-metrics", "100ms")
	s.until("source=container")
	x := s.top(80, 24, "TERM=dumb")
	if before := x.until("web.1"); strings.Contains(before, "\x1b") {
		t.Error("it got control sequences")
	}
	_ = x.cmd.Wait()
	if code := x.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// The frame fits into any screen, and says how many workers it does not show.
func TestTopFrame(t *testing.T) {
	src, err := os.ReadFile("testdata/status.json")
	if err != nil {
		t.Fatal(err)
	}
	var s supervisor.Status
	if err := json.Unmarshal(src, &s); err != nil {
		t.Fatal(err)
	}
	s.Health = "failing: web.1 \x1b[2J"
	for width := range uint(100) {
		for height := range 30 {
			frame := topFrame(&s, &topOrders[0], int(width), height)
			if len(frame) != height {
				t.Fatalf("%d lines of %d", len(frame), height)
			}
			for _, line := range frame {
				if n := utf8.RuneCountInString(line.text); n > int(width) || strings.Contains(line.text, "\x1b") {
					t.Fatalf("%d characters of %d: %q", n, width, line.text)
				}
			}
		}
	}
	got := ""
	for _, size := range [][2]int{{80, 24}, {34, 9}} {
		got += fmt.Sprintf("%d x %d\n", size[0], size[1])
		for _, line := range topFrame(&s, &topOrders[0], size[0], size[1]) {
			got += strings.TrimRight(line.text, " ") + "\n"
		}
	}
	wantGolden(t, "top.text", got)
}

func TestTopRows(t *testing.T) {
	n := func(n int64) *int64 { return &n }
	p := func(p float64) *float64 { return &p }
	s := supervisor.Status{Workers: []supervisor.Worker{
		{Name: "web.10", Type: "web", Memory: n(30), CPU: p(1)},
		{Name: "web.2", Type: "web", Memory: n(30)},
		{Name: "web.1", Type: "web"},
		{Name: "clock.1", Type: "clock", Memory: n(40), CPU: p(0)},
	}}
	for i, want := range []string{"clock.1 web.2 web.10 web.1", "web.10 clock.1 web.1 web.2", "clock.1 web.1 web.2 web.10"} {
		_, rows := topRows(&s, &topOrders[i])
		var names []string
		for _, row := range rows {
			names = append(names, strings.Fields(row)[0])
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("by %s: %s, want %s", topOrders[i].name, got, want)
		}
	}
}
