package supervisor

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// testament leaves word of who grew and who was killed for whoever looks at the
// container when it is no more: Kubernetes shows /dev/termination-log in
// `kubectl describe pod`. It is written at once, because a kill that takes PID 1
// along leaves no time, and beside the loop, because a disk may be slow.
type testament struct {
	path  string
	lines []string
	text  chan string // the newest that is not yet written
	done  chan struct{}
}

const (
	terminationLog = "/dev/termination-log"
	mostTestament  = 4096 // bytes that Kubernetes shows
)

// add appends one line; of what is too much the oldest goes.
func (t *testament) add(at time.Time, line string) {
	if t.text == nil {
		if st, err := os.Lstat(t.path); err != nil || !st.Mode().IsRegular() {
			return
		}
		t.text, t.done = make(chan string, 1), make(chan struct{})
		go t.write()
	}
	t.lines = append(t.lines, at.UTC().Format("15:04:05Z ")+line+"\n")
	size := 0
	for i := len(t.lines) - 1; i >= 0; i-- {
		if size += len(t.lines[i]); size > mostTestament {
			t.lines = t.lines[i+1:]
			break
		}
	}
	text := strings.Join(t.lines, "")
	select {
	case <-t.text:
	default:
	}
	t.text <- text
}

func (t *testament) write() {
	defer close(t.done)
	for text := range t.text {
		f, err := os.OpenFile(t.path, os.O_WRONLY|os.O_TRUNC|unix.O_NOFOLLOW, 0)
		if err != nil {
			continue
		}
		_, _ = f.WriteString(text)
		f.Close()
	}
}

// close waits until all is written, for a second at most.
func (t *testament) close() {
	if t.text == nil {
		return
	}
	close(t.text)
	select {
	case <-t.done:
	case <-time.After(time.Second):
	}
}
