package supervisor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// keptTitle tells the workers of the tests' master: Go cannot fork without
// executing something.
const keptTitle = "kept-worker"

// keepWorkers is a small prefork master: it keeps as many workers as its first
// argument says, one more for each SIGTTIN and one fewer for each SIGTTOU, of
// which it ends the oldest, and prints the number whenever that changes. Where
// the second argument is deaf it has no handler for these signals.
func keepWorkers(args []string) {
	signals, ends := make(chan os.Signal, 8), make(chan int)
	signal.Notify(signals, unix.SIGTERM)
	if len(args) < 2 {
		signal.Notify(signals, unix.SIGTTIN, unix.SIGTTOU)
	}
	target, _ := strconv.Atoi(args[0])
	var pids []int // the oldest first
	keep := func() {
		for len(pids) < target {
			cmd := exec.Command(os.Args[0], "worker", keptTitle, "TERM::0")
			if _, err := cmd.StdinPipe(); err != nil {
				panic(err)
			}
			if err := cmd.Start(); err != nil {
				panic(err)
			}
			pid := cmd.Process.Pid
			pids = append(pids, pid)
			go func() { _ = cmd.Wait(); ends <- pid }()
		}
		for _, pid := range pids[:len(pids)-target] {
			_ = unix.Kill(pid, unix.SIGTERM)
		}
	}
	fmt.Println(target)
	for {
		keep()
		select {
		case pid := <-ends:
			pids = slices.DeleteFunc(pids, func(p int) bool { return p == pid })
		case sig := <-signals:
			switch sig {
			case unix.SIGTTIN:
				target++
			case unix.SIGTTOU:
				target = max(1, target-1)
			case unix.SIGTERM:
				for target = 0; len(pids) > 0; {
					keep()
					pid := <-ends
					pids = slices.DeleteFunc(pids, func(p int) bool { return p == pid })
				}
				fmt.Println("bye")
				os.Exit(0)
			}
			fmt.Println(target)
		}
	}
}

// until asks for the status until it is as awaited: no event tells.
func (r *running) until(holds func(*Status) bool) *Status {
	r.t.Helper()
	c := r.client()
	for again := time.NewTicker(20 * time.Millisecond); ; <-again.C {
		st, err := c.Status(context.Background())
		if err != nil {
			r.t.Fatal(err)
		}
		if holds(st) {
			return st
		}
	}
}

// rows are the workers as status shows them, when they are as awaited.
func (r *running) rows(holds func([]Worker) bool) []Worker {
	r.t.Helper()
	return r.until(func(st *Status) bool { return holds(st.Workers) }).Workers
}

func named(names ...string) func([]Worker) bool {
	return func(rows []Worker) bool {
		return slices.EqualFunc(rows, names, func(w Worker, name string) bool { return w.Name == name && w.PID != nil && w.State == "ready" })
	}
}

// A master is asked for one worker after the other until it keeps as many as are
// wanted, its workers are memsup's rows, and what it replaces by itself is not
// asked for again.
func TestMasterIsSteered(t *testing.T) {
	t.Parallel()
	r := launch(t, "procfile", "signal two ready-now", "web=$T master 1")
	r.want("1", "2")
	rows := r.rows(named("web.0", "web.1", "web.2"))
	ctx, c := context.Background(), r.client()
	if err := c.Scale(ctx, map[string]string{"web": "4"}); err != nil {
		t.Fatal(err)
	}
	r.want("3", "4")
	r.rows(named("web.0", "web.1", "web.2", "web.3", "web.4"))

	// The second dies, and its successor takes its place.
	if err := unix.Kill(*rows[2].PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.rows(func(now []Worker) bool {
		return named("web.0", "web.1", "web.2", "web.3", "web.4")(now) && *now[2].PID != *rows[2].PID && now[2].Restarts == 1
	})
	// One is restarted by name: it alone.
	if err := c.Restart(ctx, "web.1"); err != nil {
		t.Fatal(err)
	}
	r.rows(func(now []Worker) bool {
		return named("web.0", "web.1", "web.2", "web.3", "web.4")(now) && *now[1].PID != *rows[1].PID && *now[0].PID == *rows[0].PID
	})
	// The master ends its oldest ones: the first two have been replaced.
	if err := c.Scale(ctx, map[string]string{"web": "2"}); err != nil {
		t.Fatal(err)
	}
	r.want("3", "2")
	r.rows(named("web.0", "web.1", "web.2"))
	if st := r.status().Types[0]; st.Running != 2 || st.Ready != 2 || st.Wanted != 2 {
		t.Errorf("%+v, want two workers", st)
	}
	if err := c.Stop(ctx, "web"); err != nil {
		t.Fatal(err)
	}
	r.want("bye")
	r.rows(func(rows []Worker) bool { return len(rows) == 0 })
	if err := c.Start(ctx, "web"); err != nil {
		t.Fatal(err)
	}
	r.want("1", "2")
	// A master takes its workers along, and the next one is asked for as many.
	rows = r.rows(named("web.0", "web.1", "web.2"))
	if err := unix.Kill(*rows[0].PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.want("1", "2")
	now := r.rows(named("web.0", "web.1", "web.2"))
	for i := range rows {
		if *now[i].PID == *rows[i].PID {
			t.Errorf("%s is still process %d", now[i].Name, *now[i].PID)
		}
	}
	r.signal(unix.SIGTERM)
	r.want("bye")
	r.end(0)
}

// A signal that the master does not handle would stop it: it is not sent.
func TestDeafMasterIsLeftAlone(t *testing.T) {
	t.Parallel()
	r := launch(t, "procfile", "signal two ready-now", "web=$T master 1 deaf")
	r.want("1")
	wantBlocked(r, "web.0 does not handle SIGTTIN; asked again in ")
	r.signal(unix.SIGTERM)
	r.want("bye")
	r.end(0)
}

// Commands are run in place of signals, and how they fail is told.
func TestMasterIsSteeredByCommands(t *testing.T) {
	t.Parallel()
	r := launch(t, "procfile", "commands two ready-now", "web=echo $PS $PORT; exec $T master 1")
	r.want("web.1 5000", "1", "2")
	r.rows(named("web.0", "web.1", "web.2"))
	if err := r.client().Scale(context.Background(), map[string]string{"web": "1"}); err != nil {
		t.Fatal(err)
	}
	wantBlocked(r, "`echo no >&2; exit 3`: it exited with status 3: no; asked again in ")
	r.signal(unix.SIGTERM)
	r.want("bye")
	r.end(0)
}

func wantBlocked(r *running, reason string) {
	r.t.Helper()
	r.until(func(st *Status) bool {
		why := st.Types[0].BlockedReason
		return why != nil && strings.HasPrefix(*why, reason)
	})
}

// In observe mode a master keeps what it has, until a user asks for something.
func TestObservedMasterKeepsItsNumber(t *testing.T) {
	t.Parallel()
	r := launch(t, "procfile", "signal two ready-now observe", "web=$T master 1")
	r.want("1")
	r.rows(named("web.0", "web.1"))
	if err := r.client().Scale(context.Background(), map[string]string{"web": "3"}); err != nil {
		t.Fatal(err)
	}
	r.want("2", "3") // what a user asks for is no matter of memory
	r.signal(unix.SIGTERM)
	r.want("bye")
	r.end(0)
}
