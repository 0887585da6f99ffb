package record

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/memsup/memsup/policy"
)

// Step is one recorded look, decided again.
type Step struct {
	Version string // of the memsup that recorded it
	Config  *policy.Config
	Look    *policy.Observation
	Did     []policy.Action // what was decided when it was recorded
	Would   []policy.Action // what is decided now
	State   *policy.State   // what the decision left; valid until the next step
	Missed  int             // looks before it that were not written
}

// Same says whether it is decided as it was when it was recorded.
func (s *Step) Same() bool { return slices.Equal(s.Did, s.Would) }

// longest is the longest line that is read: some 100,000 workers.
const longest = 16 << 20

// Replay reads a recording, named for errors, and has each look decided again,
// from a State that knows nothing of what was before the first one. It ends with
// the first error. A last line without an end was cut off, and is no error.
func Replay(name string, r io.Reader) iter.Seq2[Step, error] {
	return func(yield func(Step, error) bool) {
		in := bufio.NewReaderSize(r, 1<<16)
		var state policy.State
		var step Step
		looks := 0
		for n := 1; ; n++ {
			text, err := readLine(in)
			if err == io.EOF && looks == 0 {
				err = fmt.Errorf("no look in it; a recording is what memsup run --record %s writes", name)
			} else if err == io.EOF {
				return
			}
			var l Line
			if err == nil {
				err = l.parse(text, step.Config)
			}
			if err != nil {
				yield(step, fmt.Errorf("%s:%d: %w", name, n, err))
				return
			}
			if l.Version != "" {
				step.Version = l.Version
			}
			if l.Config != nil {
				step.Config = l.Config
			}
			step.Missed += l.Missed
			if l.Resized {
				state.Resize(l.From)
			}
			if l.Look == nil {
				continue
			}
			looks++
			step.Look, step.Did, step.State = l.Look, l.Actions, &state
			step.Would = slices.Clone(state.Decide(step.Config, l.Look)) // which the next one overwrites
			if !yield(step, nil) {
				return
			}
			step.Missed = 0
		}
	}
}

func readLine(in *bufio.Reader) ([]byte, error) {
	var text []byte
	for {
		part, err := in.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull) && len(text) < longest:
			continue
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("the line is longer than %d bytes", longest)
		}
		return text, err
	}
}

// parse checks what the policy takes on trust.
func (l *Line) parse(text []byte, c *policy.Config) error {
	if err := json.Unmarshal(text, l); err != nil {
		return fmt.Errorf("no line of a recording: %w", err)
	}
	if l.Config != nil {
		c = l.Config
	}
	if l.Look == nil {
		return nil
	}
	if c == nil {
		return errors.New("a look before any configuration; a recording begins with a line that has \"config\"")
	}
	for _, w := range l.Look.Workers {
		if w.Type < 0 || w.Type >= len(c.Types) {
			return fmt.Errorf("a worker of type %d of %d", w.Type, len(c.Types))
		}
	}
	for _, a := range l.Actions {
		if a.Type < 0 || a.Type >= len(c.Types) {
			return fmt.Errorf("an action on type %d of %d", a.Type, len(c.Types))
		}
	}
	return nil
}
