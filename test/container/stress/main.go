// Stress is the worker that the container tests need and no user would write:
// it catches signals, ignores them, leaves orphans by the thousand, takes memory
// until the kernel refuses, and reports on the container from the inside.
//
//	stress signals [-ignore-term] [-stop 2s] [-exit CODE]
//	stress orphans [-n 20000] [-exit CODE]
//	stress environment
//	stress take
//	stress processes
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("stress: ")
	verbs := map[string]func([]string) (int, error){
		"signals":     signals,
		"orphans":     orphans,
		"environment": environment,
		"take":        take,
		"taker":       taker,
		"processes":   processes,
	}
	if len(os.Args) < 2 || verbs[os.Args[1]] == nil {
		log.Fatalf("usage: stress signals|orphans|environment|take|processes")
	}
	code, err := verbs[os.Args[1]](os.Args[2:])
	if err != nil {
		log.Fatal(err)
	}
	os.Exit(code)
}

// say prints one line under this worker's name, so that a test can wait for it.
func say(format string, args ...any) {
	fmt.Printf(cmp.Or(os.Getenv("PS"), "stress")+": "+format+"\n", args...)
}

// signals names each signal that it gets and ends by TERM, which it may take
// its time for or ignore.
func signals(args []string) (int, error) {
	f := flag.NewFlagSet("signals", flag.ExitOnError)
	ignore := f.Bool("ignore-term", false, "live on after TERM")
	stop := f.Duration("stop", 0, "time to take for stopping")
	code := f.Int("exit", 0, "exit status after TERM")
	f.Parse(args)
	names := map[os.Signal]string{
		syscall.SIGTERM: "SIGTERM", syscall.SIGINT: "SIGINT", syscall.SIGHUP: "SIGHUP",
		syscall.SIGUSR1: "SIGUSR1", syscall.SIGUSR2: "SIGUSR2",
	}
	got := make(chan os.Signal, 16)
	for s := range names {
		signal.Notify(got, s)
	}
	say("ready")
	for s := range got {
		say("caught %s", names[s])
		if s == syscall.SIGTERM && !*ignore {
			break
		}
	}
	<-time.After(*stop)
	say("stopped")
	return *code, nil
}

// orphans starts n processes whose parent ends at once, with every exit status
// from 0 to 255, and returns when neither they nor their remains are left.
func orphans(args []string) (int, error) {
	f := flag.NewFlagSet("orphans", flag.ExitOnError)
	n := f.Int("n", 20000, "how many")
	code := f.Int("exit", 0, "exit status")
	f.Parse(args)
	const script = `i=0; while [ $i -lt $1 ]; do
		sh -c 'j=$1; while [ $j -lt $2 ]; do exit $j & j=$((j + 1)); done' sh $i $((i + 100 < $1 ? i + 100 : $1))
		i=$((i + 100)); done`
	sh := exec.Command("sh", "-c", script, "sh", strconv.Itoa(*n))
	sh.Stderr = os.Stderr
	if err := sh.Run(); err != nil {
		return 0, err
	}
	say("%d orphans", *n)
	for deadline := time.Now().Add(2 * time.Minute); ; <-time.After(10 * time.Millisecond) {
		left := 0
		all, err := list()
		if err != nil {
			return 0, err
		}
		for _, p := range all {
			if p.name == "sh" {
				left++
			}
		}
		if left == 0 || time.Now().After(deadline) {
			say("%d left", left)
			return *code, nil
		}
	}
}

// processes prints one line for each process of the container but itself.
func processes([]string) (int, error) {
	all, err := list()
	for _, p := range all {
		if p.pid != os.Getpid() {
			fmt.Printf("%d %d %s %s\n", p.pid, p.parent, p.state, p.name)
		}
	}
	return 0, err
}

// take answers how much a process can really have: a child takes pages until
// the kernel kills it, and this parent, which the kernel spares, prints how far
// it came beside MEM_AVAILABLE.
func take([]string) (int, error) {
	child := exec.Command("/proc/self/exe", "taker")
	progress, err := child.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := child.Start(); err != nil {
		return 0, err
	}
	var steps int64
	for b := make([]byte, 4096); err == nil; {
		var n int
		n, err = progress.Read(b)
		steps += int64(n)
	}
	var killed *exec.ExitError
	if err := child.Wait(); !errors.As(err, &killed) || killed.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		return 0, fmt.Errorf("the taker was not killed: %v", err)
	}
	say("took %d MEM_AVAILABLE %s", steps*step, os.Getenv("MEM_AVAILABLE"))
	return 0, nil
}

const step = 64 << 10

// taker offers itself to the kernel's OOM killer and writes one byte for each
// step that it could take.
func taker([]string) (int, error) {
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0); err != nil {
		return 0, err
	}
	m, err := syscall.Mmap(-1, 0, 64<<30, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE)
	if err != nil {
		return 0, err
	}
	for at := 0; at < len(m); at += step {
		for i := at; i < at+step; i += os.Getpagesize() {
			m[i] = 1
		}
		if _, err := os.Stdout.Write([]byte{0}); err != nil {
			return 0, err
		}
	}
	return 0, nil
}
