package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/memsup/memsup/examples/ballast"
)

// worker is what all workers have in common: they say when they have started
// and when they have stopped, and finish their work in a time that they need.
type worker struct {
	flags *flag.FlagSet
	hold  ballast.Size
	stop  time.Duration

	memory ballast.Ballast
}

func newWorker(verb string) *worker {
	w := &worker{flags: flag.NewFlagSet(verb, flag.ExitOnError)}
	w.flags.TextVar(&w.hold, "hold", ballast.Size(0), "memory to take at the start")
	w.flags.DurationVar(&w.stop, "stop", 100*time.Millisecond, "time that it needs to stop")
	return w
}

// work runs until the worker is asked to stop, and for as long as stopping
// takes, then says so.
func (w *worker) work(args []string, do func(ctx context.Context) error) error {
	_ = w.flags.Parse(args)
	if err := w.memory.Hold(int64(w.hold)); err != nil {
		return err
	}
	asked, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx, end := context.WithCancel(context.Background())
	context.AfterFunc(asked, func() { time.AfterFunc(w.stop, end) })
	fmt.Printf("%s: started\n", self())
	if err := do(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	fmt.Printf("%s: stopped, holding %s\n", self(), w.memory.Bytes())
	return nil
}

// steady holds what it has: an innocent worker.
func steady(args []string) error {
	return newWorker("steady").work(args, func(context.Context) error { return nil })
}

// leak takes anonymous memory in hundredths of a second, also while it stops.
func leak(args []string) error {
	w := newWorker("leak")
	var rate ballast.Rate
	w.flags.TextVar(&rate, "rate", ballast.Rate(5<<20), "memory to take each second")
	return w.work(args, func(ctx context.Context) error {
		const parts = 100
		begun, taken := time.Now(), int64(0)
		tick := time.NewTicker(time.Second / parts)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				due := int64(time.Since(begun).Seconds()*float64(rate)) - taken
				due = min(due, 2*int64(rate)/parts) // a machine that is behind does not catch up in leaps
				if err := w.memory.Hold(due); err != nil {
					return err
				}
				taken += due
			}
		}
	})
}

// read fills the page cache: it reads a file of -size bytes, which need not
// exist, -times times.
func read(args []string) error {
	w, size, times := fileWorker("read")
	return w.work(args, func(ctx context.Context) error {
		f, err := os.CreateTemp("/disk", "read")
		if err != nil {
			return err
		}
		defer f.Close()
		if err := f.Truncate(int64(*size)); err != nil {
			return err
		}
		for n := 0; n < *times && ctx.Err() == nil; n++ {
			if _, err := io.Copy(io.Discard, io.NewSectionReader(f, 0, int64(*size))); err != nil {
				return err
			}
			fmt.Printf("%s: done with file %d\n", self(), n+1)
		}
		return nil
	})
}

// write dirties the page cache: it writes a file of -size bytes -times times.
func write(args []string) error {
	w, size, times := fileWorker("write")
	return w.work(args, func(ctx context.Context) error {
		f, err := os.CreateTemp("/disk", "write")
		if err != nil {
			return err
		}
		defer f.Close()
		block := make([]byte, 1<<20)
		for n := 0; n < *times && ctx.Err() == nil; n++ {
			for at := int64(0); at < int64(*size); at += int64(len(block)) {
				if _, err := f.WriteAt(block, at); err != nil {
					return err
				}
			}
			fmt.Printf("%s: done with file %d\n", self(), n+1)
		}
		return nil
	})
}

func fileWorker(verb string) (w *worker, size *ballast.Size, times *int) {
	w, size = newWorker(verb), new(ballast.Size)
	w.flags.TextVar(size, "size", ballast.Size(64<<20), "size of the file")
	return w, size, w.flags.Int("times", 1, "how many times")
}

// orphans leaves so many processes behind and prints how many of them nobody
// reaped.
func orphans(args []string) error {
	flags := flag.NewFlagSet("orphans", flag.ExitOnError)
	n := flags.Int("n", 20, "how many")
	_ = flags.Parse(args)
	for range *n {
		p, err := os.StartProcess("/bin/sh", []string{"sh", "-c", "true & exit 0"}, &os.ProcAttr{})
		if err != nil {
			return err
		}
		if _, err := p.Wait(); err != nil {
			return err
		}
	}
	dead := -1
	for range 100 { // nothing announces that another process reaped
		if dead = zombies(); dead == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	printResult("reaping", map[string]any{"orphans": *n, "zombies": dead})
	return nil
}

// zombies counts the dead processes that wait for somebody, from
// /proc/PID/stat.
func zombies() int {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	n := 0
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // has ended meanwhile
		}
		if _, after, _ := strings.Cut(string(b), ") "); strings.HasPrefix(after, "Z") {
			n++
		}
	}
	return n
}
