package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stuck is a reader that takes the first line only when it is let go.
type stuck struct {
	taking, free chan struct{}
	got          strings.Builder
}

func (s *stuck) Write(line []byte) (int, error) {
	if s.taking != nil {
		close(s.taking)
		<-s.free
		s.taking = nil
	}
	return s.got.Write(line)
}

// Whose turn it is waits for the reader; the others lose lines, go on, and say
// how many once there is a reader again.
func TestStuckReaderCostsOthersLinesAndNoTime(t *testing.T) {
	to := &stuck{taking: make(chan struct{}), free: make(chan struct{})}
	k := newSink(to, time.Millisecond)
	first, second := &output{prefix: "a.1 | ", to: k}, &output{prefix: "b.1 | ", to: k}
	done := make(chan struct{})
	go func() {
		first.line([]byte("a.1 | one\n"))
		close(done)
	}()
	<-to.taking
	for range 3 {
		second.line([]byte("b.1 | lost\n"))
	}
	close(to.free)
	<-done
	second.line([]byte("b.1 | two\n"))
	want := "a.1 | one\nb.1 | memsup: 3 lines were lost: nobody read the output\nb.1 | two\n"
	if got := to.got.String(); got != want {
		t.Errorf("written:\n%swant:\n%s", got, want)
	}
}

// Nobody reads memsup's standard output, which a worker floods. Another one
// goes on, the loop answers, and the end comes.
func TestStuckOutputBlocksNoOtherWorker(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	r := launch(t, "procfile", "prefix", "flood=yes", "other=echo printed; seq 1 5000 >&2; echo through >"+fifo+"; sleep 1000")
	if b, err := os.ReadFile(fifo); err != nil || string(b) != "through\n" {
		t.Fatalf("the other worker said %q, %v", b, err)
	}
	if st := r.status(); len(st.Workers) != 2 {
		t.Errorf("status has %d workers, want 2", len(st.Workers))
	}
	r.signal(unix.SIGTERM)
	<-r.ended
	if r.code != 0 {
		t.Errorf("exit status %d, want 0", r.code)
	}
	if !strings.Contains(r.stderr.String(), "other.1 | 5000\n") {
		t.Error("the other worker's lines did not arrive")
	}
}

// A flood takes turns with the others' lines and none of these is lost.
func TestFloodLetsOthersThrough(t *testing.T) {
	r := launch(t, "procfile", "prefix never", "flood=yes", "other=seq 1 500")
	for n := 1; n <= 500; {
		text := r.line()
		if text == "flood.1 | y" {
			continue
		}
		if text != fmt.Sprintf("other.1 | %d", n) {
			t.Fatalf("%q came, want line %d", text, n)
		}
		n++
	}
}
