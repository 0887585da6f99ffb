package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/procfile"
	"github.com/memsup/memsup/supervisor"
)

// tiniVersion is the tini whose command line this is. Docker reads the line
// from `docker-init --version` and looks for "tini version ".
const tiniVersion = "tini version 0.19.0"

const tiniReaperWarning = `Tini is not running as PID 1 and isn't registered as a child subreaper.
Zombie processes will not be re-parented to Tini, so zombie reaping won't work.
To fix the problem, use the -s option or set the environment variable TINI_SUBREAPER to register Tini as a child subreaper, or run Tini as PID 1.`

type tiniOptions struct {
	command     []string
	subreaper   bool
	group       bool
	warnOnReap  bool
	verbosity   tiniLevel
	remap       []int
	parentDeath unix.Signal // 0: none

	notStarted error // what Run said
}

// tiniLevel is how important a message is, and the least important that is
// printed.
type tiniLevel int

const (
	tiniErrors tiniLevel = iota
	tiniWarning
	tiniInfo
	tiniDebug
	tiniTrace
)

var tiniLevels = [...]string{"FATAL", "WARN ", "INFO ", "DEBUG", "TRACE"}

// runTini is the program where it is started as tini or docker-init.
func runTini(args []string) int {
	o, code := parseTini(args)
	if o == nil {
		return code
	}
	o.environment()
	if o.parentDeath != 0 {
		// The kernel keeps this for the thread and forgets it when the thread ends.
		runtime.LockOSThread()
		if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(o.parentDeath), 0, 0, 0); err != nil {
			return tiniFatal("Failed to set up parent death signal")
		}
	}
	switch {
	case o.subreaper:
		o.say(tiniTrace, "Registered as child subreaper")
	case !reapsOrphans():
		o.say(tiniWarning, tiniReaperWarning)
	}
	code = supervisor.Run(&supervisor.Config{
		Command: &supervisor.Command{
			Bare:         true,
			Note:         o.note,
			LeaveOrphans: true,
		},
		Types:     onlyCommand(o.command),
		Env:       os.Environ(),
		Control:   "off",
		LogLevel:  "off",
		Subreaper: o.subreaper,
		Group:     o.group,
		Remap:     o.remap,
	})
	if o.notStarted == nil {
		return code
	}
	return o.cannotExecute()
}

// onlyCommand is the one type of command mode, for a program that runs its
// command once.
func onlyCommand(argv []string) []supervisor.Type {
	return []supervisor.Type{{
		Name:    "main",
		Argv:    argv,
		Range:   procfile.Range{Min: 1, Max: 1},
		Restart: supervisor.RestartNever,
	}}
}

// parseTini reads tini's command line. Where that already ends the program,
// there are no options but an exit status.
func parseTini(args []string) (o *tiniOptions, code int) {
	if len(args) == 2 && args[1] == "--version" {
		fmt.Println(tiniVersion)
		return nil, 0
	}
	o = &tiniOptions{verbosity: tiniWarning}
	opts := getopt{program: args[0], args: args[1:], short: "p:hvwgle:s", errors: os.Stderr}
	for letter := opts.next(); letter != 0; letter = opts.next() {
		switch letter {
		case 'h':
			tiniUsage(os.Stdout, args[0])
			return nil, 0
		case 'l':
			fmt.Println("memsup, which stands in for tini here, is licensed under the Apache License, Version 2.0:\nhttps://www.apache.org/licenses/LICENSE-2.0")
			return nil, 0
		case 's':
			o.subreaper = true
		case 'v':
			o.verbosity++
		case 'w':
			o.warnOnReap = true
		case 'g':
			o.group = true
		case 'p':
			o.parentDeath = unix.SignalNum(opts.arg)
			if o.parentDeath == 0 {
				return nil, tiniFatal("Not a valid option for -p: " + opts.arg)
			}
		case 'e':
			status, ok := tiniStatus(opts.arg)
			if !ok {
				return nil, tiniFatal("Not a valid option for -e: " + opts.arg)
			}
			o.remap = append(o.remap, status)
		default:
			tiniUsage(os.Stderr, args[0])
			return nil, 1
		}
	}
	if len(opts.args) == 0 {
		tiniUsage(os.Stderr, args[0])
		return nil, 1
	}
	o.command = opts.args
	return o, 0
}

// tiniStatus is an exit status from 0 to 255. No text at all is 0: that is
// what C makes of it, and tini accepts it.
func tiniStatus(s string) (status int, ok bool) {
	n, rest, ok := strtol(s)
	if s == "" {
		ok = true
	}
	return int(n), ok && rest == "" && 0 <= n && n <= 255
}

// environment reads the variables that tini has, which come after its command
// line: TINI_VERBOSITY replaces what -v asked for.
func (o *tiniOptions) environment() {
	if _, set := os.LookupEnv("TINI_SUBREAPER"); set {
		o.subreaper = true
	}
	if _, set := os.LookupEnv("TINI_KILL_PROCESS_GROUP"); set {
		o.group = true
	}
	if value, set := os.LookupEnv("TINI_VERBOSITY"); set {
		n, _, _ := strtol(value)
		o.verbosity = tiniLevel(int32(n))
		if o.verbosity < 0 {
			o.verbosity = math.MaxInt32 // unsigned in tini
		}
	}
}

// reapsOrphans says whether the kernel gives this process its descendants'
// orphans already.
func reapsOrphans() bool {
	if os.Getpid() == 1 {
		return true
	}
	var subreaper int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&subreaper)), 0, 0, 0)
	return err == nil && subreaper != 0
}

// note prints what tini prints about its command.
func (o *tiniOptions) note(n supervisor.Notice) {
	switch n.Kind {
	case supervisor.Spawned:
		o.say(tiniInfo, fmt.Sprintf("Spawned child process '%s' with pid '%d'", o.command[0], n.PID))
	case supervisor.NotStarted:
		o.notStarted = n.Err
	case supervisor.Ended:
		o.say(tiniDebug, fmt.Sprintf("Reaped child with pid: '%d'", n.PID))
		if n.Status.Signaled() {
			o.say(tiniInfo, "Main child exited with signal (with signal '"+inC(n.Status.Signal())+"')")
		} else {
			o.say(tiniInfo, fmt.Sprintf("Main child exited normally (with status '%d')", n.Status.ExitStatus()))
		}
		o.say(tiniTrace, "Exiting: child has exited")
	case supervisor.Reaped:
		o.say(tiniDebug, fmt.Sprintf("Reaped child with pid: '%d'", n.PID))
		if o.warnOnReap {
			o.say(tiniWarning, fmt.Sprintf("Reaped zombie process with pid=%d", n.PID))
		}
	case supervisor.Forwarded:
		o.say(tiniDebug, "Passing signal: '"+inC(n.Signal)+"'")
	case supervisor.NotForwarded:
		if errors.Is(n.Err, unix.ESRCH) {
			o.say(tiniWarning, "Child was dead when forwarding signal")
		} else {
			tiniFatal("Unexpected error when forwarding signal: '" + inC(n.Err) + "'")
		}
	}
}

// cannotExecute is the status of the process that tini would have run the
// command in: 127 not found, 126 not permitted, else 1; remapped as any other.
func (o *tiniOptions) cannotExecute() (code int) {
	code = tiniFatal("exec " + o.command[0] + " failed: " + inC(cause(o.notStarted)))
	switch {
	case errors.Is(o.notStarted, unix.ENOENT):
		code = 127
	case errors.Is(o.notStarted, unix.EACCES):
		code = 126
	}
	o.say(tiniInfo, fmt.Sprintf("Main child exited normally (with status '%d')", code))
	if slices.Contains(o.remap, code) {
		return 0
	}
	return code
}

// cause is the kernel's part of an error.
func cause(err error) error {
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return errno
	}
	return err
}

// inC is what C's strerror or strsignal says: Go's text with a capital.
func inC(v any) string {
	text := fmt.Sprint(v)
	return strings.ToUpper(text[:1]) + text[1:]
}

// say prints a message: as tini does, errors and warnings on stderr, the
// others on stdout.
func (o *tiniOptions) say(level tiniLevel, text string) {
	switch {
	case level > o.verbosity:
	case level <= tiniWarning:
		tiniPrint(os.Stderr, level, text)
	default:
		tiniPrint(os.Stdout, level, text)
	}
}

func tiniFatal(text string) (code int) {
	tiniPrint(os.Stderr, tiniErrors, text)
	return 1
}

func tiniPrint(w io.Writer, level tiniLevel, text string) {
	fmt.Fprintf(w, "[%s tini (%d)] %s\n", tiniLevels[level], os.Getpid(), text)
}

func tiniUsage(w io.Writer, program string) {
	name := filepath.Base(program)
	fmt.Fprintf(w, `%s (%s)
Usage: %[1]s [OPTIONS] PROGRAM -- [ARGS] | --version

Runs PROGRAM, forwards signals to it and reaps what it leaves behind. This is
memsup, which takes tini's command line under this name.

Command line options:

  --version: Print the version and exit; alone on the command line.
  -h: Print this text and exit.
  -s: Become a child subreaper, where not PID 1.
  -p SIGNAL: Get SIGNAL when the own parent ends, e.g. "-p SIGKILL".
  -v: Say more of what happens. Up to three times.
  -w: Warn of each orphan reaped.
  -g: Forward signals to PROGRAM's whole process group.
  -e EXIT_CODE: Turn PROGRAM's EXIT_CODE (0 to 255) into 0. May be repeated.
  -l: Print the license and exit.

Environment variables:

  TINI_SUBREAPER: As -s, whatever the value.
  TINI_VERBOSITY: How much to say, from 0 to 4 (default: 1). Overrides -v.
  TINI_KILL_PROCESS_GROUP: As -g, whatever the value.

`, name, tiniVersion)
}
