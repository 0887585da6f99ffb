// Lab is the only program of the guest beside memsup and busybox. As the
// guest's first process it sets the machine up; as `lab contain` it makes a
// container by hand and judges it from outside; its other verbs are the workers
// that run in there.
package main

import (
	"cmp"
	"fmt"
	"os"
)

var verbs = map[string]func(args []string) error{
	"init":    initialise,
	"off":     off,
	"pid1":    first,
	"contain": contain,
	"inside":  inside,
	"run":     run,
	"steady":  steady,
	"leak":    leak,
	"read":    read,
	"write":   write,
	"orphans": orphans,
	"notices": notices,
}

func main() {
	verb, args := "init", os.Args[1:]
	if os.Getpid() != 1 || len(args) > 0 {
		if len(args) == 0 || verbs[args[0]] == nil {
			fmt.Fprintln(os.Stderr, "usage: lab VERB [ARG ...]")
			os.Exit(2)
		}
		verb, args = args[0], args[1:]
	}
	if err := verbs[verb](args); err != nil {
		fmt.Fprintf(os.Stderr, "%s: cannot %s: %v\n", self(), verb, err)
		os.Exit(1)
	}
}

// self is the worker's name, as its runner gave it.
func self() string { return cmp.Or(os.Getenv("PS"), "lab") }
