package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/memsup/memsup/budget"
)

func meminfoCommand() *cobra.Command {
	given := make(map[string]setting)
	cmd := &cobra.Command{
		Use:                   "meminfo",
		Short:                 "Print /proc/meminfo's text with the container's numbers",
		DisableFlagsInUseLine: true,
		Args:                  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := withMeminfo(given, func(read func() (string, error)) error {
				text, err := read()
				if err != nil {
					return err
				}
				_, err = io.WriteString(cmd.OutOrStdout(), text)
				return err
			})
			if err != nil {
				return fmt.Errorf("cannot tell the memory: %w", err)
			}
			return nil
		},
	}
	addFlags(cmd.Flags(), given, "config", "limit")
	return cmd
}

// withMeminfo gives a command what reads the text of meminfo, anew at each call.
func withMeminfo(given map[string]setting, do func(read func() (string, error)) error) error {
	return withBudget(given, func(b *budget.Budget) error {
		var m budget.Meminfo
		return do(func() (string, error) {
			err := b.ReadMeminfo(&m)
			return string(m.Append(nil)), err
		})
	})
}
