package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/procfile"
	"github.com/memsup/memsup/supervisor"
)

const overview = `Memsup is the init process of a container whose workers share one memory limit.
It runs a Procfile's process types, or one command, and keeps as many workers
running as the memory holds. Without a command of its own it is memsup run.

Each flag of run is also a variable, MEMSUP_GRACE for --grace, and a key of
memsup.toml, log_level for --log-level. A flag is stronger than a variable, and
a variable than the file.`

const runUse = " [flags] [TYPE ...] | [flags] -- CMD [ARG ...]"

// execute runs a subcommand, or run where there is none.
func execute(args []string) (int, error) {
	status := 0
	root := rootCommand(&status)
	root.SetArgs(args)
	err := root.Execute()
	switch {
	case errors.Is(err, supervisor.ErrNotRunning):
		return 3, err
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EIO): // of standard output
		return 1, err
	case err != nil:
		return 2, err
	}
	return status, nil
}

func rootCommand(status *int) *cobra.Command {
	root := runCommand("memsup"+runUse, status)
	root.Short, root.Long = "The init process that knows its container's memory", overview
	root.Version = versionText()
	root.SetVersionTemplate("memsup {{.Version}}\n")
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("cannot %s: %w; see %s --help", action(cmd), err, cmd.CommandPath())
	})
	run := runCommand("run"+runUse, status)
	run.Short = "Run the Procfile's process types, or one command"
	root.AddCommand(
		run, statusCommand(), scaleCommand(), restartCommand(), stopCommand(), startCommand(), execCommand(status),
		envCommand(), freeCommand(status), meminfoCommand(), checkCommand(status), doctorCommand(),
		topCommand(status), planCommand(), lensCommand(status), completionCommand(), versionCommand(),
	)
	return root
}

// action is a subcommand in the words of an error.
func action(cmd *cobra.Command) string {
	if cmd.HasParent() && cmd.Name() != "run" {
		return cmd.Name()
	}
	return "start"
}

func runCommand(use string, status *int) *cobra.Command {
	return invocationCommand(use, func(_ io.Writer, inv *invocation) (err error) {
		*status, err = inv.run()
		return err
	})
}

// invocationCommand is a command with the flags and arguments of run.
func invocationCommand(use string, run func(io.Writer, *invocation) error) *cobra.Command {
	inv := &invocation{flags: make(map[string]setting)}
	cmd := &cobra.Command{
		Use:                   use,
		DisableFlagsInUseLine: true,
		Args:                  cobra.ArbitraryArgs,
		ValidArgsFunction:     completeTypes,
		RunE: func(cmd *cobra.Command, args []string) error {
			inv.setArgs(args, cmd.ArgsLenAtDash())
			return run(cmd.OutOrStdout(), inv)
		},
	}
	cmd.Flags().SetInterspersed(false)
	addFlags(cmd.Flags(), inv.flags)
	_ = cmd.RegisterFlagCompletionFunc("scale", completeScale)
	return cmd
}

func completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:                   "completion bash|zsh|fish|powershell",
		Short:                 "Print a script that completes memsup's command line",
		DisableFlagsInUseLine: true,
		ValidArgs:             shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("cannot print a completion: no shell or more than one; write bash, zsh, fish or powershell")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			out, root := cmd.OutOrStdout(), cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(out)
			}
			return fmt.Errorf("cannot print a completion: no shell %q; write %s", args[0], strings.Join(shells, ", "))
		},
	}
}

// typeNames lists the Procfile's types, none where it cannot be read.
func typeNames(cmd *cobra.Command) []string {
	path := "Procfile"
	if f := cmd.Flags().Lookup("procfile"); f != nil && f.Changed {
		path = f.Value.String()
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	entries, err := procfile.Parse(path, src)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return names
}

func completeTypes(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return typeNames(cmd), cobra.ShellCompDirectiveNoFileComp
}

// completeScale completes the last element of TYPE=N,TYPE=N.
func completeScale(cmd *cobra.Command, _ []string, text string) ([]string, cobra.ShellCompDirective) {
	before := text[:strings.LastIndexByte(text, ',')+1]
	var list []string
	for _, name := range typeNames(cmd) {
		list = append(list, before+name+"=")
	}
	return list, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}
