// Headline runs one application, whose requests leak a little, under one load in
// a container of 512 MiB, and has one program after the other keep its workers. It
// prints what each of them came to and whether memsup holds what it claims: no
// kill by the kernel, no failed request, at least 0.95 of the requests a second of
// the best that had neither, and a 99th percentile of at most 1.1 of that one's.
//
//	go run ./test/headline [-minutes 10] [-only NAME] [-keep DIR] [-readme FILE] [-chart FILE]
//
// It needs Linux, Docker, mmdebstrap and root, and runs in the module's root. What
// is missed is said and never an error: another machine, or a busy one, has other
// figures. A run that did not come to an end is an error, and the others are kept.
//
// The application is test/workload/apps/leaky.py: a shop that waits for a
// database most of a request's time, and keeps 64 KiB for ever in 2% of them. The
// load is Debian's wrk, in a container of its own, in the network of the one that
// is measured: it has no proxy between and none of its memory. Its connections are
// more than the workers that fit, so that one worker more serves more requests.
// Each answer ends its connection, which gunicorn's sync workers do by themselves
// and uWSGI is told to say: wrk takes an end that was not announced for an error,
// and one that it uses again just then would be lost.
//
// How the numbers of the others were chosen, as somebody careful would who reads
// the memory of a warm worker and keeps a tenth of the limit free, as memsup does
// (contestants.go and the directory image have them):
//
//   - A worker that has served 2,000 requests has 41 MiB of its own and comes to
//     52 MiB for moments (sim/profiles/gunicorn-leak.txt); the master has 14, and the
//     tenth is 51. (512 - 51 - 14) / 52 are 8 workers.
//   - A request leaks 1.3 KiB at the mean, so that 5,000 take 6 MiB: max-requests is
//     5,000, with a tenth of it as jitter, and the start of a worker is 2% of its life.
//   - uWSGI's rss counts what workers share in each of them: the soft limit is 80% of
//     the limit, the hard one 90%, and a worker that is larger than 64 MiB is replaced.
//     It has up to 10 workers, because what it preloads is shared.
//   - supervisord takes 20 MiB itself, and still lets 8 fit.
//
// memsup is told a range of 4 to 12 workers and when one is ready, as under load this
// application's memory does not settle: uWSGI says so itself, and one of gunicorn's is
// after 5 s. It is told nothing of memory.
// Where memsup keeps the workers each is one process that serves: uWSGI without a
// master. A gunicorn each would have a master each, which takes a third more and
// serves nobody, so that 6 fit.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/memsup/memsup/test/debian"
)

// options are the flags.
type options struct {
	minutes       float64
	only          string
	keep          string
	readme, chart string
}

const (
	limit       = 512 << 20 // bytes
	connections = 16
)

func main() {
	log.SetFlags(log.Ltime)
	log.SetPrefix("headline: ")
	var o options
	flag.Float64Var(&o.minutes, "minutes", 10, "how long each of them is loaded")
	flag.StringVar(&o.only, "only", "", "run the one of this `name`; the others' rows are those kept before")
	flag.StringVar(&o.keep, "keep", "", "the `directory` for results and logs (default: a new one in the directory for temporary files)")
	flag.StringVar(&o.readme, "readme", "", "write the table into this `file`, between its marks, once nobody is missing")
	flag.StringVar(&o.chart, "chart", "", "write an SVG chart to this `file`, once nobody is missing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		stop()
		log.Fatal(err)
	}
}

func run(ctx context.Context, o options) error {
	todo := contestants
	if o.only != "" {
		c, ok := named(o.only)
		if !ok {
			return fmt.Errorf("there is no %s: NAME is one of %s", o.only, strings.Join(names(), ", "))
		}
		todo = []contestant{c}
	}
	if o.minutes <= 0 {
		return fmt.Errorf("-minutes %v is no time", o.minutes)
	}
	if err := directory(&o.keep); err != nil {
		return err
	}
	log.Printf("results and logs are kept in %s", o.keep)
	if err := image(ctx); err != nil {
		return fmt.Errorf("cannot make the image: %w", err)
	}
	length := time.Duration(o.minutes * float64(time.Minute))
	var problems []error
	for _, c := range todo {
		log.Printf("%s: %s under load", c.name, length)
		err := forget(c, o.keep)
		var r *result
		if err == nil {
			r, err = measure(ctx, c, length, o.keep)
		}
		if err == nil {
			log.Printf("%s: %s", c.name, r)
			err = r.save(o.keep)
		}
		if err != nil {
			err = fmt.Errorf("cannot measure %s: %w", c.name, err)
			log.Print(err)
			problems = append(problems, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	results, missing, err := load(o.keep, length)
	if err != nil {
		return errors.Join(append(problems, err)...)
	}
	text := table(results)
	fmt.Printf("\n%s", text)
	if len(missing) > 0 {
		fmt.Printf("\nNot measured: %s.\n", strings.Join(missing, ", "))
		return errors.Join(problems...)
	}
	if o.chart != "" {
		problems = append(problems, os.WriteFile(o.chart, chart(results), 0o644))
	}
	if o.readme != "" {
		problems = append(problems, between(o.readme, text, o.chart))
	}
	return errors.Join(problems...)
}

// directory makes the directory for results.
func directory(path *string) (err error) {
	if *path == "" {
		*path, err = os.MkdirTemp("", "memsup-headline-")
		return err
	}
	return os.MkdirAll(*path, 0o755)
}

const tag = "memsup-test/headline"

// image makes the image with the application, everything that keeps its workers,
// and wrk.
func image(ctx context.Context) error {
	scratch, err := os.MkdirTemp("", "memsup-headline-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	log.Print("making the image")
	if err := debian.Base(scratch); err != nil {
		return err
	}
	context := filepath.Join(scratch, "context")
	if err := os.CopyFS(context, os.DirFS("test/headline/image")); err != nil {
		return fmt.Errorf("%w (the program runs in the module's root)", err)
	}
	for _, file := range []string{"leaky.py", "shop.py", "web.py"} {
		text, err := os.ReadFile(filepath.Join("test/workload/apps", file))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(context, file), text, 0o644); err != nil {
			return err
		}
	}
	const ldflags = "-s -w -E github.com/memsup/memsup/spawn.entry"
	if _, err := output(ctx, "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-ldflags", ldflags, "-o", filepath.Join(context, "memsup"), "./cmd/memsup"); err != nil {
		return err
	}
	args := append([]string{"build", "--quiet", "--tag", tag}, debian.BuildArgs()...)
	_, err = output(ctx, "docker", append(args, context)...)
	return err
}
