package supervisor

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/filewatch"
	"github.com/memsup/memsup/lens"
	"github.com/memsup/memsup/policy"
	"github.com/memsup/memsup/procfile"
	"github.com/memsup/memsup/spawn"
)

// Config is everything that Run needs to know, already checked: cmd/memsup
// merges flags, environment, memsup.toml and defaults into it.
type Config struct {
	Version string // memsup's own, for status and log

	// Types are the process types to run, in the Procfile's order. In command
	// mode there is one, named main.
	Types []Type
	// Limits are what else than memory workers use up.
	Limits []policy.Limit
	// Command makes this command mode: the one worker of the one type is run
	// the way tini runs its child. Nil in Procfile mode.
	Command *Command

	// Env is the environment that workers start from, as NAME=value: the
	// process's own with .env merged in.
	Env []string

	// User is who memsup itself becomes, all its threads and for good, before it
	// starts anybody; nil keeps what it is.
	User *spawn.User

	Observe        bool          // --mode observe
	Limit          int64         // --limit in bytes; 0 is none
	Reserve        int64         // --reserve in bytes, where ReservePercent is 0
	ReservePercent float64       // --reserve in percent of the limit
	Grace          time.Duration // container stop: from the stop signal to SIGKILL
	Drain          time.Duration // the same for a worker, where its type does not say

	Prefix bool // "web.1 | " before each line, through a pipe
	Color  bool // coloured prefixes

	// Control is the path of the control socket. Empty takes the first place
	// of the default list that can be used, and off is no socket.
	Control string

	// RuntimeMetrics is how often lines of memory and load are written to
	// standard error, in the format of Heroku's log-runtime-metrics; 0 is never.
	RuntimeMetrics time.Duration

	// Record is the path of a file that every look and decision is written to
	// (package record); empty is none.
	Record string

	LogLevel string // trace, debug, info, warn, error, off
	LogJSON  bool

	LeaveOnGiveUp bool // --on-give-up leave
	Subreaper     bool // become a child subreaper (where not PID 1)
	Group         bool // stop signals to the process group as well
	WarnOnReap    bool // say each orphan reaped
	Remap         []int
	Rewrite       map[unix.Signal]unix.Signal // forwarded signals; 0 drops

	// Reload reads the user's files anew for HUP. Nil where there are none.
	Reload func() (*Config, error)
	// Watch are these files as they were read, where a change of them is to be
	// heard of without HUP.
	Watch []filewatch.File
}

// Command says how command mode differs between memsup and the programs whose
// names it answers to.
type Command struct {
	// Bare leaves out everything that tini and dumb-init do not have: no
	// memory is read, no environment added, no control socket, no logging of
	// memsup's own.
	Bare bool
	// Given starts the command with Config.Env and nothing else: another memsup made
	// it for this command.
	Given bool
	// Session starts the command in a session of its own (dumb-init), not
	// only in a process group (tini).
	Session bool
	// Plain starts it in neither (dumb-init --single-child).
	Plain bool
	// Note is told what tini and dumb-init print messages about. Bare needs
	// it.
	Note func(Notice)
	// DefaultSignals starts it with no signal ignored and none blocked
	// (dumb-init) rather than as memsup itself was started (tini).
	DefaultSignals bool
	// LeaveOrphans ends as soon as the command ended, as tini and dumb-init
	// do, and does not wait for the descendants that remain.
	LeaveOrphans bool
	// TermOrphans sends SIGTERM to the command's process group once it ended,
	// before leaving (dumb-init).
	TermOrphans bool
	// SuspendSelf answers SIGTSTP, SIGTTIN and SIGTTOU by forwarding them and
	// then stopping memsup itself (dumb-init).
	SuspendSelf bool
}

// Notice is one thing that happened to the command or to an orphan.
type Notice struct {
	Kind   NoticeKind
	PID    int
	Signal unix.Signal     // Forwarded
	Status unix.WaitStatus // Ended, Reaped
	Err    error           // NotStarted: a *spawn.Error; NotForwarded
}

// NoticeKind is what a Notice is about.
type NoticeKind uint8

const (
	Spawned      NoticeKind = iota // the command runs
	NotStarted                     // the command cannot be run
	Ended                          // the command ended
	Reaped                         // an orphan was collected
	Forwarded                      // a signal was passed on
	NotForwarded                   // it could not be
)

// Type is one process type.
type Type struct {
	Name string
	// Command is the Procfile's line. Argv, where it is set, is run instead,
	// as it is.
	Command string
	Argv    []string

	// After are the types that it starts after, when as many of their workers as
	// their minimum are ready, and before which it stops. One that does not run is
	// not waited for. Nobody comes after himself, by way of others neither.
	After []string
	// First is the release: one worker that runs once, before every other type
	// starts; that it fails is memsup's end. Restart is RestartNever.
	First bool

	Range procfile.Range
	// Unscaled is that Range is the default, which nobody asked for.
	Unscaled bool
	Priority int
	Memory   int64 // first estimate of one worker's cost in bytes; 0 unknown
	Recycle  int64 // replace a worker that stays above; 0 never
	Brake    int64 // slow a worker down above: memory.high of its cgroup; 0 never

	// Demand tells how many workers are wanted within Range. For policy.Number it
	// is what DemandCommand prints.
	Demand        policy.Demand
	DemandCommand string
	// Uses is how much a worker uses of each of Config.Limits.
	Uses []int

	// Port is the PORT of worker 1; each further worker has one more. Zero
	// gives no PORT.
	Port int
	// Listen are the sockets that memsup opens and every worker inherits, in
	// this order; no two types have the same address.
	Listen []Socket

	// Prefork says that the type's one process is a master which keeps the
	// workers by itself, as gunicorn and puma do; Range is then theirs. Nil:
	// memsup starts each worker.
	Prefork *Prefork

	// Ready is how long after its start a worker counts as ready; zero waits
	// until its memory settled.
	Ready time.Duration
	// ReadyWhen, in place of Ready, is what tells that a worker is ready; one that
	// is not within ReadyTimeout is stopped. Alive is what tells that a ready one
	// still is.
	ReadyWhen, Alive Check
	ReadyTimeout     time.Duration
	PreStop          PreStop

	// StartFirst has a worker that is replaced run until the one in its place is
	// ready, where memory holds both. AtOnce is how many a rolling restart replaces at
	// once, where memory holds them; 0 is one.
	StartFirst bool
	AtOnce     int

	StopSignal unix.Signal
	Drain      time.Duration // 0: Config.Drain
	Restart    Restart
	// StartLimit is how many ends in a row before it was ready, within
	// StartPeriod, make one slot give up; zero never does.
	StartLimit  int
	StartPeriod time.Duration

	// Lens is what its workers see the container's memory through.
	Lens lens.Mode

	// Settings are the user, limits and the like of the type's processes; nil is
	// as memsup itself has them.
	Settings *spawn.Settings
	// Login are HOME, USER, LOGNAME and SHELL of Settings.User, NAME=value, in
	// place of those of Config.Env.
	Login []string

	Env []string // NAME=value, over Config.Env
	// ExportText is the source of Export, by which a reload sees a change.
	ExportText string
	// Export are further variables computed from MEM_LIMIT and the others
	// just before a worker starts.
	Export func(vars map[string]float64) ([]string, error)
}

// Prefork is how a master is had to keep more or fewer workers, and which of its
// children they are.
type Prefork struct {
	// Add and Remove are commands that have it keep one more and one fewer, run
	// by sh with the master's environment and MAINPID, its pid. Empty are
	// SIGTTIN and SIGTTOU to the master.
	Add, Remove string
	// Workers is text that each worker's command line holds. Empty: a worker is
	// a child that is still the master's program.
	Workers string
	// StopSignal ends one worker, and its master starts another; 0 is
	// Type.StopSignal.
	StopSignal unix.Signal
}

// Restart says which ends of a worker are followed by a new start.
type Restart uint8

const (
	RestartAlways    Restart = iota
	RestartOnFailure         // exit status other than 0, or a signal
	RestartNever
)
