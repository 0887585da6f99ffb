package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/memsup/memsup/procfile"
)

// run is the other side of each comparison: a runner of Procfiles that knows
// nothing of memory. It starts each line TYPE=N times, else once, reaps, and
// passes SIGTERM on.
func run(args []string) error {
	src, err := os.ReadFile("Procfile")
	if err != nil {
		return err
	}
	entries, err := procfile.Parse("Procfile", src)
	if err != nil {
		return err
	}
	many := map[string]int{}
	for _, arg := range args {
		scales, err := procfile.ParseFormation(arg)
		if err != nil {
			return err
		}
		for _, s := range scales {
			many[s.Name] = s.Range.Min
		}
	}
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	for _, e := range entries {
		for n := range max(1, many[e.Name]) {
			cmd := exec.Command("/bin/sh", "-c", "exec "+e.Command)
			cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
			cmd.Env = append(os.Environ(), fmt.Sprintf("PS=%s.%d", e.Name, n+1))
			if err := cmd.Start(); err != nil {
				return err
			}
		}
	}
	go func() {
		for range terms {
			_ = syscall.Kill(-1, syscall.SIGTERM)
		}
	}()
	for {
		if _, err := syscall.Wait4(-1, nil, 0, nil); errors.Is(err, syscall.ECHILD) {
			return nil
		}
	}
}
