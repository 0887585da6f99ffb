package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/memsup/memsup/lens"
	"github.com/memsup/memsup/spawn"
	"github.com/memsup/memsup/supervisor"
)

func execCommand(status *int) *cobra.Command {
	given := make(map[string]setting)
	force := false
	cmd := &cobra.Command{
		Use:                   "exec [--force] TYPE [ARG ...]",
		Short:                 "Run one more worker of a type in the foreground, where memory holds it",
		DisableFlagsInUseLine: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("cannot exec: no type; write memsup %s", cmd.Use)
			}
			return nil
		},
		ValidArgsFunction: completeTypes,
		RunE: func(cmd *cobra.Command, args []string) error {
			typ, args := args[0], args[1:]
			if len(args) > 0 && args[0] == "--" {
				args = args[1:]
			}
			c, err := client(given)
			var f *supervisor.Foreground
			if err == nil {
				f, err = c.Exec(cmd.Context(), typ, args, force)
			}
			if err == nil {
				*status, err = become(f)
			}
			if err == nil {
				return nil
			}
			err = fmt.Errorf("cannot exec %s: %w", typ, err)
			if e := (*spawn.Error)(nil); errors.As(err, &e) {
				fmt.Fprintln(os.Stderr, "memsup:", err)
				*status = e.ExitCode()
				return nil
			}
			return err
		},
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().BoolVar(&force, "force", false, "also where memory does not hold one more and the reserve")
	addFlags(cmd.Flags(), given, "control", "config")
	return cmd
}

// become makes this process the worker, or where the type has a lens the one who
// answers the worker, and ends with its status: it needs what the worker's user and
// limits may keep from it.
func become(f *supervisor.Foreground) (status int, err error) {
	// As a worker's; where the caller's own is higher already it stays so.
	own, _ := os.ReadFile("/proc/self/oom_score_adj")
	if n, err := strconv.Atoi(strings.TrimSpace(string(own))); err == nil && n < f.OOMScoreAdj {
		_ = os.WriteFile("/proc/self/oom_score_adj", []byte(strconv.Itoa(f.OOMScoreAdj)), 0)
	}
	if os.Geteuid() == 0 && f.UID != 0 && (f.Settings == nil || f.Settings.User == nil) { // docker exec has come as root
		err := syscall.Setgroups(f.Groups)
		if err == nil {
			err = syscall.Setresgid(f.GID, f.GID, f.GID)
		}
		if err == nil {
			err = syscall.Setresuid(f.UID, f.UID, f.UID)
		}
		if err != nil {
			return 0, fmt.Errorf("become user %d: %w", f.UID, err)
		}
	}
	if f.Directory != "" {
		if err := os.Chdir(f.Directory); err != nil {
			return 0, err
		}
	}
	env := f.Env
	if term, ok := os.LookupEnv("TERM"); ok { // the terminal is the caller's
		env = slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, "TERM=") })
		env = append(env, "TERM="+term)
	}
	if f.Lens == "" {
		return 0, spawn.Become(f.Argv, env, f.Settings)
	}
	t := onlyCommand(f.Argv)[0]
	t.Settings = f.Settings
	if t.Lens, err = lens.Parse(f.Lens); err != nil {
		return 0, err
	}
	return throughLens(t, &supervisor.Command{Given: true}, env, f.Limit), nil
}
