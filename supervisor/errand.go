package supervisor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/procfile"
	"github.com/memsup/memsup/spawn"
)

// errand is a command of the user's that is run for its answer, beside the loop:
// the loop starts it, reaps it and kills its process group when it takes too
// long, and hears what it printed as one more event.
type errand struct {
	until  time.Duration // SIGKILL to its group
	killed bool
	ended  bool
	status unix.WaitStatus
	pipes  [2]*os.File // its standard output and error
	heard  bool        // all that it printed was read
	said   [2]string
	done   func(answer string, err error)
}

// errands are those under way.
type errands struct {
	byPID   map[int]*errand
	answers chan printed // nil before the first one
}

// printed is what an errand printed.
type printed struct {
	by   *errand
	text [2]string
}

// longestAnswer is how many bytes of each output of an errand are kept.
const longestAnswer = 4 << 10

// send starts an errand, as the type's user, in its directory and with its umask,
// but without its limits. Its end calls done in the loop, unless memsup ends
// before.
func (s *supervisor) send(t *processType, command string, env []string, within time.Duration, done func(answer string, err error)) error {
	argv, _ := commandLine(command, env)
	null, err := os.Open(os.DevNull)
	if err != nil {
		return fmt.Errorf("open standard input: %w", err)
	}
	defer null.Close()
	e := &errand{until: s.now() + within, done: done}
	spec := &spawn.Spec{Argv: argv, Env: env, Files: []uintptr{null.Fd(), 0, 0}, Group: true, Settings: t.errandSettings()}
	for i := range e.pipes {
		read, write, err := os.Pipe()
		if err != nil {
			e.close()
			return fmt.Errorf("make a pipe: %w", err)
		}
		defer write.Close()
		e.pipes[i], spec.Files[i+1] = read, write.Fd()
	}
	pid, err := s.sys.start(spec)
	if err != nil {
		e.close()
		return err
	}
	if s.errands.byPID == nil {
		s.errands = errands{map[int]*errand{}, make(chan printed)}
	}
	s.errands.byPID[pid] = e
	s.children.remain = true
	s.setOOMScore(pid, 1000) // it goes before any worker
	go e.listen(s.errands.answers, s.gone)
	return nil
}

// commandLine is how a line of the user's is run: by exec where it is one simple
// command, else by a shell.
func commandLine(command string, env []string) (argv []string, shell bool) {
	argv, simple := procfile.Simple(command, func(name string) (string, bool) { return spawn.Getenv(env, name) })
	if simple {
		return argv, false
	}
	return []string{"/bin/sh", "-c", command}, true
}

// listen reads what the errand prints until nobody can print any more, or until
// its pipes are given a deadline.
func (e *errand) listen(to chan<- printed, gone <-chan struct{}) {
	all := printed{by: e}
	errs := make(chan string)
	go func() { errs <- readAnswer(e.pipes[1]) }()
	all.text[0] = readAnswer(e.pipes[0])
	all.text[1] = <-errs
	select {
	case to <- all:
	case <-gone:
	}
}

// readAnswer reads to the end and keeps the beginning.
func readAnswer(f *os.File) string {
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, longestAnswer))
	_, _ = io.Copy(io.Discard, f)
	return string(b)
}

func (e *errand) close() {
	for _, f := range e.pipes {
		if f != nil {
			f.Close()
		}
	}
}

// cutErrands kills the errands whose time is over, with their process groups.
func (s *supervisor) cutErrands(now time.Duration) {
	for pid, e := range s.errands.byPID {
		if !e.killed && now >= e.until {
			e.killed = true
			_ = s.sys.kill(-pid, unix.SIGKILL)
			_ = s.sys.kill(pid, unix.SIGKILL)
		}
	}
}

// errandEnded notes the end of an errand's main process. Its group was killed
// before it was reaped; who left that has a moment to let go of the pipes.
func (s *supervisor) errandEnded(pid int, e *errand, status unix.WaitStatus) {
	delete(s.errands.byPID, pid)
	e.ended, e.status = true, status
	if !e.heard {
		for _, f := range e.pipes {
			_ = f.SetReadDeadline(time.Now().Add(afterErrand))
		}
	}
	e.conclude()
}

// afterErrand is that moment.
const afterErrand = 100 * time.Millisecond

// answered takes in what an errand printed.
func (s *supervisor) answered(all printed) {
	all.by.heard, all.by.said = true, all.text
	all.by.conclude()
}

// conclude hands the answer over once the errand has ended and all was read.
func (e *errand) conclude() {
	if !e.ended || !e.heard {
		return
	}
	switch code := exitCode(e.status); {
	case e.killed:
		e.done("", errors.New("it took too long and was killed"))
	case code != 0:
		text := "it " + describe(e.status, false)
		if why := lastLine(e.said[1]); why != "" {
			text += ": " + why
		}
		e.done("", errors.New(text))
	default:
		e.done(e.said[0], nil)
	}
}

// lastLine is the last line of a text that says something, at most 200 bytes of
// it. What cannot be printed is escaped.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	text = strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
	quoted := strconv.Quote(text[:min(len(text), 200)])
	return quoted[1 : len(quoted)-1]
}
