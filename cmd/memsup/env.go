package main

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/memsup/memsup/budget"
	"github.com/memsup/memsup/leaf"
)

// place is how much memory and CPU a process started here may use.
type place struct {
	limit, available int64
	limited          bool // below the host's memory
	limitFrom        string
	availableFrom    string
	cpu              budget.CPU
}

// readPlace reads the kernel's numbers.
func readPlace(b *budget.Budget) (place, error) {
	m, err := b.Read()
	if err != nil {
		return place{}, err
	}
	p := place{limit: m.Limit, available: m.Available, limited: m.Limited, limitFrom: m.LimitFrom, availableFrom: m.AvailableFrom}
	if p.limitFrom == "" {
		p.limitFrom = "--limit"
	}
	if p.availableFrom == "" {
		p.availableFrom = "--limit"
	}
	if n, ok := budget.Rlimit(); ok && n < p.limit {
		p.limit, p.limited, p.limitFrom = n, true, "getrlimit(2)"
	}
	if p.limit < p.available {
		p.available, p.availableFrom = p.limit, p.limitFrom
	}
	p.cpu, err = b.CPU()
	return p, err
}

// softLimit reads --limit for a command that starts nothing.
func softLimit(given map[string]setting) (int64, error) {
	s := &settings{flags: given}
	if err := s.open(); err != nil {
		return 0, err
	}
	return read(s, "limit", 0, parseLimit), s.err
}

// openBudget opens the budget of the container, also where this process is in a
// cgroup that memsup made there.
func openBudget() (*budget.Budget, error) {
	b, err := budget.Open()
	if err != nil {
		return nil, err
	}
	if dir, ok := b.Cgroup2(); ok {
		if around, ok := leaf.Around(dir); ok {
			b.Stay(around)
		}
	}
	return b, nil
}

// withBudget gives a command the budget of this place, under its --limit.
func withBudget(given map[string]setting, do func(*budget.Budget) error) error {
	limit, err := softLimit(given)
	if err != nil {
		return err
	}
	b, err := openBudget()
	if err != nil {
		return err
	}
	defer b.Close()
	b.SetLimit(limit)
	return do(b)
}

// withPlace gives a command the numbers of this place.
func withPlace(given map[string]setting, do func(*budget.Budget, place) error) error {
	return withBudget(given, func(b *budget.Budget) error {
		p, err := readPlace(b)
		if err != nil {
			return err
		}
		return do(b, p)
	})
}

func envCommand() *cobra.Command {
	given := make(map[string]setting)
	var format string
	cmd := &cobra.Command{
		Use:                   "env [--format shell|dotenv|json]",
		Short:                 "Print MEM_LIMIT, MEM_AVAILABLE and CPU_LIMIT of this place",
		DisableFlagsInUseLine: true,
		Args:                  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := withPlace(given, func(_ *budget.Budget, p place) error {
				text, err := p.text(format)
				if err != nil {
					return err
				}
				_, err = fmt.Fprint(cmd.OutOrStdout(), text)
				return err
			})
			if err != nil {
				return fmt.Errorf("cannot tell the environment: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "shell", "shell, dotenv or json")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"shell", "dotenv", "json"}, cobra.ShellCompDirectiveNoFileComp))
	addFlags(cmd.Flags(), given, "config", "limit")
	return cmd
}

// text prints the numbers for eval in a shell, as a .env file, or as JSON.
func (p *place) text(format string) (string, error) {
	prefix := ""
	switch format {
	case "json":
		text, err := json.Marshal(struct {
			Limit     int64       `json:"MEM_LIMIT"`
			Available int64       `json:"MEM_AVAILABLE"`
			CPU       json.Number `json:"CPU_LIMIT"`
		}{p.limit, p.available, json.Number(p.cpu.String())})
		return string(text) + "\n", err
	case "shell":
		prefix = "export "
	case "dotenv":
	default:
		return "", fmt.Errorf("--format: %q is unknown; write shell, dotenv or json", format)
	}
	return prefix + "MEM_LIMIT=" + strconv.FormatInt(p.limit, 10) + "\n" +
		prefix + "MEM_AVAILABLE=" + strconv.FormatInt(p.available, 10) + "\n" +
		prefix + "CPU_LIMIT=" + p.cpu.String() + "\n", nil
}
