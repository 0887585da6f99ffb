// Package record keeps what the policy was shown and what it decided, and has
// it decide again: a user's surprise becomes a file, and the file a test.
//
// A recording is text, one JSON object a line, as type [Line] has them. Sizes
// are bytes, instants and durations nanoseconds, as in package policy.
package record

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"syscall"

	"github.com/memsup/memsup/policy"
)

// Line is one line of a recording. It holds one look, or what changed before
// the next one.
type Line struct {
	// Version is memsup's, in the first line.
	Version string `json:"memsup,omitempty"`
	// Config is what the user asked for, where it is not the one before.
	Config *policy.Config `json:"config,omitempty"`
	// Resized says that types were added, removed or reordered; From is then
	// what State.Resize was given.
	Resized bool  `json:"resized,omitempty"`
	From    []int `json:"from,omitempty"`
	// Missed is how many lines could not be written before this one, because
	// the disk was slower.
	Missed int `json:"missed,omitempty"`
	// Look is one observation, and Actions what was decided.
	Look    *policy.Observation `json:"look,omitempty"`
	Actions []policy.Action     `json:"actions,omitempty"`
}

// MaxBytes bounds a recording: a file that has grown to it is renamed, PATH.1,
// and another one is begun. What was in PATH.1 before is lost. A pipe or a device
// has no bound, and keeps its name.
const MaxBytes = 64 << 20

// behind is how many lines may wait for the disk.
const behind = 256

// A Writer writes a recording. Its methods belong to one goroutine and never
// wait for the disk: what that cannot take in time is left out and counted. A
// nil Writer records nothing.
type Writer struct {
	version string
	config  *policy.Config
	missed  int
	lines   chan line
	done    chan error
	file    *os.File
	path    string // where the file really is; empty where it is a pipe or a device
	bytes   int64
	max     int64
}

// line is an encoded Line. A head may stand at the begin of a file.
type line struct {
	text []byte
	head bool
}

// Create begins a recording in a file, which it empties. The version is
// memsup's.
func Create(path, version string) (*Writer, error) {
	f, err := create(path)
	if err != nil {
		return nil, err
	}
	w := &Writer{version: version, lines: make(chan line, behind), done: make(chan error, 1), file: f, max: MaxBytes}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		if w.path, err = filepath.EvalSymlinks(path); err != nil {
			w.path = path
		}
	}
	go w.write()
	return w, nil
}

// create opens a file without waiting: a pipe that nobody reads is an error.
func create(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|syscall.O_NONBLOCK, 0o600)
}

// Look records one look: what it was decided by, what was seen, and what was
// decided. All of it may change after the call.
func (w *Writer) Look(c *policy.Config, o *policy.Observation, actions []policy.Action) {
	if w == nil {
		return
	}
	if w.config == nil || !reflect.DeepEqual(w.config, c) {
		kept := *c
		kept.Types = slices.Clone(c.Types)
		w.config = &kept
		w.put(&Line{Version: w.version, Config: w.config})
	}
	w.put(&Line{Look: o, Actions: actions})
}

// Resize records that types were added, removed or reordered, where any was seen
// before.
func (w *Writer) Resize(from []int) {
	if w != nil && w.config != nil {
		w.put(&Line{Resized: true, From: from})
	}
}

func (w *Writer) put(l *Line) {
	l.Missed = w.missed
	text, err := json.Marshal(l)
	if err != nil {
		w.missed++ // a number that JSON has no word for
		return
	}
	select {
	case w.lines <- line{append(text, '\n'), l.Config != nil}:
		w.missed = 0
	default:
		w.missed++
		if l.Config != nil {
			w.config = nil // try again
		}
	}
}

// Failed is closed, or gives an error, when nothing more can be written.
func (w *Writer) Failed() <-chan error {
	if w == nil {
		return nil
	}
	return w.done
}

// Close ends the recording. It does not wait for the disk: what is written then
// can be waited for by Failed.
func (w *Writer) Close() {
	if w != nil {
		close(w.lines)
	}
}

// write is the goroutine that waits for the disk.
func (w *Writer) write() {
	var head []byte
	var failed error
	for l := range w.lines {
		if failed != nil {
			continue
		}
		if l.head {
			head = l.text
		}
		if failed = w.append(l.text, head, l.head); failed != nil {
			w.done <- failed
		}
	}
	if err := w.file.Close(); failed == nil && err != nil {
		w.done <- err
	}
	close(w.done)
}

func (w *Writer) append(text, head []byte, isHead bool) error {
	if w.path != "" && w.bytes > 0 && w.bytes+int64(len(text)) > w.max {
		if err := w.turn(); err != nil {
			return err
		}
		if !isHead {
			if _, err := w.file.Write(head); err != nil {
				return err
			}
			w.bytes += int64(len(head))
		}
	}
	n, err := w.file.Write(text)
	w.bytes += int64(n)
	return err
}

// turn begins the next file.
func (w *Writer) turn() error {
	if err := os.Rename(w.path, w.path+".1"); err != nil {
		return err
	}
	f, err := create(w.path)
	if err != nil {
		return fmt.Errorf("begin the next file: %w", err)
	}
	w.file.Close()
	w.file, w.bytes = f, 0
	return nil
}
