package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/cgroups/v3"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/budget"
	"github.com/memsup/memsup/leaf"
	"github.com/memsup/memsup/lens"
	"github.com/memsup/memsup/pressure"
	"github.com/memsup/memsup/spawn"
	"github.com/memsup/memsup/supervisor"
)

// finding is one thing that doctor saw.
type finding struct {
	Name    string `json:"name"`
	Value   string `json:"value"` // bytes where it is memory
	From    string `json:"from,omitempty"`
	Missing string `json:"missing,omitempty"` // why there is no value
	Instead string `json:"instead,omitempty"` // what is used in its place
}

// diagnosis is doctor's answer.
type diagnosis struct {
	Used    []finding `json:"used"`    // the numbers that memsup uses
	Place   []finding `json:"place"`   // what is around it
	Sources []finding `json:"sources"` // every number that it looked for
}

func doctorCommand() *cobra.Command {
	given := make(map[string]setting)
	var asJSON bool
	cmd := &cobra.Command{
		Use:                   "doctor [--json]",
		Short:                 "Print where each number comes from, what is missing, and what is used instead",
		DisableFlagsInUseLine: true,
		Args:                  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := withPlace(given, func(b *budget.Budget, p place) error {
				from := sources(b)
				d := diagnosis{Used: p.findings(from), Place: surroundings(b), Sources: from}
				if asJSON {
					return json.NewEncoder(cmd.OutOrStdout()).Encode(d)
				}
				_, err := fmt.Fprint(cmd.OutOrStdout(), d.String())
				return err
			})
			if err != nil {
				return fmt.Errorf("cannot examine this place: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, memory in bytes")
	addFlags(cmd.Flags(), given, "config", "limit")
	return cmd
}

func (d *diagnosis) String() string {
	return findingsTable(d.Used) + "\n" + findingsTable(d.Place) + "\n" + findingsTable(d.Sources)
}

func findingsTable(list []finding) string {
	t := &table{}
	for _, f := range list {
		value := f.Value
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && n >= 1<<62 {
			value = "no limit"
		} else if err == nil && n >= 1<<20 {
			value = size(n)
		}
		if f.Missing != "" {
			value = "missing: " + f.Missing
		}
		if f.Instead != "" {
			value += "; " + f.Instead
		}
		t.row(f.Name, value, f.From)
	}
	return t.String()
}

// findings are the numbers that are used, and what the sources say of them.
func (p *place) findings(from []finding) []finding {
	limit := finding{Name: "MEM_LIMIT", Value: strconv.FormatInt(p.limit, 10), From: p.limitFrom}
	if !p.limited {
		limit.Instead = "no limit is set, so this is the host's memory, and auto is its minimum"
	}
	available := finding{Name: "MEM_AVAILABLE", Value: strconv.FormatInt(p.available, 10), From: p.availableFrom}
	if usageMissing(p.availableFrom, from) {
		available.Instead = "usage is missing, so this is the limit"
	}
	return []finding{
		limit,
		available,
		{Name: "CPU_LIMIT", Value: p.cpu.String(), From: p.cpu.LimitFrom},
	}
}

// usageMissing tells whether a limit has no usage beside it, as one that is mounted by
// itself.
func usageMissing(limit string, from []finding) bool {
	dir, name := path.Split(limit)
	usage, ok := map[string]string{
		"memory.max":            "memory.current",
		"memory.limit_in_bytes": "memory.usage_in_bytes",
		"MemoryMax":             "MemoryCurrent",
		"MemoryLimit":           "MemoryCurrent",
	}[name]
	return ok && slices.ContainsFunc(from, func(f finding) bool { return f.From == dir+usage && f.Missing != "" })
}

func sources(b *budget.Budget) []finding {
	var list []finding
	for _, s := range b.Sources() {
		list = append(list, finding{Name: s.Name, Value: s.Value, From: s.File, Missing: s.Missing})
	}
	return list
}

// surroundings are the things besides numbers on which memsup depends.
func surroundings(b *budget.Budget) []finding {
	cgroup := finding{Name: "cgroup mode", Value: modeName(cgroups.Mode()), From: "/sys/fs/cgroup"}
	better := []finding{{Name: "memory from", Value: b.Rung(), Instead: explain(b.Rung())}}
	for _, m := range b.Missed() {
		better = append(better, finding{Name: "– not from " + m.Rung, Missing: m.Why})
		if b.Rung() != "host" { // what is mounted there tells nothing
			cgroup.Value = "none"
		}
	}
	control := finding{Name: "control socket", Value: "a memsup answers"}
	if _, err := supervisor.NewClient(""); err != nil {
		control = finding{Name: "control socket", Missing: err.Error()}
	}
	return slices.Concat([]finding{cgroup}, better, watching(b), []finding{lenses()}, []finding{
		initProcess(), control,
		{Name: "signals ignored", Value: signalNames(spawn.Ignored)},
		{Name: "signals blocked", Value: signalNames(spawn.Blocked)},
	})
}

// explain says what to know of a source that is not a cgroup's files.
func explain(rung string) string {
	switch rung {
	case "systemd":
		return "asked over D-Bus; page cache counts as used, as systemd does not tell of it"
	case "cgmanager":
		return "asked over D-Bus; of what is around the process's cgroup only the limit is known"
	case "processes":
		return "the proportional set size of all that can be seen in /proc; a limit is known by --limit alone"
	case "host":
		return "nothing around this process is known to limit its memory"
	}
	return ""
}

// watching is how pressure is heard here, and why not by better means.
func watching(b *budget.Budget) []finding {
	dir, v1, _ := b.Place()
	w := pressure.Open(pressure.Place{Dir: dir, V1: v1})
	defer w.Close()
	list := []finding{{Name: "watching", Value: w.Rung(), From: dir}}
	if w.Rung() == pressure.Polling {
		list[0].Instead = "usage is read every 50 ms to 5 s, the oftener the fuller"
	}
	for _, m := range w.Missed() {
		list = append(list, finding{Name: "– not by " + m.Rung, Missing: m.Why, From: m.File})
	}
	if !v1 && w.Hears(pressure.Events) {
		wire := finding{Name: "tripwire", Value: "clean pages, whose reclaim memory.events tells of"}
		var err error
		if wire.From, err = pressure.TripwireIn(pressure.TripwireDirs()...); err != nil {
			wire.Value, wire.Missing = "", strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		list = append(list, wire)
	}
	return append(list, leaves(b))
}

// leaves says whether workers have cgroups of their own here, and why not.
func leaves(b *budget.Budget) finding {
	f := finding{Name: "workers' own cgroups", Value: "may be made"}
	dir, ok := b.Cgroup2()
	if _, v1, _ := b.Place(); v1 || !ok {
		f.Value, f.Missing = "", "needs cgroup v2"
		return f
	}
	f.From = dir
	if around, ok := leaf.Around(dir); ok {
		f.Value, f.From = "made by the memsup that runs here", around
	} else if err := leaf.May(dir); err != nil {
		f.Value, f.Missing, f.Instead = "", err.Error(), "workers share the container's"
	}
	return f
}

// lenses says which modes of the lens can be had here, and why not the others.
func lenses() finding {
	f := finding{Name: "lens"}
	v, err := lens.NewView()
	if err != nil {
		f.Missing = err.Error()
		return f
	}
	if _, err := v.Open(lens.Exact); err != nil {
		f.Missing = err.Error()
		return f
	}
	f.Value = "exact, wide, bind"
	if _, err := v.Open(lens.Bind); err != nil {
		f.Value, f.Instead = "exact, wide", "not bind: "+err.Error()
	}
	return f
}

func modeName(m cgroups.CGMode) string {
	switch m {
	case cgroups.Legacy:
		return "v1"
	case cgroups.Hybrid:
		return "hybrid: v1, and v2 without controllers"
	case cgroups.Unified:
		return "v2"
	}
	return "none"
}

// initProcess says who reaps here.
func initProcess() finding {
	f := finding{Name: "PID 1", From: "/proc/1/comm"}
	comm, err := os.ReadFile(f.From)
	if err != nil {
		f.Missing = err.Error()
		return f
	}
	f.Value = strings.TrimSpace(string(comm))
	if os.Getpid() != 1 && f.Value != "memsup" {
		f.Instead = "memsup run here would be a child subreaper"
	}
	return f
}

func signalNames(set spawn.SignalSet) string {
	var list []string
	for sig := unix.Signal(1); sig <= 64; sig++ {
		if !set.Has(sig) {
			continue
		}
		name := strings.TrimPrefix(unix.SignalName(sig), "SIG")
		if name == "" {
			name = strconv.Itoa(int(sig))
		}
		list = append(list, name)
	}
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, " ")
}
