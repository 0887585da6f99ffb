package supervisor

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal with memsup as the session's leader.
type terminal struct {
	t      *testing.T
	master *os.File
	seen   string
	cmd    *exec.Cmd
}

func onTerminal(t *testing.T, args ...string) *terminal {
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
	defer slave.Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), "SUPERVISOR_SCENARIO=command", "SUPERVISOR_CONTROL="+t.TempDir()+"/c", "PS1=<prompt>", "ENV=", "GORACE=atexit_sleep_ms=0")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, master: master, cmd: cmd}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the screen:\n%s", x.seen)
		}
		_ = cmd.Process.Kill()
	})
	return x
}

func (x *terminal) typed(text string) {
	x.t.Helper()
	if _, err := x.master.WriteString(text); err != nil {
		x.t.Fatal(err)
	}
}

// until reads the screen until it shows text, and forgets what was before.
func (x *terminal) until(text string) {
	x.t.Helper()
	buf := make([]byte, 1024)
	for {
		if _, after, ok := strings.Cut(x.seen, text); ok {
			x.seen = after
			return
		}
		ready := []unix.PollFd{{Fd: int32(x.master.Fd()), Events: unix.POLLIN}}
		if n, err := unix.Poll(ready, 20_000); n == 0 {
			x.t.Fatalf("the screen does not show %q: it shows %q", text, x.seen)
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

// An interactive shell under memsup owns the terminal: Ctrl-Z stops its job,
// fg brings it back, Ctrl-C ends it, and the shell is there all the while.
func TestInteractiveShellHasJobControl(t *testing.T) {
	x := onTerminal(t, "sh", "-i")
	x.until("<prompt>")
	x.typed("cat\n")
	x.until("cat\r\n")
	x.typed("one\n")
	x.until("one\r\n") // as typed
	x.until("one\r\n") // as cat writes it
	x.typed("\x1a")    // Ctrl-Z
	x.until("Stopped")
	x.until("<prompt>")
	x.typed("echo still $((40+2)); fg\n")
	x.until("still 42")
	x.typed("two\n")
	x.until("two\r\n")
	x.until("two\r\n")
	x.typed("\x03") // Ctrl-C
	x.until("<prompt>")
	x.typed("exit 3\n")
	_ = x.cmd.Wait()
	if code := x.cmd.ProcessState.ExitCode(); code != 3 {
		t.Errorf("exit status %d, want 3", code)
	}
}

// Ctrl-Z on a command that memsup runs itself stops memsup too, so that the
// shell that started it gets its prompt, and fg brings both back.
func TestSuspendedWithItsCommand(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sh, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash, whose jobs may be memsup, is not installed")
	}
	x := onTerminal(t, sh, "--norc", "--noediting", "-i")
	x.until("<prompt>")
	x.typed(exe + " cat\n")
	x.until("cat\r\n")
	x.typed("one\n")
	x.until("one\r\n") // as typed
	x.until("one\r\n") // as cat writes it
	x.typed("\x1a")
	x.until("Stopped")
	x.until("<prompt>")
	x.typed("fg\n")
	x.until("cat\r\n")
	x.typed("two\n")
	x.until("two\r\n")
	x.until("two\r\n")
	x.typed("\x04") // end of input
	x.until("<prompt>")
	x.typed("exit 0\n")
	_ = x.cmd.Wait()
}
