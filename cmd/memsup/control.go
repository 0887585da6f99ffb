package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/memsup/memsup/procfile"
	"github.com/memsup/memsup/supervisor"
)

// client talks to the memsup that --control, its variable or memsup.toml name,
// or that is found. A memsup.toml with a mistake has no say in it: the running
// memsup has read another.
func client(given map[string]setting) (*supervisor.Client, error) {
	s := &settings{flags: given}
	_ = s.open()
	path := s.text("control", "")
	if s.err != nil {
		return nil, s.err
	}
	if path == "off" {
		path = ""
	}
	return supervisor.NewClient(path)
}

// clientCommand is a command that changes something in the running memsup.
func clientCommand(use, short string, change func(context.Context, *supervisor.Client, []string) error) *cobra.Command {
	given := make(map[string]setting)
	cmd := &cobra.Command{
		Use:                   use,
		Short:                 short,
		DisableFlagsInUseLine: true,
		Args:                  oneArgument,
		ValidArgsFunction:     completeTypes,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := client(given)
			if err == nil {
				err = change(cmd.Context(), c, args)
			}
			if err != nil {
				return fmt.Errorf("cannot %s %s: %w", cmd.Name(), strings.Join(args, " "), err)
			}
			return nil
		},
	}
	addFlags(cmd.Flags(), given, "control", "config")
	return cmd
}

func oneArgument(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("cannot %s: %d arguments; write memsup %s", cmd.Name(), len(args), cmd.Use)
	}
	return nil
}

func scaleCommand() *cobra.Command {
	cmd := clientCommand("scale TYPE=N|MIN..MAX|auto ...", "Pin the number of workers of a type, or unpin it with auto",
		func(ctx context.Context, c *supervisor.Client, args []string) error {
			scales, err := procfile.ParseFormation(strings.Join(args, ","))
			if err != nil {
				return err
			}
			ranges := make(map[string]string, len(scales))
			for _, s := range scales {
				ranges[s.Name] = s.Range.String()
			}
			return c.Scale(ctx, ranges)
		})
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("cannot scale: no type; write memsup %s", cmd.Use)
		}
		return nil
	}
	cmd.ValidArgsFunction = completeScale
	return cmd
}

func restartCommand() *cobra.Command {
	return clientCommand("restart TYPE|TYPE.N", "Restart a type's workers one after the other, or one worker",
		func(ctx context.Context, c *supervisor.Client, args []string) error { return c.Restart(ctx, args[0]) })
}

func stopCommand() *cobra.Command {
	return clientCommand("stop TYPE", "Stop a type's workers",
		func(ctx context.Context, c *supervisor.Client, args []string) error { return c.Stop(ctx, args[0]) })
}

func startCommand() *cobra.Command {
	return clientCommand("start TYPE", "Start a type that was stopped or that gave up",
		func(ctx context.Context, c *supervisor.Client, args []string) error { return c.Start(ctx, args[0]) })
}
