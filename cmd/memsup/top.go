package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/memsup/memsup/spawn"
	"github.com/memsup/memsup/supervisor"
)

func topCommand(status *int) *cobra.Command {
	given := make(map[string]setting)
	cmd := &cobra.Command{
		Use:                   "top",
		Short:                 "Show the workers live, or once where there is no terminal",
		Long:                  "Show the workers live: m sorts them by memory, c by CPU, n by name, and q quits. Without a terminal they are printed once.",
		DisableFlagsInUseLine: true,
		Args:                  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := client(given)
			switch {
			case err != nil:
			case isTerminal(os.Stdin) && isTerminal(os.Stdout) && os.Getenv("TERM") != "dumb":
				*status, err = runTop(cmd.Context(), c)
			default:
				err = printTop(cmd.Context(), cmd.OutOrStdout(), c)
			}
			if err != nil {
				return fmt.Errorf("cannot show the workers: %w", err)
			}
			return nil
		},
	}
	addFlags(cmd.Flags(), given, "control", "config")
	return cmd
}

func printTop(ctx context.Context, out io.Writer, c *supervisor.Client) error {
	s, err := c.Status(ctx)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, topText(s))
	return err
}

const (
	otherScreen = "\x1b[?1049h\x1b[?25l" // the alternate screen, without a cursor
	firstScreen = "\x1b[?25h\x1b[?1049l"
	reverse     = "\x1b[7m"
	plainText   = "\x1b[0m"
)

// runTop shows the status each second until q or Ctrl-C is typed, a signal comes
// or memsup is gone. The terminal is then as it was before, and so it is while Ctrl-Z or
// SIGTSTP has stopped it.
func runTop(ctx context.Context, c *supervisor.Client) (status int, err error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGWINCH, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGTSTP, unix.SIGCONT)
	before, err := term.MakeRaw(int(os.Stdin.Fd()))
	if err != nil {
		return 0, fmt.Errorf("set the terminal: %w", err)
	}
	_, _ = os.Stdout.WriteString(otherScreen)
	give := func() {
		_, _ = os.Stdout.WriteString(firstScreen)
		_ = term.Restore(int(os.Stdin.Fd()), before)
	}
	defer give()
	stop := func() {
		if !spawn.Ignored.Has(unix.SIGTSTP) {
			give()
			stopGroup()
			_, _ = term.MakeRaw(int(os.Stdin.Fd()))
			_, _ = os.Stdout.WriteString(otherScreen)
		}
	}

	keys := make(chan byte)
	go readKeys(keys)
	type answer struct {
		s   *supervisor.Status
		err error
	}
	answers := make(chan answer, 1)
	ask := func() {
		s, err := c.Status(ctx)
		answers <- answer{s, err}
	}
	go ask()

	order := &topOrders[0]
	var shown *supervisor.Status
	again := time.NewTimer(time.Hour)
	for {
		select {
		case a := <-answers:
			if a.err != nil {
				return 0, fmt.Errorf("%w: %w", supervisor.ErrNotRunning, a.err)
			}
			shown = a.s
			again.Reset(time.Second)
		case <-again.C:
			go ask()
			continue
		case key, ok := <-keys:
			if !ok || key == 'q' || key == ctrlC {
				return 0, nil
			}
			if key == ctrlZ {
				stop()
			}
			for i := range topOrders {
				if topOrders[i].key == rune(key) {
					order = &topOrders[i]
				}
			}
		case sig := <-signals:
			switch sig {
			case unix.SIGWINCH:
			case unix.SIGTSTP:
				stop()
			case unix.SIGCONT: // SIGSTOP, which cannot be caught, may have been before it
				_, _ = term.MakeRaw(int(os.Stdin.Fd()))
			default:
				return 128 + int(sig.(unix.Signal)), nil
			}
		}
		if shown != nil {
			draw(shown, order)
		}
	}
}

const (
	ctrlC  = 3
	ctrlZ  = 26
	escape = 27
)

// stopGroup stops this process's group, as the terminal would have at Ctrl-Z, and returns
// when it goes on: at once where no shell would bring it back, as under docker exec. The
// default action cannot be had of os/signal again.
func stopGroup() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	standard, ignore, caught := [4]uint64{}, [4]uint64{1}, [4]uint64{} // the kernel's struct sigaction
	action := func(set, old *[4]uint64) {
		_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGTSTP), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
	}
	action(&ignore, &caught)
	_ = unix.Kill(0, unix.SIGTSTP) // the others
	action(&standard, nil)
	// To this very thread: it must have stopped before it looks further.
	_ = unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGTSTP)
	action(&caught, nil)
}

// readKeys passes typed characters on, until there are no more. Keys that send
// several, such as arrows (ECMA-48: Escape, "[", parameters and a final byte), mean
// nothing here.
func readKeys(keys chan<- byte) {
	defer close(keys)
	buf := make([]byte, 64)
	var sequence byte // Escape, "[" or "O", when within one
	for {
		n, err := os.Stdin.Read(buf)
		if err != nil || n == 0 {
			return
		}
		for _, key := range buf[:n] {
			switch {
			case sequence == escape && (key == '[' || key == 'O'), key == escape:
				sequence = key
			case sequence == '[' && (key < '@' || key > '~'):
			case sequence != 0:
				sequence = 0
			default:
				keys <- key
			}
		}
	}
}

// draw shows the status in one write, without a blank screen between.
func draw(s *supervisor.Status, order *topOrder) {
	width, height, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	var out strings.Builder
	out.WriteString(home)
	for i, line := range topFrame(s, order, width, height) {
		if i > 0 {
			out.WriteString("\r\n")
		}
		out.WriteString(clearLine) // before the text, whose last character may be in the last column
		if line.bar {
			out.WriteString(reverse + line.text + plainText)
		} else {
			out.WriteString(line.text)
		}
	}
	_, _ = os.Stdout.WriteString(out.String())
}
