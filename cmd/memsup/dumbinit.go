package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/supervisor"
)

// dumbInitVersion is the dumb-init whose command line this is.
const dumbInitVersion = "dumb-init v1.2.5"

// dumbInitSignals is the highest number that --rewrite takes: no real-time
// signals.
const dumbInitSignals = 31

var dumbInitLong = []longOption{
	{name: "help", letter: 'h'},
	{name: "single-child", letter: 'c'},
	{name: "rewrite", letter: 'r', hasArg: true},
	{name: "verbose", letter: 'v'},
	{name: "version", letter: 'V'},
}

type dumbInitOptions struct {
	command []string
	verbose bool
	session bool
	rewrite map[unix.Signal]unix.Signal

	notStarted error // what Run said
}

// runDumbInit is the program where it is started as dumb-init.
func runDumbInit(args []string) int {
	o, code := parseDumbInit(args)
	if o == nil {
		return code
	}
	o.environment()
	if o.session {
		o.stopOnTerminalSignals()
		o.leaveTerminal()
	}
	code = supervisor.Run(&supervisor.Config{
		Command: &supervisor.Command{
			Bare:           true,
			DefaultSignals: true,
			Session:        o.session,
			Plain:          !o.session,
			Note:           o.note,
			LeaveOrphans:   true,
			TermOrphans:    o.session,
			SuspendSelf:    true,
		},
		Types:    onlyCommand(o.command),
		Env:      os.Environ(),
		Control:  "off",
		LogLevel: "off",
		Group:    o.session,
		Rewrite:  o.rewrite,
	})
	if o.notStarted != nil {
		fmt.Fprintf(os.Stderr, "[dumb-init] %s: %s\n", o.command[0], inC(cause(o.notStarted)))
		return 2
	}
	return code
}

// parseDumbInit reads dumb-init's command line. Where that already ends the
// program, there are no options but an exit status.
func parseDumbInit(args []string) (o *dumbInitOptions, code int) {
	o = &dumbInitOptions{session: true, rewrite: map[unix.Signal]unix.Signal{}}
	opts := getopt{program: args[0], args: args[1:], short: "hvVcr:", long: dumbInitLong, errors: os.Stderr}
	for letter := opts.next(); letter != 0; letter = opts.next() {
		switch letter {
		case 'h':
			dumbInitHelp(args[0])
			return nil, 0
		case 'V':
			fmt.Fprintln(os.Stderr, dumbInitVersion)
			return nil, 0
		case 'v':
			o.verbose = true
		case 'c':
			o.session = false
		case 'r':
			from, to, ok := dumbInitRewrite(opts.arg)
			if !ok {
				fmt.Fprintf(os.Stderr, "Usage: -r option takes <signum>:<signum>, where <signum> is between 1 and %d.\n"+
					"This option can be specified multiple times.\nUse --help for full usage.\n", dumbInitSignals)
				return nil, 1
			}
			o.rewrite[from] = to
		default:
			return nil, 1
		}
	}
	if len(opts.args) == 0 {
		fmt.Fprintf(os.Stderr, "Usage: %s [option] program [args]\nTry %[1]s --help for full usage.\n", args[0])
		return nil, 1
	}
	o.command = opts.args
	return o, 0
}

// dumbInitRewrite reads s:r, two signal numbers of which the second may be 0,
// as C's sscanf does: what follows them is not looked at.
func dumbInitRewrite(s string) (from, to unix.Signal, ok bool) {
	a, rest, okA := strtol(s)
	rest, colon := strings.CutPrefix(rest, ":")
	b, _, okB := strtol(rest)
	from, to = unix.Signal(int32(a)), unix.Signal(int32(b))
	return from, to, okA && colon && okB &&
		1 <= from && from <= dumbInitSignals && 0 <= to && to <= dumbInitSignals
}

// environment reads the variables that dumb-init has.
func (o *dumbInitOptions) environment() {
	if os.Getenv("DUMB_INIT_DEBUG") == "1" {
		o.verbose = true
		o.debug("Running in debug mode.")
	}
	if os.Getenv("DUMB_INIT_SETSID") == "0" {
		o.session = false
		o.debug("Not running in setsid mode.")
	}
}

// stopOnTerminalSignals makes SIGSTOP of the terminal's stop signals, unless
// they are rewritten to something else: a session of its own is an orphaned
// process group, in which the kernel does not stop for them.
func (o *dumbInitOptions) stopOnTerminalSignals() {
	for _, sig := range []unix.Signal{unix.SIGTSTP, unix.SIGTTOU, unix.SIGTTIN} {
		if _, set := o.rewrite[sig]; !set {
			o.rewrite[sig] = unix.SIGSTOP
		}
	}
}

// leaveTerminal gives up the controlling terminal, so that the command's new
// session can have it. Where this process leads the terminal's session, the
// kernel sends it SIGHUP and SIGCONT for that (ioctl_tty(2), TIOCNOTTY), which are
// not the command's.
func (o *dumbInitOptions) leaveTerminal() {
	signal.Ignore(unix.SIGHUP, unix.SIGCONT)
	defer signal.Reset(unix.SIGHUP, unix.SIGCONT)
	if err := unix.IoctlSetInt(0, unix.TIOCNOTTY, 0); err != nil {
		o.debug("Unable to detach from controlling tty (errno=%d %s).", err, inC(err))
	}
}

// note prints what dumb-init prints about its command.
func (o *dumbInitOptions) note(n supervisor.Notice) {
	switch n.Kind {
	case supervisor.Spawned:
		o.debug("Child spawned with PID %d.", n.PID)
		if err := os.Chdir("/"); err != nil {
			o.debug("%v", err)
		}
	case supervisor.NotStarted:
		o.notStarted = n.Err
	case supervisor.Ended, supervisor.Reaped:
		code := n.Status.ExitStatus()
		if n.Status.Signaled() {
			code = 128 + int(n.Status.Signal())
			o.debug("A child with PID %d was terminated by signal %d.", n.PID, n.Status.Signal())
		} else {
			o.debug("A child with PID %d exited with exit status %d.", n.PID, code)
		}
		if n.Kind == supervisor.Ended {
			o.debug("Child exited with status %d. Goodbye.", code)
		}
	case supervisor.Forwarded:
		o.debug("Forwarded signal %d to children.", n.Signal)
	}
}

func (o *dumbInitOptions) debug(format string, args ...any) {
	if o.verbose {
		fmt.Fprintf(os.Stderr, "[dumb-init] "+format+"\n", args...)
	}
}

func dumbInitHelp(program string) {
	fmt.Fprintf(os.Stderr, `%s
Usage: %s [option] command [[arg] ...]

Runs the command in a session of its own and forwards every signal to it. This
is memsup, which takes dumb-init's command line under this name.

Optional arguments:
   -c, --single-child   Start no session; signals go to the command alone, not
                        to its whole process group.
   -r, --rewrite s:r    Forward signal number r where s was received; 0 forwards
                        nothing. May be repeated.
   -v, --verbose        Say on stderr what happens.
   -h, --help           Print this text and exit.
   -V, --version        Print the version and exit.
`, dumbInitVersion, program)
}
