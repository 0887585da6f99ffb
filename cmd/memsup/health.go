package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/memsup/memsup/procfile"
	"github.com/memsup/memsup/supervisor"
)

// defaultReadyTimeout is how long a worker that says when it is ready, or is
// asked, has time for it.
const defaultReadyTimeout = 30 * time.Second

// readyForms and aliveForms are what the keys can be, for errors.
const (
	readyForms = `"settled", "notify", "tcp", "http:/PATH", a duration such as "2s", or a command`
	aliveForms = `"tcp", "http:/PATH", "notify:30s", or a command`
)

// startsAsNumber says whether a text is meant as a duration.
func startsAsNumber(s string) bool {
	return s != "" && (s[0] == '-' || '0' <= s[0] && s[0] <= '9')
}

// parseReady reads what tells that a worker is ready: its memory, where both are
// zero, some time after its start, or a check.
func parseReady(s string) (time.Duration, supervisor.Check, error) {
	switch {
	case s == "settled":
		return 0, supervisor.Check{}, nil
	case startsAsNumber(s):
		d, err := parsePositive(s)
		return d, supervisor.Check{}, err
	case s == "notify":
		return 0, supervisor.Check{By: supervisor.ByNotify}, nil
	case strings.HasPrefix(s, "notify:"):
		return 0, supervisor.Check{}, fmt.Errorf("%q is for alive; write ready = \"notify\", and ready_timeout for the time", s)
	}
	c, err := parseCheck(s, readyForms, "settled", "notify", "tcp")
	return 0, c, err
}

// parseAlive reads what tells that a worker is still alive.
func parseAlive(s string) (supervisor.Check, error) {
	within, watchdog := strings.CutPrefix(s, "notify:")
	switch {
	case watchdog:
		d, err := parsePositive(within)
		if err == nil && d < shortestWatchdog {
			err = fmt.Errorf("%q is too short; write %v or more", within, shortestWatchdog)
		}
		return supervisor.Check{By: supervisor.ByNotify, Within: d}, err
	case s == "notify":
		return supervisor.Check{}, fmt.Errorf("%q has no time; write \"notify:30s\": how often WATCHDOG=1 has to come", s)
	case s == "settled", startsAsNumber(s):
		return supervisor.Check{}, fmt.Errorf("%q says nothing of a worker that is ready; write %s", s, aliveForms)
	}
	return parseCheck(s, aliveForms, "notify", "tcp")
}

// shortestWatchdog leaves a worker time between two signs of life.
const shortestWatchdog = 100 * time.Millisecond

// parseCheck reads tcp, http:/path or a command. A word that is near one of the
// key's own is no command.
func parseCheck(s, forms string, words ...string) (supervisor.Check, error) {
	path, isHTTP := strings.CutPrefix(s, "http:")
	switch {
	case strings.TrimSpace(s) == "":
		return supervisor.Check{}, fmt.Errorf("%q is no check; write %s", s, forms)
	case s == "tcp":
		return supervisor.Check{By: supervisor.ByTCP}, nil
	case strings.HasPrefix(s, "tcp:"):
		return supervisor.Check{}, fmt.Errorf("%q has an address, and each worker is asked at its own PORT; write \"tcp\", or a command", s)
	case s == "http", strings.HasPrefix(s, "https:"), strings.HasPrefix(path, "//"):
		return supervisor.Check{}, fmt.Errorf("%q is no path, and each worker is asked at http://127.0.0.1:PORT; write \"http:/PATH\", or a command such as curl", s)
	case isHTTP:
		return parsePath(s, path)
	case s == "command":
		return supervisor.Check{}, fmt.Errorf("%q stands for a command of yours; write that, such as \"./healthy\"", s)
	case strings.ContainsRune(s, 0):
		return supervisor.Check{}, fmt.Errorf("NUL in %q; a command cannot hold it", s)
	}
	if near, ok := nearest(s, words); ok {
		return supervisor.Check{}, fmt.Errorf("%q is unknown; write %q, or a command with its path", s, near)
	}
	return supervisor.Check{By: supervisor.ByCommand, Command: s}, nil
}

// parsePath reads the path of a request: what HTTP takes as it is.
func parsePath(s, path string) (supervisor.Check, error) {
	if !strings.HasPrefix(path, "/") {
		return supervisor.Check{}, fmt.Errorf("%q has no path; write \"http:/PATH\", such as \"http:/healthz\"", s)
	}
	for _, b := range []byte(path) {
		if b <= ' ' || b >= 0x7f {
			return supervisor.Check{}, fmt.Errorf("the path of %q has a byte that HTTP does not take as it is; write %%%02X for it", s, b)
		}
	}
	return supervisor.Check{By: supervisor.ByHTTP, Path: path}, nil
}

// parsePreStop reads what comes before a stop signal.
func parsePreStop(s string) (supervisor.PreStop, error) {
	switch {
	case startsAsNumber(s):
		d, err := parsePositive(s)
		return supervisor.PreStop{Wait: d}, err
	case strings.TrimSpace(s) == "":
		return supervisor.PreStop{}, fmt.Errorf("%q is no command; write one, or a duration such as \"5s\"", s)
	case strings.ContainsRune(s, 0):
		return supervisor.PreStop{}, fmt.Errorf("NUL in %q; a command cannot hold it", s)
	}
	return supervisor.PreStop{Command: s}, nil
}

// checkHealth says whether the keys of a type's health go together, and whether
// the programs of its commands are there.
func (l *loader) checkHealth(c *supervisor.Config, t *supervisor.Type) error {
	table := l.file.typeTable(t.Name)
	if table == nil {
		return nil
	}
	ready, alive, preStop := table.values["ready"], table.values["alive"], table.values["pre_stop"]
	timeout, timed := table.values["ready_timeout"]
	drain := t.Drain
	if drain == 0 {
		drain = c.Drain
	}
	switch {
	case t.ReadyWhen.By != supervisor.NoCheck && t.Prefork != nil:
		return ready.errorf(`a master is ready when its workers were counted, and %q asks it; write "settled" or a duration for its workers`, ready.text)
	case timed && t.ReadyWhen.By == supervisor.NoCheck:
		return timeout.keyErrorf(`ready_timeout is for workers that are asked or say that they are ready; write ready = "notify", "tcp", "http:/PATH" or a command as well`)
	case len(t.Listen) > 0 && overTCP(t.ReadyWhen):
		return ready.errorf(`%q asks whoever takes the connection: the socket of listen is shared; write "notify" or a command`, ready.text)
	case len(t.Listen) > 0 && overTCP(t.Alive):
		return alive.errorf(`%q asks whoever takes the connection: the socket of listen is shared; write "notify:30s" or a command`, alive.text)
	case t.Alive.By != supervisor.NoCheck && t.Restart == supervisor.RestartNever:
		return alive.keyErrorf(`alive restarts a worker, and restart = "never" forbids it; remove one of the two`)
	case t.PreStop.Wait > 0 && t.PreStop.Wait >= drain:
		return preStop.errorf("%q is no shorter than the drain of %v, after which a worker is killed; write less, or a longer drain", preStop.text, drain)
	}
	if t.ReadyWhen.By != supervisor.NoCheck && t.ReadyTimeout == 0 {
		t.ReadyTimeout = defaultReadyTimeout
	}
	for _, command := range []struct {
		text, forms string
		at          *entry
	}{
		{t.ReadyWhen.Command, readyForms, &ready},
		{t.Alive.Command, aliveForms, &alive},
		{t.PreStop.Command, "a duration such as \"5s\", or a command", &preStop},
	} {
		if err := l.checkCommand(t, command.text, command.forms, command.at); err != nil {
			return err
		}
	}
	return nil
}

// overTCP says whether a check connects to the worker.
func overTCP(c supervisor.Check) bool {
	return c.By == supervisor.ByTCP || c.By == supervisor.ByHTTP
}

// checkCommand says whether a command's program is there, where it is one simple
// command.
func (l *loader) checkCommand(t *supervisor.Type, text, forms string, at *entry) error {
	if text == "" {
		return nil
	}
	argv, simple := procfile.Simple(text, func(name string) (string, bool) {
		if name == "MAINPID" {
			return "1", true
		}
		return l.variableOf(t)(name)
	})
	if !simple {
		return nil
	}
	if err := l.find(argv[0], t); err != nil {
		return at.errorf("%w; write %s whose program is in PATH, or its path", err, forms)
	}
	return nil
}

// healthNote says how a type's workers are found to be ready and alive.
func healthNote(t *supervisor.Type) string {
	text := ""
	switch t.ReadyWhen.By {
	case supervisor.NoCheck:
	case supervisor.ByNotify:
		text += fmt.Sprintf("%s: ready when it says READY=1 on NOTIFY_SOCKET, within %v\n", t.Name, t.ReadyTimeout)
	default:
		text += fmt.Sprintf("%s: ready by %v, tried each second for %v\n", t.Name, t.ReadyWhen, t.ReadyTimeout)
	}
	switch t.Alive.By {
	case supervisor.NoCheck:
	case supervisor.ByNotify:
		text += fmt.Sprintf("%s: alive while it says WATCHDOG=1 every %v, else ended by SIGABRT\n", t.Name, t.Alive.Within)
	default:
		text += fmt.Sprintf("%s: alive by %v, tried every 10 seconds; restarted when 3 in a row fail\n", t.Name, t.Alive)
	}
	switch {
	case t.PreStop.Command != "":
		text += fmt.Sprintf("%s: before the stop signal, but for memory: %s\n", t.Name, t.PreStop.Command)
	case t.PreStop.Wait > 0:
		text += fmt.Sprintf("%s: before the stop signal, but for memory: %v\n", t.Name, t.PreStop.Wait)
	}
	return text
}
