package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/memsup/memsup/policy"
	"github.com/memsup/memsup/procfile"
	"github.com/memsup/memsup/supervisor"
)

func checkCommand(status *int) *cobra.Command {
	cmd := invocationCommand("check"+runUse, func(out io.Writer, inv *invocation) error {
		text, err := inv.check()
		if inFile(err) {
			fmt.Fprintln(os.Stderr, err)
			*status = 2
			return nil
		}
		if err == nil {
			_, err = io.WriteString(out, text)
		}
		if err != nil {
			return fmt.Errorf("cannot check: %w", err)
		}
		return nil
	})
	cmd.Short = "Read Procfile, .env and memsup.toml as run does; print the plan, or the first mistake"
	return cmd
}

// inFile says whether err begins with FILE:LINE:COLUMN, as editors read it.
func inFile(err error) bool {
	m, p := (*mistake)(nil), (*procfile.Error)(nil)
	return errors.As(err, &m) || errors.As(err, &p) && p.File != ""
}

func (inv *invocation) check() (string, error) {
	c, err := inv.load()
	if err != nil {
		return "", err
	}
	b, err := openBudget()
	if err != nil {
		return "", err
	}
	defer b.Close()
	b.SetLimit(c.Limit)
	p, err := readPlace(b)
	if err != nil {
		return "", err
	}
	return planText(c, &p), nil
}

// planText is what run would do here.
func planText(c *supervisor.Config, p *place) string {
	head, types, notes := &table{}, &table{}, ""
	head.row("limit", size(p.limit), p.limitFrom)
	head.row("reserve", size(reserved(c, p.limit)), reserveText(c))
	head.row("cpus", p.cpu.String(), p.cpu.LimitFrom)
	head.row("grace", c.Grace.String())
	if c.User != nil {
		head.row("user", c.User.String(), "once what needs root is open")
	}
	types.row("TYPE", "WORKERS", "PORT", "RUN BY", "COMMAND")
	for i := range c.Types {
		t := &c.Types[i]
		types.row(t.Name, t.Range.String(), portText(t), runBy(c, t), commandText(t))
		notes += firstNote(t) + afterNote(c, t) + settingsNote(t) + preforkNote(t) + autoNote(t, p) + demandNote(t) + healthNote(t)
	}
	notes += limitsNote(c)
	if notes != "" {
		notes = "\n" + notes
	}
	return head.String() + "\n" + types.String() + notes
}

func reserved(c *supervisor.Config, limit int64) int64 {
	return (&policy.Config{Reserve: c.Reserve, ReservePercent: c.ReservePercent}).ReserveFor(limit)
}

func reserveText(c *supervisor.Config) string {
	if c.ReservePercent == 0 {
		return ""
	}
	return strconv.FormatFloat(c.ReservePercent, 'f', -1, 64) + "% of the limit, at least 16.0 MiB, at most 1.0 GiB"
}

// portText is the ports of a type's workers. Those of an auto maximum are
// open-ended.
func portText(t *supervisor.Type) string {
	first, last := t.Port, t.Port+max(t.Range.Min, t.Range.Max)-1
	switch {
	case t.Port == 0:
		return "-"
	case len(t.Listen) > 0:
		return listenText(t)
	case t.Prefork != nil:
		return strconv.Itoa(first)
	case t.Range.Auto:
		return fmt.Sprintf("%d..", first)
	case last <= first:
		return strconv.Itoa(first)
	}
	return fmt.Sprintf("%d..%d", first, last)
}

func commandText(t *supervisor.Type) string {
	if t.Argv != nil {
		return strings.Join(t.Argv, " ")
	}
	return t.Command
}

// runBy says whether a shell is between memsup and the worker.
func runBy(c *supervisor.Config, t *supervisor.Type) string {
	if t.Argv != nil {
		return "exec"
	}
	if _, ok := procfile.Simple(t.Command, func(name string) (string, bool) { return variable(c, t, name) }); ok {
		return "exec"
	}
	return "sh -c"
}

// variable looks a variable up as the worker will have it. What is computed
// when the worker starts is a number, or text without a blank.
func variable(c *supervisor.Config, t *supervisor.Type, name string) (string, bool) {
	for _, env := range [...][]string{t.Env, t.Login, c.Env} {
		for i := len(env) - 1; i >= 0; i-- {
			if value, ok := strings.CutPrefix(env[i], name+"="); ok {
				return value, true
			}
		}
	}
	switch name {
	case "MEM_LIMIT", "MEM_AVAILABLE", "CPU_LIMIT", "PORT", "PS":
		return "1", true
	case "MEM_SHARE":
		return "1", hasShare(c, t)
	}
	return "", false
}

// autoNote says what auto comes to.
func autoNote(t *supervisor.Type, p *place) string {
	most, ports := max(t.Range.Min, supervisor.AutoMax(p.cpu)), 65536-t.Port
	switch {
	case !t.Range.Auto:
		return ""
	case p.limited && t.Port != 0 && len(t.Listen) == 0 && t.Prefork == nil && most > ports:
		return fmt.Sprintf("%s: auto is what memory holds, at most %d, not %d (4 for each CPU): port 65535 is the last; set a lower --port, or listen\n", t.Name, ports, most)
	case p.limited:
		return fmt.Sprintf("%s: auto is what memory holds, at most %d (4 for each CPU)\n", t.Name, most)
	}
	return fmt.Sprintf("%s: no limit below the host's memory is known, so auto is the minimum, %d; set one with --limit\n", t.Name, t.Range.Min)
}
