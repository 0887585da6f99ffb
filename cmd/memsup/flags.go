package main

import (
	"slices"

	"github.com/spf13/pflag"
)

// kind is how an option is written.
type kind uint8

const (
	textKind kind = iota
	boolKind
	intKind
	sizeKind // text, or a number of bytes
	listKind // may be given more than once; in memsup.toml an array
)

// option is a flag of run, the variable MEMSUP_NAME and a key of memsup.toml.
type option struct {
	name, short string
	kind        kind
	value       string // what help calls the value
	usage       string
	example     string // as in memsup.toml; empty where the file cannot have it
	later       bool   // not supported by this version
}

// options are in the order in which help shows them.
var options = [...]option{
	{name: "procfile", short: "f", value: "PATH", usage: `Procfile to run (default "Procfile")`, example: `"Procfile"`},
	{name: "env-file", short: "e", value: "PATH", usage: `file of variables for the workers (default ".env" where it exists)`, example: `".env"`},
	{name: "env-override", kind: boolKind, usage: "variables of the env file win over those of the process", example: "true"},
	{name: "config", short: "c", value: "PATH", usage: `configuration file (default "memsup.toml" where it exists)`},
	{name: "scale", short: "m", kind: listKind, value: "TYPE=N,...", usage: "workers of each type: N, MIN..MAX or auto (default 1 each); with a command only N, MIN..MAX or auto", example: `"web=2..8,worker=auto"`},
	{name: "port", short: "p", kind: intKind, value: "N", usage: "PORT of the first worker (default PORT, then that of the env file, then 5000)", example: "5000"},
	{name: "mode", value: "MODE", usage: `act, or observe: decide and show, but start and stop nothing for memory (default "act")`, example: `"observe"`},
	{name: "limit", kind: sizeKind, value: "SIZE", usage: "memory limit to keep below, where the kernel's is higher or not seen", example: `"512MiB"`},
	{name: "reserve", kind: sizeKind, value: "SIZE|PERCENT", usage: `memory to keep free of workers (default "10%", at least 16MiB, at most 1GiB)`, example: `"10%"`},
	{name: "grace", value: "DURATION", usage: `container stop: from the stop signal to SIGKILL (default "8s")`, example: `"8s"`},
	{name: "drain", value: "DURATION", usage: `the same when one worker is stopped (default "60s")`, example: `"60s"`},
	{name: "prefix", value: "WHEN", usage: `"web.1 | " before each line: auto, on or off (default "auto": on a terminal)`, example: `"on"`},
	{name: "control", value: "PATH", usage: `control socket, or off (default "/run/memsup/control.sock", else below XDG_RUNTIME_DIR, /dev/shm, /tmp)`, example: `"/run/memsup/control.sock"`},
	{name: "log-level", value: "LEVEL", usage: `trace, debug, info, warn, error or off (default "info")`, example: `"info"`},
	{name: "log-format", value: "FORMAT", usage: `text or json (default "text")`, example: `"json"`},
	{name: "runtime-metrics", value: "DURATION", usage: `how often to write memory and load of each worker and the container to stderr, in the format of Heroku's log-runtime-metrics (default "off")`, example: `"20s"`},
	{name: "record", value: "FILE", usage: "write every look and decision to FILE, for memsup plan --trace", example: `"/var/tmp/memsup.jsonl"`},
	{name: "watch-files", kind: boolKind, usage: "reload Procfile, env file and memsup.toml when they change, as SIGHUP does", example: "true"},
	{name: "run-release", kind: boolKind, usage: "run the type release once before the others start, where no platform does", example: "true"},
	{name: "on-give-up", value: "WHAT", usage: `when a type gave up: exit or leave (default "exit")`, example: `"exit"`},
	{name: "user", kind: intKind, value: "NAME", usage: "user that memsup becomes when it has opened what needs root, as NAME or NAME:GROUP (default: it stays who it is)", example: `"app"`},
	{name: "subreaper", short: "s", kind: boolKind, usage: "adopt orphans where memsup is not PID 1 (default true)", example: "true"},
	{name: "group", short: "g", kind: boolKind, usage: "send stop signals to the process group as well", example: "true"},
	{name: "remap-exit", kind: listKind, value: "CODE", usage: "exit with 0 where the command exits with CODE", example: "143"},
	{name: "warn-on-reap", short: "w", kind: boolKind, usage: "say each orphan reaped", example: "true"},
	{name: "pdeathsig", value: "SIGNAL", usage: "signal to get when memsup's own parent ends", example: `"TERM"`},
	{name: "rewrite", kind: listKind, value: "OLD:NEW", usage: "forward signal NEW for OLD; 0 forwards nothing", example: `"TERM:QUIT"`},
	{name: "lens", value: "MODE", usage: `what workers see of memory that ask the kernel: off, or the container's in exact, wide or bind (default "off")`, example: `"exact"`},
	{name: "metrics", value: "ADDR", example: `"off"`, later: true},
}

// flagValue collects the texts of one flag.
type flagValue struct {
	given map[string]setting
	opt   *option
	name  string // the flag's, which is not the option's for --no-subreaper
}

func (v flagValue) String() string { return v.given[v.opt.name].text }

// Type is what help calls the value.
func (v flagValue) Type() string {
	if v.opt.kind == boolKind {
		return "bool"
	}
	return v.opt.value
}

func (v flagValue) Set(text string) error {
	if before, again := v.given[v.opt.name]; again && v.opt.kind == listKind {
		text = before.text + "," + text
	}
	if v.name == "no-subreaper" {
		text = negated(text)
	}
	v.given[v.opt.name] = setting{text: text, from: "--" + v.name}
	return nil
}

func negated(text string) string {
	b, err := parseBool(text)
	switch {
	case err != nil:
		return text
	case b:
		return "false"
	}
	return "true"
}

// addFlags gives fs the flags of run, or those named.
func addFlags(fs *pflag.FlagSet, given map[string]setting, names ...string) {
	fs.SortFlags = false
	for i := range options {
		opt := &options[i]
		if len(names) > 0 && !slices.Contains(names, opt.name) {
			continue
		}
		f := fs.VarPF(flagValue{given, opt, opt.name}, opt.name, opt.short, opt.usage)
		f.Hidden = opt.later
		if opt.kind == boolKind {
			f.NoOptDefVal = "true"
		}
		if opt.name == "subreaper" {
			f = fs.VarPF(flagValue{given, opt, "no-subreaper"}, "no-subreaper", "", "adopt no orphans where memsup is not PID 1")
			f.NoOptDefVal = "true"
		}
	}
}
