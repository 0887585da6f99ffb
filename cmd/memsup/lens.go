package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/lens"
	"github.com/memsup/memsup/supervisor"
)

func lensCommand(status *int) *cobra.Command {
	given := make(map[string]setting)
	mode := lens.Exact.String()
	cmd := &cobra.Command{
		Use:                   "lens [--mode exact|wide|bind] -- CMD [ARG ...]",
		Short:                 "Run one command that sees the container's memory where it asks the kernel",
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			t := supervisor.Type{}
			err := error(nil)
			if len(args) == 0 {
				err = errors.New("no command; write memsup lens -- CMD")
			} else if t = onlyCommand(args)[0]; mode == "off" {
				err = errors.New("--mode: off is no lens; write exact, wide or bind")
			} else if t.Lens, err = lens.Parse(mode); err != nil {
				err = fmt.Errorf("--mode: %w", err)
			}
			limit := int64(0)
			if err == nil {
				limit, err = softLimit(given)
			}
			if err != nil {
				return fmt.Errorf("cannot lens: %w", err)
			}
			*status = throughLens(t, &supervisor.Command{}, os.Environ(), limit)
			return nil
		},
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringVar(&mode, "mode", mode, "how much is answered")
	addFlags(cmd.Flags(), given, "config", "limit")
	return cmd
}

// throughLens runs one command that has a lens, and returns its status.
func throughLens(t supervisor.Type, c *supervisor.Command, env []string, limit int64) int {
	t.StopSignal = unix.SIGTERM
	return supervisor.Run(&supervisor.Config{
		Version:   versionName(),
		Command:   c,
		Types:     []supervisor.Type{t},
		Env:       env,
		Limit:     limit,
		Grace:     8 * time.Second,
		Control:   "off",
		Subreaper: true,
	})
}
