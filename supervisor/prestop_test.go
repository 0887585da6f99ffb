package supervisor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/budget"
)

// The stop signal waits for the command before it.
func TestPreStopCommand(t *testing.T) {
	dir := t.TempDir()
	begun, on := filepath.Join(dir, "begun"), filepath.Join(dir, "on")
	for _, fifo := range []string{begun, on} {
		if err := unix.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PRE_STOP", fmt.Sprintf("echo $PS $MAINPID >%s; read word <%s; exit $word", begun, on))
	r := launch(t, "procfile", "pre-stop ready-now", "web=$T worker up TERM:bye:0")
	r.want("up")
	pid := *r.rows(named("web.1"))[0].PID
	if err := r.client().Restart(context.Background(), "web"); err != nil {
		t.Fatal(err)
	}
	// While the first one waits it is stopping. The second fails, and memsup's own
	// end waits for it as well.
	for _, word := range []string{"0", "3"} {
		said, err := os.ReadFile(begun)
		if want := fmt.Sprintf("web.1 %d\n", pid); err != nil || string(said) != want {
			t.Errorf("the command said %q, %v; want %q", said, err, want)
		}
		if word == "0" {
			if st := r.status(); st.Workers[0].State != "stopping" || st.Workers[0].PID == nil {
				t.Errorf("%+v while it is held", st.Workers[0])
			}
		}
		if err := os.WriteFile(on, []byte(word+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		r.want("bye")
		if word == "0" {
			r.want("up")
			pid = *r.rows(named("web.1"))[0].PID
			r.signal(unix.SIGTERM)
		}
	}
	r.end(0)
	if !strings.Contains(r.stderr.String(), "what is to come before a stop signal failed") {
		t.Error("the log does not tell of the failure")
	}
}

// Some time before the stop signal, but a quarter of the drain is the worker's.
func TestPreStopWaits(t *testing.T) {
	for name, test := range map[string]struct{ wait, drain, want time.Duration }{
		"in full": {5 * time.Second, time.Minute, 5 * time.Second},
		"cut":     {50 * time.Second, time.Minute, 45 * time.Second},
	} {
		p := examine(t, 1, Type{PreStop: PreStop{Wait: test.wait}, Drain: test.drain})
		w := p.typ.slots[0]
		p.stop(w, remove, "the test says so")
		due := w.asked + test.want
		if got := p.nextHealth(never); got < due || got > due+time.Second {
			t.Errorf("%s: signalled at %v, want %v", name, got, due)
		}
		p.expireHealth(p.nextHealth(never) - 1)
		p.wantSent(t, name+", before")
		p.expireHealth(p.nextHealth(never))
		p.wantSent(t, name, "1 SIGTERM")
		p.expireHealth(time.Hour)
		p.wantSent(t, name+", once")
	}
}

// Memory that is wanted back waits for nothing, neither before a stop nor within.
func TestPreStopIsNotForMemory(t *testing.T) {
	p := examine(t, 2, Type{PreStop: PreStop{Wait: 5 * time.Second}})
	p.budget, p.memOK, p.pcfg.Reserve = &budget.Budget{}, true, 100<<20
	p.mem = budget.Memory{Limit: 1 << 30, Limited: true, Available: 900 << 20}
	one, two := p.typ.slots[0], p.typ.slots[1]
	p.stop(one, remove, "the test says so")
	p.checkWorkers(0)
	p.wantSent(t, "with memory to spare")
	p.mem.Available = 50 << 20
	p.stop(two, remove, "the test says so")
	p.wantSent(t, "with memory short", "2 SIGTERM")
	p.checkWorkers(0)
	p.checkWorkers(0)
	p.wantSent(t, "with memory short since", "1 SIGTERM")
}
