package main

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/lens"
	"github.com/memsup/memsup/procfile"
	"github.com/memsup/memsup/spawn"
	"github.com/memsup/memsup/supervisor"
)

// addTypes gives c its process types.
func (l *loader) addTypes(c *supervisor.Config) error {
	if err := l.checkTables(); err != nil {
		return err
	}
	formations, err := l.formations()
	if err != nil {
		return err
	}
	if l.inv.isCommand {
		err = l.addCommand(c, formations)
	} else {
		err = l.addProcfile(c, formations)
	}
	if err != nil {
		return err
	}
	for i := range c.Types {
		if err := l.configure(&c.Types[i]); err != nil {
			return err
		}
	}
	if err := l.checkSockets(c); err != nil {
		return err
	}
	if err := l.addLimits(c); err != nil {
		return err
	}
	if err := l.addExport(c); err != nil {
		return err
	}
	for i := range c.Types {
		if err := l.checkProgram(&c.Types[i]); err != nil {
			return err
		}
		if err := l.checkDemandProgram(&c.Types[i]); err != nil {
			return err
		}
		if err := l.checkHealth(c, &c.Types[i]); err != nil {
			return err
		}
	}
	return nil
}

// checkTables says which table of the file is of no type or has a wrong value,
// also where its type does not run. In command mode tables may be those of the
// Procfile's types, and beside a Procfile [main] that of the command.
func (l *loader) checkTables() error {
	if l.file == nil {
		return nil
	}
	for _, t := range l.file.types {
		if _, ok := l.entry(t.name); !ok && t.name != commandType && !l.inv.isCommand {
			return mistakeAt(t.at, "no process type %q in %s; its types are %s", t.name, l.from, l.names())
		}
		if err := t.apply(&supervisor.Type{Port: 5000}); err != nil {
			return err
		}
	}
	return l.checkAfter()
}

// addCommand adds the command: once, as tini runs it, or as a type of its own
// where the number of workers is written.
func (l *loader) addCommand(c *supervisor.Config, formations []formation) error {
	r, scaled, err := l.rangeOf(commandType, formations)
	if err != nil {
		return err
	}
	t := supervisor.Type{Name: commandType, Argv: l.inv.command, Range: r}
	if scaled {
		t.Port, err = l.basePort()
	} else {
		c.Command = &supervisor.Command{}
		t.Restart = supervisor.RestartNever
		if _, ok := l.get("port"); ok {
			t.Port, err = l.basePort()
			t.Env = []string{"PORT=" + strconv.Itoa(t.Port)}
		}
	}
	c.Types = []supervisor.Type{t}
	if table := l.file.typeTable(commandType); !scaled && table != nil && len(table.keys) > 0 {
		e := table.values[table.keys[0]]
		return e.keyErrorf("%s is for a command that is scaled; write workers = 1 below [main], or --scale MIN..MAX", e.key())
	}
	return err
}

func (l *loader) addProcfile(c *supervisor.Config, formations []formation) error {
	base, err := l.basePort()
	if err != nil {
		return err
	}
	names := make([]string, len(l.entries))
	for i, e := range l.entries {
		names[i] = e.Name
	}
	ports, err := procfile.Ports(names, base)
	if err != nil {
		return err
	}
	first, err := l.runsFirst()
	if err != nil {
		return err
	}
	for _, e := range l.entries {
		r, named, err := l.rangeOf(e.Name, formations)
		if err != nil {
			return err
		}
		isFirst := first && e.Name == releaseType
		if !isFirst && !l.selected(e.Name, named) {
			continue
		}
		t := supervisor.Type{
			Name: e.Name, Command: e.Command, Range: r, Port: ports[e.Name],
			Unscaled: !named && r == procfile.Range{Min: 1, Max: 1},
		}
		if isFirst {
			l.asFirst(&t)
		}
		c.Types = append(c.Types, t)
	}
	if len(c.Types) == 0 {
		return fmt.Errorf("only release in %s, which runs by name; write memsup run release", l.from)
	}
	return nil
}

// configure gives a type the defaults and what its table says.
func (l *loader) configure(t *supervisor.Type) error {
	t.StopSignal, t.StartLimit, t.StartPeriod = unix.SIGTERM, 5, time.Minute
	t.Lens = l.lens
	if t.Name == releaseType {
		t.Restart = supervisor.RestartNever
	}
	if table := l.file.typeTable(t.Name); table != nil {
		if err := table.apply(t); err != nil {
			return err
		}
	}
	if err := l.checkFirst(t); err != nil {
		return err
	}
	if err := l.checkActuator(t); err != nil {
		return err
	}
	if err := l.file.typeTable(t.Name).orderRestarts(t); err != nil {
		return err
	}
	if err := l.addSettings(t); err != nil {
		return err
	}
	return checkPorts(t)
}

// orderRestarts says that a worker's replacement starts first where nobody said
// otherwise and all share a socket: without one the new worker would have another port.
func (table *typeTable) orderRestarts(t *supervisor.Type) error {
	var e, several entry
	given, parallel := false, false
	if table != nil {
		e, given = table.values["restart_order"]
		several, parallel = table.values["restart_parallelism"]
	}
	switch {
	case parallel && t.Prefork != nil:
		return several.keyErrorf("a master starts its workers by itself; remove restart_parallelism")
	case !given:
		t.StartFirst = len(t.Listen) > 0 && t.Prefork == nil
	case t.StartFirst && t.Prefork != nil:
		return e.errorf("a master starts its workers by itself; write restart_order = \"stop-first\", or leave it out")
	}
	return nil
}

// checkPorts says whether every worker that is certain to run has a port.
func checkPorts(t *supervisor.Type) error {
	last := max(t.Range.Min, t.Range.Max)
	if t.Port == 0 || last == 0 {
		return nil
	}
	if len(t.Listen) > 0 || t.Prefork != nil {
		last = 1
	}
	_, err := procfile.Port(t.Name, t.Port, last)
	return err
}

// checkProgram says whether the program of a type's one simple command is
// there: what would fail at every start is a mistake in the Procfile. What a
// shell will make of its line is not looked into.
func (l *loader) checkProgram(t *supervisor.Type) error {
	e, ok := l.entry(t.Name)
	if !ok || l.inv.isCommand {
		return nil
	}
	argv, simple := procfile.Simple(t.Command, l.variableOf(t))
	if !simple {
		return nil
	}
	err := l.find(argv[0], t)
	if err == nil {
		return nil
	}
	at := fmt.Sprintf("%s:%d:%d", l.from, e.Line, e.Column)
	return mistakeAt(at, "%w; write a program that is in PATH, or its path", err)
}

// variableOf looks a variable up as a worker of the type will have it.
func (l *loader) variableOf(t *supervisor.Type) func(name string) (string, bool) {
	env := l.envOf(t)
	return func(name string) (string, bool) {
		if name == "PORT" || name == "PS" {
			return "0", true
		}
		return spawn.Getenv(env, name)
	}
}

// find says whether the type's environment has a program.
func (l *loader) find(program string, t *supervisor.Type) error {
	dir := ""
	if t.Settings != nil {
		dir = t.Settings.Dir
	}
	return spawn.Find(dir, program, l.envOf(t))
}

// envOf is what is known of the environment of a type's workers.
func (l *loader) envOf(t *supervisor.Type) []string {
	env := slices.Clone(l.env)
	if t.Login != nil {
		env = supervisor.LogIn(env, t.Login)
	}
	return append(env, t.Env...)
}

// apply gives t what the table says, but for the number of workers, which
// flags and environment may say as well.
func (table *typeTable) apply(t *supervisor.Type) error {
	for _, key := range table.keys {
		e := table.values[key]
		if key == "rlimits" {
			continue
		}
		if key == "actuator" {
			var err error
			if t.Prefork, err = table.prefork(); err != nil {
				return err
			}
			continue
		}
		if key == "listen" {
			var err error
			if t.Listen, err = e.sockets(t.Port); err != nil {
				return err
			}
			continue
		}
		if err := apply(t, &e); err != nil {
			return e.setting().wrap(err)
		}
	}
	if err := table.applyRlimits(t); err != nil {
		return err
	}
	for _, e := range table.env {
		t.Env = append(t.Env, e.key()+"="+e.text)
	}
	return table.checkDemand(t)
}

func apply(t *supervisor.Type, e *entry) (err error) {
	switch e.key() {
	case "workers":
		_, err = procfile.ParseRange(e.text)
	case "priority":
		if t.Priority, err = strconv.Atoi(e.text); err != nil {
			err = fmt.Errorf("%q is no whole number; write one such as 10", e.text)
		}
	case "memory":
		t.Memory, err = procfile.ParseSize(e.text)
	case "recycle":
		t.Recycle, err = procfile.ParseSize(e.text)
	case "brake":
		t.Brake, err = procfile.ParseSize(e.text)
	case "ready":
		t.Ready, t.ReadyWhen, err = parseReady(e.text)
	case "ready_timeout":
		t.ReadyTimeout, err = parsePositive(e.text)
	case "alive":
		t.Alive, err = parseAlive(e.text)
	case "pre_stop":
		t.PreStop, err = parsePreStop(e.text)
	case "lens":
		t.Lens, err = lens.Parse(e.text)
	case "demand":
		t.Demand, t.DemandCommand, err = parseDemand(e.text)
	case "stop_signal":
		t.StopSignal, err = parseSignal(e.text)
	case "drain":
		t.Drain, err = parsePositive(e.text)
	case "restart":
		t.Restart, err = parseRestart(e.text)
	case "restart_order":
		t.StartFirst, err = parseRestartOrder(e.text)
	case "restart_parallelism":
		t.AtOnce, err = parseParallelism(e.text)
	case "start_limit":
		var limit startLimit
		limit, err = parseStartLimit(e.text)
		t.StartLimit, t.StartPeriod = limit.count, limit.period
	case "after":
		t.After = e.names()
	case "user", "group", "directory", "umask", "nice", "ambient_capabilities", "no_new_privileges":
		err = applyProcess(t, e)
	}
	return err
}

func parseRestartOrder(s string) (startFirst bool, err error) {
	switch s {
	case "start-first":
		return true, nil
	case "stop-first":
		return false, nil
	}
	return false, fmt.Errorf("%q is unknown; write start-first or stop-first", s)
}

// parseParallelism reads how many workers are replaced at once: all that fit are as
// many as there can be.
func parseParallelism(s string) (int, error) {
	n, err := strconv.Atoi(s)
	switch {
	case s == "fit":
		return procfile.MaxWorkers, nil
	case err != nil:
		return 0, fmt.Errorf("%q is no whole number; write one such as 2, or \"fit\"", s)
	case n < 1:
		return 0, fmt.Errorf("%d is too little; write 1 or more, or \"fit\"", n)
	}
	return min(n, procfile.MaxWorkers), nil
}

func parseRestart(s string) (supervisor.Restart, error) {
	switch s {
	case "always":
		return supervisor.RestartAlways, nil
	case "on-failure":
		return supervisor.RestartOnFailure, nil
	case "never":
		return supervisor.RestartNever, nil
	}
	return 0, fmt.Errorf("%q is unknown; write always, on-failure or never", s)
}
