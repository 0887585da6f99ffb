package supervisor

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// sink is one of memsup's own output descriptors, shared by every worker's
// lines: one write for each line, whole lines only.
type sink struct {
	mu sync.Mutex
	to io.Writer
}

func (k *sink) write(line []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, _ = k.to.Write(line)
}

// longest is how much of a line is held before it is written as one: a longer
// line continues on further lines with the same prefix.
const longest = 64 << 10

// output carries one worker's standard output or standard error to a sink with
// a prefix before each line. It has a goroutine of its own: a worker whose
// lines are not taken waits alone.
type output struct {
	prefix string
	read   *os.File
	to     *sink
	ended  chan struct{}
}

// newOutput makes the pipe. The write end is for the worker; the caller closes
// its own copy.
func newOutput(name string, color int, to *sink, colored bool) (o *output, write *os.File, err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("make a pipe for the output: %w", err)
	}
	o = &output{prefix: name + " | ", read: read, to: to, ended: make(chan struct{})}
	if colored {
		colors := [...]int{36, 33, 32, 35, 31, 34, 96, 93, 92, 95, 91, 94}
		o.prefix = fmt.Sprintf("\x1b[%dm%s | \x1b[0m", colors[color%len(colors)], name)
	}
	return o, write, nil
}

// run starts carrying, or closes the pipe where the worker was not started.
func (o *output) run(started bool) {
	if !started {
		o.read.Close()
		close(o.ended)
		return
	}
	go func() {
		defer close(o.ended)
		defer o.read.Close()
		o.carry()
	}()
}

func (o *output) carry() {
	head := len(o.prefix)
	line := append(make([]byte, 0, 4096), o.prefix...)
	buf := make([]byte, 32<<10)
	for {
		n, err := o.read.Read(buf)
		for rest := buf[:n]; len(rest) > 0; {
			end := bytes.IndexByte(rest, '\n')
			part := rest
			if end >= 0 {
				part = rest[:end]
			}
			if room := longest - (len(line) - head); len(part) > room {
				part, end = part[:room], -1
			}
			line = append(line, part...)
			rest = rest[len(part):]
			switch {
			case end >= 0:
				rest = rest[1:]
			case len(line)-head < longest:
				continue
			}
			o.to.write(append(line, '\n'))
			line = line[:head]
		}
		if err != nil {
			if len(line) > head {
				o.to.write(append(line, '\n'))
			}
			return
		}
	}
}

// drained remembers outputs whose worker has ended, to be waited for at the
// end.
func (s *supervisor) drained(outputs []*output) {
	kept := s.draining[:0]
	for _, o := range append(s.draining, outputs...) {
		select {
		case <-o.ended:
		default:
			kept = append(kept, o)
		}
	}
	s.draining = kept
}

// flush waits until all that workers wrote has been carried, for two seconds
// at most: the reader of memsup's own output may be stuck.
func (s *supervisor) flush() {
	late := time.After(2 * time.Second)
	for _, o := range s.draining {
		select {
		case <-o.ended:
		case <-late:
			return
		}
	}
}
