package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/memsup/memsup/supervisor"
)

func statusCommand() *cobra.Command {
	given := make(map[string]setting)
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use:                   "status [--json] [--watch]",
		Short:                 "Print what the running memsup sees and decides, and why",
		DisableFlagsInUseLine: true,
		Args:                  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			show := showText
			if asJSON {
				show = showJSON
			}
			if !watch {
				return showStatus(cmd.Context(), cmd.OutOrStdout(), given, show)
			}
			between := "\n"
			if asJSON {
				between = ""
			}
			return watchStatus(cmd.Context(), given, show, between, !asJSON && isTerminal(os.Stdout))
		},
	}
	addFlags(cmd.Flags(), given, "control", "config")
	cmd.Flags().BoolVar(&asJSON, "json", false, "bytes and milliseconds, as the control socket says them")
	cmd.Flags().BoolVar(&watch, "watch", false, "again each second")
	return cmd
}

func showStatus(ctx context.Context, out io.Writer, given map[string]setting, show func(context.Context, io.Writer, *supervisor.Client) error) error {
	c, err := client(given)
	if err != nil {
		return fmt.Errorf("cannot get the status: %w", err)
	}
	if err := show(ctx, out, c); err != nil {
		return fmt.Errorf("cannot get the status: %w", err)
	}
	return nil
}

const (
	home      = "\x1b[H"
	clearLine = "\x1b[K"
	clearRest = "\x1b[J"
)

// watchStatus shows the status each second until it cannot. On a terminal
// each takes the place of the one before, without a blank screen meanwhile;
// elsewhere the text between separates them.
func watchStatus(ctx context.Context, given map[string]setting, show func(context.Context, io.Writer, *supervisor.Client) error, between string, terminal bool) error {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for first := true; ; first = false {
		var text strings.Builder
		if err := showStatus(ctx, &text, given, show); err != nil {
			return err
		}
		out := text.String()
		switch {
		case terminal && first:
			out = home + clearRest + out
		case terminal:
			out = home + strings.ReplaceAll(out, "\n", clearLine+"\n") + clearRest
		case !first:
			out = between + out
		}
		if _, err := io.WriteString(os.Stdout, out); err != nil {
			return fmt.Errorf("cannot print the status: %w", err)
		}
		<-every.C
	}
}

func showJSON(ctx context.Context, out io.Writer, c *supervisor.Client) error {
	text, err := c.StatusJSON(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", bytes.TrimSpace(text))
	return err
}

func showText(ctx context.Context, out io.Writer, c *supervisor.Client) error {
	s, err := c.Status(ctx)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, statusText(s))
	return err
}

// lastDecisions is how many decisions the text shows.
const lastDecisions = 10

// statusText is the status for people: whether all is well, then why.
func statusText(s *supervisor.Status) string {
	text := fmt.Sprintf("%s\n\n%s%s\n%s\n%s", statusLine(s), containerTable(s), containerNotes(s), typesTable(s), workersTable(s))
	if len(s.Decisions) > 0 {
		text += "\n" + decisionsTable(s).String()
	}
	return text
}

// statusLine says whether all is well.
func statusLine(s *supervisor.Status) string {
	ready, wanted := 0, 0
	for _, t := range s.Types {
		ready, wanted = ready+min(t.Ready, t.Wanted), wanted+t.Wanted
	}
	return fmt.Sprintf("%s; %d of %d workers ready, up %s", strings.Map(printable, s.Health), ready, wanted, span(s.UptimeMS))
}

func containerTable(s *supervisor.Status) *table {
	c, t := &s.Container, &table{}
	t.row("LIMIT", "USED", "AVAILABLE", "HEADROOM", "RESERVE", "SWAP", "PRESSURE", "CPUS", "OOM KILLS")
	t.row(optional(c.Limit, size), optional(c.Used, size), optional(c.Available, size), optional(c.Headroom, size),
		optional(c.Reserve, size), optional(c.Swap, size),
		optional(c.Pressure, someAndFull), optional(c.CPULimit, cpus),
		strconv.FormatInt(c.OOMKills, 10))
	return t
}

func someAndFull(p supervisor.Pressure) string {
	return percent(p.Some) + " some, " + percent(p.Full) + " full"
}

func containerNotes(s *supervisor.Status) string {
	c := &s.Container
	notes := ""
	if s.Mode == "observe" {
		notes += "observing only: nothing is started or stopped for memory\n"
	}
	if c.Ceiling != nil {
		notes += "an OOM kill taught that the limit is " + size(*c.Ceiling) + "\n"
	}
	if len(c.Sources) > 0 {
		notes += "limits from " + strings.Join(c.Sources, ", ") + "\n"
	}
	if c.Rung != nil {
		notes += "watching by " + *c.Rung + "\n"
	}
	return notes
}

func typesTable(s *supervisor.Status) *table {
	t := &table{}
	demands := slices.ContainsFunc(s.Types, func(y supervisor.TypeStatus) bool { return y.Demand != nil })
	row := func(demand string, cells ...string) {
		if demands {
			cells = slices.Insert(cells, 6, demand)
		}
		t.row(cells...)
	}
	row("DEMAND", "TYPE", "READY", "RUNNING", "WANTED", "RANGE", "COST", "WHY NOT MORE")
	for _, y := range s.Types {
		bounds := fmt.Sprintf("%d..%d", y.Min, y.Max)
		if y.Min == y.Max {
			bounds = strconv.Itoa(y.Min)
		}
		if y.Pinned {
			bounds += " pinned"
		}
		row(optional(y.Demand, asIs), y.Name, strconv.Itoa(y.Ready), strconv.Itoa(y.Running), strconv.Itoa(y.Wanted), bounds,
			optional(y.Cost, size), blockedText(&y))
	}
	return t
}

// blockedText is why a type does not grow. What its demand is has a column.
func blockedText(y *supervisor.TypeStatus) string {
	if y.Demand != nil && y.BlockedReason != nil && *y.BlockedReason == "demand: "+*y.Demand {
		return "demand"
	}
	return optional(y.BlockedReason, asIs)
}

func asIs(s string) string { return s }

func workersTable(s *supervisor.Status) *table {
	t := &table{}
	peaks := slices.ContainsFunc(s.Workers, func(w supervisor.Worker) bool { return w.Peak != nil })
	texts := slices.ContainsFunc(s.Workers, func(w supervisor.Worker) bool { return w.StatusText != nil })
	row := func(peak, text string, cells ...string) {
		if peaks {
			cells = slices.Insert(cells, 5, peak)
		}
		if texts {
			cells = append(cells, text)
		}
		t.row(cells...)
	}
	row("PEAK", "STATUS TEXT", "WORKER", "PID", "STATE", "UP", "MEMORY", "CPU", "RESTARTS", "LAST EXIT")
	for _, w := range s.Workers {
		row(optional(w.Peak, size), optional(w.StatusText, asIs), w.Name, optional(w.PID, strconv.Itoa), w.State, span(w.UptimeMS), optional(w.Memory, size),
			optional(w.CPU, percent), strconv.Itoa(w.Restarts), optional(w.LastExit, asIs))
	}
	return t
}

func decisionsTable(s *supervisor.Status) *table {
	t := &table{}
	t.row("DECIDED", "ACTION", "WORKER", "REASON")
	for _, d := range s.Decisions[max(0, len(s.Decisions)-lastDecisions):] {
		t.row(d.At, d.Action, d.Worker, d.Reason)
	}
	return t
}
