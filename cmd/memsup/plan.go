package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/memsup/memsup/policy"
	"github.com/memsup/memsup/record"
)

func planCommand() *cobra.Command {
	var q planned
	var trace string
	cmd := &cobra.Command{
		Use:   "plan --limit SIZE --worker SIZE [--shared SIZE] | --trace FILE",
		Short: "Show what memsup would do, without doing it",
		Long: `Plan shows how many workers of a size fit under a limit, and how memsup gets there.

With --trace it decides again what memsup run --record FILE recorded, and shows each
decision, memory and the number of workers over time. Before a decision that would be
another one now stands - for what was decided then, and + for what is decided now.`,
		DisableFlagsInUseLine: true,
		Args:                  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			sizes := cmd.Flags().Changed("limit") || cmd.Flags().Changed("worker") || cmd.Flags().Changed("shared")
			switch {
			case trace != "" && sizes:
				err = errors.New("both sizes and a recording; write --limit and --worker, or --trace")
			case trace != "":
				err = planTrace(cmd.OutOrStdout(), trace)
			default:
				err = q.plan(cmd.OutOrStdout())
			}
			if err != nil {
				return fmt.Errorf("cannot plan: %w", err)
			}
			return nil
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&q.limit, "limit", "", "`SIZE` of the container's memory limit")
	fs.StringVar(&q.worker, "worker", "", "`SIZE` of what one worker has for itself")
	fs.StringVar(&q.shared, "shared", "0", "`SIZE` of what the workers share, as with preload")
	fs.StringVar(&q.reserve, "reserve", "10%", "`SIZE` or percentage of the limit to keep free of workers")
	fs.IntVar(&q.most, "max", 1000, "most workers to run")
	fs.StringVar(&trace, "trace", "", "`FILE` that memsup run --record wrote")
	return cmd
}

// planTrace shows a recording and how it would be decided now.
func planTrace(to io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var p replayed
	for step, err := range record.Replay(path, f) {
		if err != nil {
			return err
		}
		p.add(&step)
	}
	out := bufio.NewWriter(to)
	p.print(out)
	return out.Flush()
}

// replayed is a recording, summed up.
type replayed struct {
	version                  string
	moments                  []moment
	rows                     table
	looks, missed, decisions int
	others                   int
}

func (p *replayed) add(s *record.Step) {
	p.looks++
	p.missed += s.Missed
	p.version = s.Version
	m := moment{at: s.Look.Now, limit: s.Look.Limit, taken: s.Look.Limit - s.Look.Available}
	for i := range s.Look.Workers {
		if s.Look.Workers[i].Phase != policy.Stopping {
			m.workers++
		}
	}
	p.moments = append(p.moments, m)
	if s.Same() {
		p.row(" ", s, s.Did)
		return
	}
	p.others++
	p.row("-", s, s.Did)
	p.row("+", s, s.Would)
}

func (p *replayed) row(mark string, s *record.Step, actions []policy.Action) {
	for _, a := range actions {
		if mark != "+" {
			p.decisions++
		}
		if a.Kind == policy.Up {
			a.Index = freeIndex(s.Look.Workers, a.Type)
		}
		p.rows.row(mark, s.Look.Now.Round(time.Millisecond).String(), a.Kind.String(),
			fmt.Sprintf("%s.%d", s.Config.Types[a.Type].Name, a.Index), a.Reason)
	}
}

// freeIndex is the index that one more worker of a type gets.
func freeIndex(workers []policy.Worker, kind int) int {
	taken := make(map[int]bool)
	for i := range workers {
		if workers[i].Type == kind {
			taken[workers[i].Index] = true
		}
	}
	for i := 1; ; i++ {
		if !taken[i] {
			return i
		}
	}
}

func (p *replayed) print(out io.Writer) {
	first, last := p.moments[0].at, p.moments[len(p.moments)-1].at
	fmt.Fprintf(out, "recorded by memsup %s: %s, %s, %s",
		strings.Map(printable, p.version), span((last - first).Milliseconds()), counted(p.looks, "look"), counted(p.decisions, "decision"))
	if p.missed > 0 {
		fmt.Fprintf(out, "; missing: %s", counted(p.missed, "look"))
	}
	fmt.Fprintf(out, "\n")
	switch {
	case p.others == 0:
		fmt.Fprintf(out, "decided the same now\n\n")
	default:
		fmt.Fprintf(out, "at %s it is decided otherwise now: - then, + now\n\n", counted(p.others, "look"))
	}
	if p.decisions+p.others > 0 {
		head := table{rows: [][]string{{" ", "AT", "ACTION", "WORKER", "REASON"}}}
		head.rows = append(head.rows, p.rows.rows...)
		fmt.Fprintf(out, "%s\n", &head)
	}
	if last > first {
		io.WriteString(out, chart(p.moments))
	}
}

// counted is a number of things, in words: 1 look, 2 looks.
func counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
