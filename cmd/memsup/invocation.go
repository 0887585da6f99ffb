package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/lens"
	"github.com/memsup/memsup/procfile"
	"github.com/memsup/memsup/supervisor"
)

// invocation is one command line of run. It is read again for each reload.
type invocation struct {
	flags     map[string]setting
	types     []string // TYPE …
	command   []string // CMD ARG …
	isCommand bool     // there was a "--"

	deathSignal unix.Signal // --pdeathsig, once loaded; 0 is none
}

func newInvocation() (*invocation, *pflag.FlagSet) {
	inv := &invocation{flags: make(map[string]setting)}
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	flags.SetInterspersed(false)
	flags.Usage = func() {}
	addFlags(flags, inv.flags)
	return inv, flags
}

// setArgs takes what is left after the flags, and how much of it stands
// before "--", which is below 0 where there is none.
func (inv *invocation) setArgs(args []string, dash int) {
	inv.types = args
	if dash >= 0 {
		inv.types, inv.command, inv.isCommand = args[:dash], args[dash:], true
	}
}

func (inv *invocation) run() (int, error) {
	c, err := inv.load()
	if err != nil {
		return 2, fmt.Errorf("cannot start: %w", err)
	}
	if inv.deathSignal != 0 {
		// The kernel keeps this for the thread and forgets it when the thread ends.
		runtime.LockOSThread()
		if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(inv.deathSignal), 0, 0, 0); err != nil {
			return 2, fmt.Errorf("cannot ask for a signal at the parent's end: %w", err)
		}
	}
	return supervisor.Run(c), nil
}

// loader makes a configuration of all that the user wrote.
type loader struct {
	*settings
	inv     *invocation
	env     []string         // of the process, with the env file
	entries []procfile.Entry // none in command mode
	from    string           // the Procfile's name
	portAt  string           // FILE:LINE:COLUMN of a PORT that the env file sets
	watch   bool             // the files are to be watched
	release bool             // the type release is to run first
	lens    lens.Mode        // of types that do not say

	envFile  []procfile.Var // of the env file alone
	accounts accounts
	may      *powers // nil: nobody asked yet
}

// load reads the files and merges them with flags and environment.
func (inv *invocation) load() (*supervisor.Config, error) {
	l := &loader{settings: &settings{flags: inv.flags}, inv: inv, accounts: "/etc"}
	if err := l.words(); err != nil {
		return nil, err
	}
	if err := l.open(); err != nil {
		return nil, err
	}
	c := l.options()
	if l.err != nil {
		return nil, l.err
	}
	if err := l.readProcfile(); err != nil {
		return nil, err
	}
	if err := l.readEnv(); err != nil {
		return nil, err
	}
	c.Env = l.env
	if err := l.addUser(c); err != nil {
		return nil, err
	}
	if err := l.addTypes(c); err != nil {
		return nil, err
	}
	if c.Command == nil {
		c.Reload = inv.load
		if l.watch {
			c.Watch = l.sums()
		}
	} else if v, ok := l.get("record"); ok {
		return nil, v.errorf("nothing is decided about a single command; add --scale MIN..MAX, or leave it out")
	}
	return c, nil
}

// words checks what no file is needed for.
func (l *loader) words() error {
	for _, word := range l.inv.types {
		switch {
		case word == "--", l.inv.isCommand:
			return fmt.Errorf("both process types and a command; write memsup %s, or memsup -- CMD", l.inv.types[0])
		case strings.HasPrefix(word, "-"):
			return fmt.Errorf("flag %s after a process type; write flags first: memsup run %[1]s … %s", word, l.inv.types[0])
		}
	}
	if l.inv.isCommand && len(l.inv.command) == 0 {
		return errors.New("no command after --; write memsup -- CMD")
	}
	return nil
}

func (l *loader) options() *supervisor.Config {
	reserved := read(l.settings, "reserve", reserve{percent: 10}, parseReserve)
	c := &supervisor.Config{
		Version:        versionName(),
		Observe:        l.choice("mode", "act", "observe") == "observe",
		Limit:          read(l.settings, "limit", 0, parseLimit),
		Reserve:        reserved.bytes,
		ReservePercent: reserved.percent,
		Grace:          read(l.settings, "grace", 8*time.Second, parseDuration),
		Drain:          read(l.settings, "drain", time.Minute, parseDuration),
		Control:        l.text("control", ""),
		LogLevel:       l.choice("log-level", "info", "trace", "debug", "warn", "error", "off"),
		LogJSON:        l.choice("log-format", "text", "json") == "json",
		RuntimeMetrics: read(l.settings, "runtime-metrics", 0, parseInterval),
		Record:         l.text("record", ""),
		LeaveOnGiveUp:  l.choice("on-give-up", "exit", "leave") == "leave",
		Subreaper:      l.boolean("subreaper", true),
		Group:          l.boolean("group", false),
		WarnOnReap:     l.boolean("warn-on-reap", false),
		Remap:          read(l.settings, "remap-exit", nil, parseCodes),
		Rewrite:        read(l.settings, "rewrite", nil, parseRewrite),
	}
	l.inv.deathSignal = read(l.settings, "pdeathsig", 0, parseSignal)
	l.watch = l.boolean("watch-files", false)
	l.release = l.boolean("run-release", false)
	l.lens = read(l.settings, "lens", lens.Off, lens.Parse)
	l.checkReserve(c)
	l.prefix(c)
	for i := range options {
		if options[i].later {
			read(l.settings, options[i].name, "", notYet)
		}
	}
	return c
}

// checkReserve says whether a limit that is written leaves something for
// workers. The kernel's limit may change while they run.
func (l *loader) checkReserve(c *supervisor.Config) {
	if v, ok := l.get("reserve"); ok && c.Limit > 0 && c.Reserve >= c.Limit {
		l.fail(v.errorf("reserve %s of limit %s leaves no memory for workers; write less, such as 10%%", size(c.Reserve), size(c.Limit)))
	}
}

func notYet(text string) (string, error) {
	if text == "off" {
		return text, nil
	}
	return "", errors.New("not supported by this version; leave it out")
}

func (l *loader) prefix(c *supervisor.Config) {
	when := l.choice("prefix", "auto", "on", "off")
	terminal := when != "off" && isTerminal(os.Stdout)
	c.Prefix = when == "on" || when == "auto" && terminal && !l.inv.isCommand
	c.Color = c.Prefix && terminal && os.Getenv("NO_COLOR") == ""
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
