// Truth asks the only judge of how much memory there is: a process that takes
// memory in small steps until it is refused or killed.
//
//	truth measure [-name ROW] [-place TEXT] [STEP ...]
//	truth table FILE < LINES
//
// Measure prepares its place by the steps, in their order, reads what memsup
// promises and what others say by their own formulas, has a process of its own take
// memory, and prints one line, VALUE {JSON}. Table puts the lines of all places as a
// table between two marks of FILE.
//
// Steps; SIZE is in bytes, k, M or G:
//
//	-write SIZE:PATH     write a file; its pages stay dirty
//	-sync PATH           have them written to the disk
//	-read N:PATH         read a file N times
//	-lock PATH           a process keeps the file's pages in memory by mlock(2)
//	-files N:DIR         make N small files, read and list them
//	-hold SIZE[:GROUP]   a process takes as much anonymous memory and keeps it
//	-group NAME[:SIZE]   make a child cgroup (v2), with memory.max
//	-set GROUP/FILE=VALUE  write a file of it
//	-enter GROUP         go into it
//	-as SIZE, -data SIZE RLIMIT_AS and RLIMIT_DATA of the process that takes
//	-huge                it asks for huge pages
//	-sockets N           a process keeps N pairs of sockets open, idle
//	-locked              its memory is locked: it does not go to the swap
package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// hugePages lets this process and its children have transparent huge pages or not.
func hugePages(may bool) error {
	disable := uintptr(1)
	if may {
		disable = 0
	}
	return unix.Prctl(unix.PR_SET_THP_DISABLE, disable, 0, 0, 0)
}

func main() {
	verbs := map[string]func([]string) error{"measure": measure, "table": table, "taker": taker, "holder": holder}
	if len(os.Args) < 2 || verbs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: truth measure|table …")
		os.Exit(2)
	}
	// The Go runtime's heap would take 2 MiB at a time.
	if err := hugePages(false); err != nil {
		fmt.Fprintln(os.Stderr, "truth: cannot do without huge pages:", err)
		os.Exit(1)
	}
	if err := verbs[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "truth %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
