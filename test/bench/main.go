// Bench measures memsup beside the programs that do the same thing, in one run
// and in turns, and prints Markdown tables with the project's targets. What is
// missed is said and never an error: another machine, or a busy one, has other
// times.
//
//	go run ./test/bench [-quick] [-only SECTION] [-memsup PATH]
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"
)

// extent is how much is measured.
type extent struct {
	rounds, pairs, orphans, instances, count int
	settle, watch                            time.Duration
	shares                                   int // pairs of loads, each so long
	load                                     time.Duration
	lens, reads                              int
	while                                    time.Duration // of a run with a lens, at least
}

var (
	full  = extent{rounds: 400, pairs: 15, orphans: 20000, instances: 15, count: 15, settle: 30 * time.Second, watch: 20 * time.Second, shares: 19, load: 3 * time.Second, lens: 31, while: time.Second, reads: 1500}
	quick = extent{rounds: 15, pairs: 2, orphans: 500, instances: 1, count: 2, settle: time.Second, watch: time.Second, shares: 1, load: time.Second, lens: 1, reads: 100}
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	if len(os.Args) > 1 && verbs[os.Args[1]] != nil {
		if err := verbs[os.Args[1]](os.Args[2:]); err != nil {
			log.Fatal(err)
		}
		return
	}
	isQuick := flag.Bool("quick", false, "a few rounds, to see that everything runs; the numbers say nothing")
	path := flag.String("memsup", "", "the `binary` to measure (default: built now with the release's flags)")
	only := flag.String("only", "", "measure one `section`: processes, sharing, lens or library")
	flag.Parse()
	if *only != "" && !slices.ContainsFunc(sections, func(s section) bool { return s.name == *only }) {
		log.Fatalf("-only: there is no section %q; write processes, sharing, lens or library", *only)
	}
	e := full
	if *isQuick {
		e = quick
	}
	if err := bench(e, *path, *only); err != nil {
		log.Fatal(err)
	}
}

func bench(e extent, path, only string) error {
	runtime.LockOSThread() // the children's parent-death signal follows this thread
	// What nohup and shells ignore for the background is not passed on: an init
	// has more to do then. A signal that is caught here is not ignored below.
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	debug.SetGCPercent(-1)
	dir, err := os.MkdirTemp("", "memsup-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if path == "" {
		path = filepath.Join(dir, "memsup")
		if err := build(path, "cmd/memsup", "-s -w -E github.com/memsup/memsup/spawn.entry"); err != nil {
			return err
		}
	} else if path, err = filepath.Abs(path); err != nil {
		return err
	}
	if e == quick {
		fmt.Println("A quick run: what follows shows that it runs, and neither times nor targets.")
	}
	fmt.Printf("%d CPUs, %s. ", runtime.NumCPU(), time.Now().Format(time.DateOnly))
	fmt.Println("Medians, and in brackets the 10th and 90th percentiles. After a program's own figure: memsup's divided by it, the median of pairs measured in turns.")
	for _, s := range sections {
		if only != "" && s.name != only {
			continue
		}
		for _, measure := range s.tables {
			t, err := measure(e, path, dir)
			if err != nil {
				return err
			}
			if t != nil {
				fmt.Printf("\n%s", t)
			}
		}
	}
	return nil
}

// sections are what is measured, each in one run. A table is nil where what it needs is
// not here, which it says.
var sections = []section{
	{"processes", []measurement{inits}},
	{"sharing", []measurement{sharing}},
	{"lens", []measurement{lensCosts, lensReads}},
	{"library", []measurement{library}},
}

type section struct {
	name   string
	tables []measurement
}

type measurement func(e extent, memsup, dir string) (*table, error)

func inits(e extent, memsup, dir string) (*table, error) {
	bare := filepath.Join(dir, "bare")
	if err := build(bare, "test/bench/bare", "-s -w"); err != nil {
		return nil, err
	}
	peers := installed(memsup, bare)
	var names []string
	for _, p := range peers[1:] {
		names = append(names, p.name)
	}
	t := newTable(names...)
	if err := starts(t, peers, e, dir); err != nil {
		return nil, err
	}
	if err := asPID1("true").Run(); err != nil {
		fmt.Printf("Left out, because no PID namespace can be made here (%v): orphans and the sleeping worker.\n", err)
	} else {
		if err := reaping(t, peers, e); err != nil {
			return nil, err
		}
		if err := sleepers(t, peers, e, dir); err != nil {
			return nil, err
		}
	}
	return t, watching(t, peers, e, dir)
}

func library(e extent, memsup, _ string) (*table, error) {
	t := newTable("containerd/cgroups")
	if err := size(t, memsup); err != nil {
		return nil, err
	}
	return t, benchmarks(t, e)
}

// build makes a program of this module as a release is made.
func build(path, pkg, ldflags string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", ldflags, "-o", path, "github.com/memsup/memsup/"+pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// peer is a program that is measured, memsup among them.
type peer struct {
	name, program, apt string
	// alone are the arguments before a command; nil where it runs none.
	alone []string
	// supervise writes what is needed to dir and gives the arguments that keep
	// one sleeping worker; nil runs it as a command.
	supervise func(dir string) ([]string, error)
}

// command is p's command line around a command.
func (p *peer) command(argv ...string) []string {
	return append(append([]string{p.program}, p.alone...), argv...)
}

// installed lists memsup and the peers that are there, and says which are not.
func installed(memsup, bare string) []*peer {
	all := []*peer{
		{name: "memsup", program: memsup, alone: []string{"--"}, supervise: procfile},
		{name: "tini", program: "tini", apt: "tini", alone: []string{"-s", "--"}},
		{name: "dumb-init", program: "dumb-init", apt: "dumb-init", alone: []string{"--"}},
		{name: "bare Go", program: bare, alone: []string{}},
		{name: "catatonit", program: "catatonit", apt: "catatonit", alone: []string{"--"}},
		{name: "s6", program: "s6-svscan", apt: "s6", supervise: scanDirectory},
		{name: "supervisord", program: "supervisord", apt: "supervisor", supervise: supervisordConf},
	}
	here := all[:0]
	for _, p := range all {
		path, err := exec.LookPath(p.program)
		if err != nil {
			fmt.Printf("Left out, because it is not installed: %s (apt install %s).\n", p.name, p.apt)
			continue
		}
		p.program = path
		here = append(here, p)
	}
	return here
}

func procfile(dir string) ([]string, error) {
	path := filepath.Join(dir, "Procfile")
	err := os.WriteFile(path, []byte("worker: sleep 1000\n"), 0o644)
	return []string{"run", "-f", path, "--control", filepath.Join(dir, "control.sock")}, err
}

func scanDirectory(dir string) ([]string, error) {
	worker := filepath.Join(dir, "scan", "worker")
	if err := os.MkdirAll(worker, 0o755); err != nil {
		return nil, err
	}
	script := "#!/bin/sh\nexec sleep 1000\n"
	return []string{filepath.Dir(worker)}, os.WriteFile(filepath.Join(worker, "run"), []byte(script), 0o755)
}

func supervisordConf(dir string) ([]string, error) {
	path := filepath.Join(dir, "supervisord.conf")
	conf := "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=" + dir + "/pid\n" +
		"[program:worker]\ncommand=sleep 1000\n"
	return []string{"-c", path}, os.WriteFile(path, []byte(conf), 0o644)
}

// size is the binary's, stripped and static.
func size(t *table, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	r := t.row("binary, MB", atMost(14))
	r.add("memsup", float64(info.Size())/1e6)
	return nil
}

// benchmarks runs those that the packages have themselves.
func benchmarks(t *table, e extent) error {
	budget, err := goBench("budget", "^Benchmark(Read|ContainerdStat|ReadVersusContainerd)$", e.count)
	if err != nil {
		return err
	}
	policy, err := goBench("policy", "^BenchmarkDecide$", e.count)
	if err != nil {
		return err
	}
	const peer = "containerd/cgroups"
	speed := t.row("`budget.Read`, the same cgroup, µs", fractionOf(peer, 0.1))
	speed.scaled("memsup", budget["Read ns/op"], 1e-3)
	speed.scaled(peer, budget["ContainerdStat ns/op"], 1e-3)
	allocs := t.row("`budget.Read`, allocations", atMost(0))
	allocs.add("memsup", budget["Read allocs/op"]...)
	allocs.add(peer, budget["ContainerdStat allocs/op"]...)
	decide := t.row("`policy.Decide`, 1,000 workers, µs", atMost(100))
	decide.scaled("memsup", policy["Decide ns/op"], 1e-3)
	t.row("`policy.Decide`, allocations", atMost(0)).add("memsup", policy["Decide allocs/op"]...)
	return nil
}

// goBench gives the figures of a package's benchmarks by "Name unit". Each
// repetition runs all of them, so that they take turns.
func goBench(pkg, pattern string, count int) (map[string][]float64, error) {
	figures := map[string][]float64{}
	for range count {
		cmd := exec.Command("go", "test", "-run", "^$", "-bench", pattern, "-benchtime", "100ms", "github.com/memsup/memsup/"+pkg)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("benchmarks of %s: %w\n%s", pkg, err, out)
		}
		for line := range strings.Lines(string(out)) {
			name, rest, ok := strings.Cut(strings.TrimPrefix(line, "Benchmark"), "\t")
			if !ok || name == line {
				continue
			}
			name, _, _ = strings.Cut(strings.TrimSpace(name), "-")
			for metric := range strings.SplitSeq(rest, "\t") {
				var value float64
				var unit string
				if n, _ := fmt.Sscan(metric, &value, &unit); n == 2 {
					figures[name+" "+unit] = append(figures[name+" "+unit], value)
				}
			}
		}
	}
	if len(figures) == 0 {
		return nil, fmt.Errorf("benchmarks of %s: none matches %s", pkg, pattern)
	}
	return figures, nil
}
