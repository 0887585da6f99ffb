package supervisor

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// logger is memsup's own voice on stderr. Its lines pass through a bounded
// queue to a goroutine of their own, so that a stderr that nobody reads never
// blocks the loop; what the queue cannot hold is counted and told later. A nil
// logger is silent.
type logger struct {
	hclog.Logger
	queue chan []byte
	done  chan struct{}

	mu      sync.Mutex
	started bool
	closed  bool
	lost    int
}

func newLogger(c *Config) *logger {
	if c.Command != nil && c.Command.Bare {
		return nil
	}
	l := &logger{queue: make(chan []byte, 1024), done: make(chan struct{})}
	level := hclog.LevelFromString(c.LogLevel)
	if c.LogLevel == "" {
		level = hclog.Info
		if c.Command != nil {
			level = hclog.Warn
		}
	}
	l.Logger = newHclog(l, level, c.LogJSON)
	return l
}

func newHclog(to io.Writer, level hclog.Level, json bool) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name: "memsup", Level: level, JSONFormat: json, Output: to,
		TimeFormat: "2006-01-02T15:04:05.000Z07:00", TimeFn: func() time.Time { return time.Now().UTC() },
	})
}

// Write queues one line. It never fails and never waits.
func (l *logger) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return len(line), nil // of a goroutine that comes too late
	}
	if !l.started {
		l.started = true
		go l.write()
	}
	if l.lost > 0 {
		select {
		case l.queue <- fmt.Appendf(nil, "memsup: %d lines were lost: standard error was blocked\n", l.lost):
			l.lost = 0
		default:
		}
	}
	select {
	case l.queue <- append([]byte(nil), line...):
	default:
		l.lost++
	}
	return len(line), nil
}

func (l *logger) write() {
	defer close(l.done)
	for line := range l.queue {
		_, _ = os.Stderr.Write(line)
	}
}

// close writes what is queued, for a second at most.
func (l *logger) close() {
	if l == nil {
		return
	}
	l.mu.Lock()
	started := l.started
	l.closed = true
	l.mu.Unlock()
	if !started {
		return
	}
	close(l.queue)
	select {
	case <-l.done:
	case <-time.After(time.Second):
	}
}

func (l *logger) debug(msg string, args ...any) {
	if l != nil && l.IsDebug() {
		l.Debug(msg, plain(args)...)
	}
}

func (l *logger) info(msg string, args ...any) {
	if l != nil && l.IsInfo() {
		l.Info(msg, plain(args)...)
	}
}

func (l *logger) warn(msg string, args ...any) {
	if l != nil && l.IsWarn() {
		l.Warn(msg, plain(args)...)
	}
}

func (l *logger) error(msg string, args ...any) {
	if l != nil && l.IsError() {
		l.Error(msg, plain(args)...)
	}
}

// plain writes durations as people do.
func plain(args []any) []any {
	for i, a := range args {
		if d, ok := a.(time.Duration); ok {
			args[i] = d.Round(time.Millisecond).String()
		}
	}
	return args
}

// once logs a warning that is not repeated while it says the same, nor soon after
// another one of its topic: an error may have other words at each look.
func (s *supervisor) once(topic, msg string, args ...any) {
	text, now := fmt.Sprint(append([]any{msg}, args...)...), s.now()
	last, known := s.said[topic]
	if known && (last.text == text || now < last.at+quiet) {
		return
	}
	if s.said == nil {
		s.said = map[string]saying{}
	}
	s.said[topic] = saying{text, now}
	s.log.warn(msg, args...)
}

type saying struct {
	text string
	at   time.Duration
}

// quiet is how far apart lines are that the state of things may call for at each look.
const quiet = 5 * time.Second

// note tells of what happens to the command, in the manner of the program
// under whose name memsup runs.
func (s *supervisor) note(n Notice) {
	switch c := s.c.Command; {
	case c != nil && c.Note != nil:
		c.Note(n)
	case n.Kind == NotStarted:
		fmt.Fprintln(os.Stderr, "memsup:", n.Err)
	case n.Kind == Reaped && s.c.WarnOnReap:
		s.log.warn("reaped an orphan", "pid", n.PID, "how", describe(n.Status, false))
	case n.Kind == NotForwarded:
		s.log.warn("cannot pass a signal on", "signal", unix.SignalName(n.Signal), "error", n.Err)
	}
}

// memoryFields is what memory looked like at the last look, for the log line of
// a kill: by then the killed process's memory has come back.
func (s *supervisor) memoryFields() []any {
	if !s.memOK {
		return nil
	}
	return []any{"limit", mib(s.mem.Limit), "last seen used", mib(s.mem.Used), "seen before", s.now() - s.memAt}
}

// mib writes bytes in MiB with one decimal.
func mib(n int64) string {
	return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB"
}

func itoa(n int) string { return strconv.Itoa(n) }
