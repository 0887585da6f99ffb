package libmymem

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/memsup/memsup/budget"
)

// TestTrees holds libmymem to package budget's answers for every tree.
func TestTrees(t *testing.T) {
	c := start(t)
	for name, archive := range trees(t) {
		t.Run(name, func(t *testing.T) {
			root := unpack(t, archive)
			if got, want := c.ask(t, root), answer(root); !want.agrees(got) {
				t.Errorf("libmymem:\n%s\nbudget:\n%s", got, want.text)
			}
		})
	}
}

// result is what budget says of a tree, as the tool would print it.
type result struct {
	memory budget.Memory
	text   string
	err    error
}

func answer(root string) result {
	b, err := budget.OpenAt(root)
	if err != nil {
		return result{text: err.Error(), err: err}
	}
	defer b.Close()
	m, err := b.Read()
	if err != nil {
		return result{text: err.Error(), err: err}
	}
	var s strings.Builder
	fmt.Fprintf(&s, "rung=%s\n", b.Rung())
	fmt.Fprintf(&s, "limit=%d\nlimited=%t\nlimit_from=%s\n", m.Limit, m.Limited, m.LimitFrom)
	fmt.Fprintf(&s, "used=%d\n", m.Used)
	fmt.Fprintf(&s, "available=%d\navailable_from=%s\n", m.Available, m.AvailableFrom)
	fmt.Fprintf(&s, "headroom=%d\n", m.Headroom)
	if m.HasHigh {
		fmt.Fprintf(&s, "high=%d\n", m.High)
	}
	fmt.Fprintf(&s, "swap_used=%d\nswap_limit=%d\nswap_limited=%t\n", m.SwapUsed, m.SwapLimit, m.SwapLimited)
	fmt.Fprintf(&s, "host_total=%d\nhost_available=%d\n", m.HostTotal, m.HostAvailable)
	return result{memory: m, text: s.String()}
}

// agrees compares byte for byte, but for how an error quotes a line and words an
// errno.
func (r result) agrees(got string) bool {
	var flaw *budget.FormatError
	var path *os.PathError
	var errno syscall.Errno
	switch {
	case r.err == nil:
		return got == r.text
	case errors.As(r.err, &flaw):
		return strings.HasPrefix(got, fmt.Sprintf("error=%s:%d: \"", flaw.Path, flaw.Line)) &&
			strings.HasSuffix(got, "\" is not "+flaw.Want+"\n")
	default:
		if !errors.As(r.err, &path) || !errors.As(r.err, &errno) {
			return false
		}
		// C's strings end at NUL, and the library's paths at PATH_MAX.
		name, _, _ := strings.Cut(path.Path, "\x00")
		return strings.EqualFold(got, "error="+name[:min(len(name), 4095)]+": "+errno.Error()+"\n")
	}
}

// inRange tells whether the numbers can be true.
func (r result) inRange() bool {
	m := r.memory
	return 0 <= m.Headroom && m.Headroom <= m.Available && m.Available <= m.Limit && m.Used >= 0 &&
		m.SwapUsed >= 0 && m.SwapLimit >= 0 && m.High >= 0 && 0 <= m.HostAvailable && m.HostAvailable <= m.HostTotal
}

// conversation is `mymem --roots`, under the sanitizers.
type conversation struct {
	in  io.Writer
	out *bufio.Reader
}

func start(t *testing.T) conversation {
	t.Helper()
	cmd := exec.Command(filepath.Join(build(t), "sanitize", "mymem"), "--roots")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("mymem --roots: %v", err)
		}
	})
	return conversation{in, bufio.NewReader(out)}
}

// ask is the answer for one root.
func (c conversation) ask(t *testing.T, root string) string {
	t.Helper()
	if _, err := fmt.Fprintln(c.in, root); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for {
		line, err := c.out.ReadString('\n')
		if err != nil {
			t.Fatalf("mymem --roots ended at %s: %v", root, err)
		}
		if line == "\n" {
			return text.String()
		}
		text.WriteString(line)
	}
}
