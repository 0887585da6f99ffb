package supervisor

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// sink is one of memsup's own output descriptors, shared by every worker's
// lines: one write for each line, whole lines only. Whoever writes when nobody
// reads waits, and his worker with him once its pipe is full; the others wait
// for their turn for so long and then lose lines rather than time.
type sink struct {
	to    io.Writer
	turn  chan struct{} // holds one
	wait  time.Duration
	stuck atomic.Bool // somebody has waited in vain since the last write ended
}

func newSink(to io.Writer, wait time.Duration) *sink {
	return &sink{to: to, turn: make(chan struct{}, 1), wait: wait}
}

// patience is how long a line waits for one of another worker: longer than a
// reader that is only slow.
const patience = 5 * time.Second

// write says whether the line was written.
func (k *sink) write(line []byte) bool {
	select {
	case k.turn <- struct{}{}:
	default:
		if k.stuck.Load() {
			return false
		}
		late := time.NewTimer(k.wait)
		defer late.Stop()
		select {
		case k.turn <- struct{}{}:
		case <-late.C:
			k.stuck.Store(true)
			return false
		}
	}
	_, _ = k.to.Write(line)
	k.stuck.Store(false)
	<-k.turn
	return true
}

// longest is how much of a line is held before it is written as one: a longer
// line continues on further lines with the same prefix.
const longest = 64 << 10

// output carries one worker's standard output or standard error to a sink with
// a prefix before each line. It has a goroutine of its own.
type output struct {
	prefix string
	read   *os.File
	to     *sink
	ended  chan struct{}
	lost   int // lines since the last that was written
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
			o.line(append(line, '\n'))
			line = line[:head]
		}
		if err != nil {
			if len(line) > head {
				o.line(append(line, '\n'))
			}
			o.confess()
			return
		}
	}
}

// line writes one line, and before it how many were lost since the last.
func (o *output) line(line []byte) {
	if o.confess(); o.lost > 0 || !o.to.write(line) {
		o.lost++
	}
}

func (o *output) confess() {
	if o.lost > 0 && o.to.write(fmt.Appendf(nil, "%smemsup: %d lines were lost: nobody read the output\n", o.prefix, o.lost)) {
		o.lost = 0
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
