// Command policytable runs memsup's policy and its peers' documented rules in the
// simulator, over the measured profiles of sim/profiles, and prints one table for
// each scenario and how they come out.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/memsup/memsup/sim"
)

func main() {
	dir := flag.String("profiles", "sim/profiles", "directory of the measured profiles")
	only := flag.String("run", "", "the scenarios whose name holds this")
	trace := flag.Bool("trace", false, "print what memsup decides, and nothing else")
	flag.Parse()
	profiles, err := load(*dir)
	if err != nil {
		fmt.Fprintf(os.Stderr, "policytable: cannot read the profiles: %v\n", err)
		os.Exit(1)
	}
	var chosen []*plan
	for _, s := range scenarios(profiles) {
		if strings.Contains(s.Name, *only) {
			chosen = append(chosen, s)
		}
	}
	if *trace {
		for _, s := range chosen {
			printTrace(s)
		}
		return
	}
	fmt.Print(head)
	begin := time.Now()
	tables := compare(chosen, peersFor)
	for i := range tables {
		tables[i].print(os.Stdout)
	}
	summary(os.Stdout, tables)
	verdicts(os.Stdout, tables)
	fmt.Printf("%d scenarios in %.0f s\n", len(tables), time.Since(begin).Seconds())
}

// head says how to read the tables.
const head = `Each program is shown in the best of the configurations that were tried for it: fewest
kills by the kernel, then the rules kept, then most work. The rules are the same for
all, the oracle too: the reserve of 10% is free in 99% of the time, and in steady load
there are at most 6 starts and stops an hour, where load or limit move 40, of which 6
take another worker's place. A worker that leaks may be replaced when it has served for
five minutes; one that does not may not be replaced merely because young workers are
smaller. What a program would do without the rules has a row of its own where that is
more.

Work is the time that served requests take, as a part of the oracle's. It is counted
after the first minutes, as all is but the kills and the time to settle: until nine
tenths of the workers of the second half serve. Not serving is the part of its workers'
time in which they start or stop.

`

func load(dir string) ([]*sim.Profile, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds none", dir)
	}
	var all []*sim.Profile
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		p, err := sim.ParseProfile(file, f)
		f.Close()
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// compare makes the scenarios' tables, as many at once as there are CPUs.
func compare(all []*plan, peersOf func(*plan) []peer) []table {
	tables := make([]table, len(all))
	var wait sync.WaitGroup
	turns := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := range turns {
				tables[i] = newTable(all[i], peersOf(all[i]))
			}
		})
	}
	for i := range all {
		turns <- i
	}
	close(turns)
	wait.Wait()
	return tables
}

func printTrace(s *plan) {
	m := memsup(s)
	r := sim.Run(&s.Scenario, m, 10*time.Second)
	fmt.Printf("%s, %d MiB, %d fit\n", s.Name, s.Limit/mib, s.fit)
	next := 0
	for _, d := range r.Decisions {
		for ; next < len(r.Timeline) && r.Timeline[next].At <= d.At; next++ {
			if next%6 == 0 {
				i := &r.Timeline[next]
				fmt.Printf("%9s  available %4d MiB, workers %v, %.0f queued\n", i.At.Round(time.Second), i.Available/mib, i.Types, i.Queued)
			}
		}
		fmt.Printf("%9s  %s %s: %s\n", d.At.Round(time.Millisecond), d.Action, d.Worker, d.Reason)
	}
	for kind, why := range m.Blocked() {
		fmt.Printf("%9s  %s does not grow: %s\n", s.Span, s.Types[kind].Name, why)
	}
}
