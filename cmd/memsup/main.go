// How many CPUs there are memsup finds out by itself; the runtime would keep
// files of the cgroup open for that, and look at them again every second.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Memsup is the init process of a container whose workers share one memory
// limit. Under the names tini, docker-init and dumb-init it is those programs.
package main

import (
	"fmt"
	"os"
	"path"

	"github.com/memsup/memsup/spawn"
)

func main() { os.Exit(run(os.Args)) }

func run(argv []string) int {
	if argv[0] == spawn.ShimName {
		spawn.Shim(argv)
	}
	switch path.Base(argv[0]) {
	case "tini", "docker-init":
		return runTini(argv)
	case "dumb-init":
		return runDumbInit(argv)
	}
	if inv, ok := parseRun(argv[1:]); ok {
		status, err := inv.run()
		return exitStatus(status, err)
	}
	return exitStatus(execute(argv[1:]))
}

// parseRun reads a command line that can only be run's: flags, and perhaps a
// command after "--", or the word run. The tree of subcommands, which takes
// longer to build than a short command to run, is then left out. It is false
// for everything else, mistakes and --help included.
func parseRun(args []string) (*invocation, bool) {
	named := len(args) > 0 && args[0] == "run"
	if named {
		args = args[1:]
	}
	inv, flags := newInvocation()
	if err := flags.Parse(args); err != nil {
		return nil, false
	}
	inv.setArgs(flags.Args(), flags.ArgsLenAtDash())
	return inv, named || len(inv.types) == 0
}

// exitStatus prints err, if there is one, and gives the status to exit with.
func exitStatus(status int, err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, "memsup:", err)
	}
	return status
}
