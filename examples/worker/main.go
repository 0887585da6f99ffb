// Worker is a small queue worker that takes memory as told, to see memsup at
// work. It makes its own jobs, does one after the other, says every few seconds
// how many it has done, and finishes the one in hand when it is asked to stop.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/memsup/memsup/examples/ballast"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix(cmp.Or(os.Getenv("PS"), "worker") + ": ")
	var (
		hold   ballast.Size
		leak   ballast.Rate
		job    = flag.Duration("job", 200*time.Millisecond, "time that one job takes")
		report = flag.Duration("report", 5*time.Second, "time between two reports")
	)
	flag.TextVar(&hold, "hold", ballast.Size(0), "memory to hold from the start, such as 40MiB (or $HOLD)")
	flag.TextVar(&leak, "leak", ballast.Rate(0), "memory to take each second, such as 10MiB/s (or $LEAK)")
	for env, name := range map[string]string{"HOLD": "hold", "LEAK": "leak"} {
		if v := os.Getenv(env); v != "" {
			if err := flag.Set(name, v); err != nil {
				log.Fatalf("%s: %v", env, err)
			}
		}
	}
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	var memory ballast.Ballast
	if err := memory.Hold(int64(hold)); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%sstarted, pid %d, holding %s\n", log.Prefix(), os.Getpid(), memory.Bytes())
	if leak > 0 {
		go func() {
			if err := memory.Leak(ctx, leak); err != nil {
				log.Print(err)
			}
		}()
	}
	done := work(ctx, &memory, *job, *report)
	fmt.Printf("%sdrained after %d jobs\n", log.Prefix(), done)
}

// work does jobs until ctx is done and then the one in hand; it returns how
// many it did.
func work(ctx context.Context, memory *ballast.Ballast, job, report time.Duration) int {
	reports := time.NewTicker(report)
	defer reports.Stop()
	for done := 1; ; done++ {
		<-time.After(job)
		select {
		case <-ctx.Done():
			return done
		case <-reports.C:
			fmt.Printf("%s%d jobs done, holding %s\n", log.Prefix(), done, memory.Bytes())
		default:
		}
	}
}
