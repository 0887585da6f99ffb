package supervisor

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/procfile"
	"github.com/memsup/memsup/spawn"
)

var healthOptions = map[string]func(c *Config){
	"notify": func(c *Config) {
		c.each(func(t *Type) { t.ReadyWhen, t.ReadyTimeout = Check{By: ByNotify}, time.Minute })
	},
	"watchdog": func(c *Config) { c.each(func(t *Type) { t.Alive = Check{By: ByNotify, Within: time.Minute} }) },
	"short-watchdog": func(c *Config) {
		c.each(func(t *Type) { t.Alive = Check{By: ByNotify, Within: 100 * time.Millisecond} })
	},
	"no-notify-path": func(c *Config) { _ = os.Mkdir(c.Control+".notify", 0o700) },
	"port":           func(c *Config) { c.Types[0].Port, _ = strconv.Atoi(os.Getenv("FREE_PORT")) },
	"ready-http":     func(c *Config) { c.readyWhen(Check{By: ByHTTP, Path: "/healthz"}) },
	"ready-tcp":      func(c *Config) { c.readyWhen(Check{By: ByTCP}) },
	"ready-command":  func(c *Config) { c.readyWhen(Check{By: ByCommand, Command: os.Getenv("READY_COMMAND")}) },
	"pre-stop": func(c *Config) {
		c.Reserve, c.ReservePercent = 1<<20, 0 // memory is not short
		c.each(func(t *Type) { t.PreStop.Command = os.Getenv("PRE_STOP") })
	},
	// The next release is not ready in time.
	"late-release": func(c *Config) {
		c.Reload = func() (*Config, error) {
			next := *c
			next.Types = slices.Clone(c.Types)
			y := &next.Types[0]
			y.Command, y.ReadyWhen, y.ReadyTimeout = "sleep 1000", Check{By: ByNotify}, 100*time.Millisecond
			return &next, nil
		}
	},
	"short-ready": func(c *Config) { c.each(func(t *Type) { t.ReadyTimeout = 50 * time.Millisecond }) },
}

func (c *Config) readyWhen(check Check) {
	c.each(func(t *Type) { t.ReadyWhen, t.ReadyTimeout = check, time.Minute })
}

// serveHTTP is a worker that says up and, at the first SIGUSR1, listens on PORT.
// It answers with the first of its arguments for a status, and with the next one
// after each further SIGUSR1; it prints what was asked for the first time with each.
func serveHTTP(codes []string) {
	next, end := make(chan os.Signal, 8), make(chan os.Signal, 1)
	signal.Notify(next, unix.SIGUSR1)
	signal.Notify(end, unix.SIGTERM)
	fmt.Println("up")
	<-next
	requests := make(chan chan int)
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	go func() {
		_ = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			reply := make(chan int)
			requests <- reply
			w.WriteHeader(<-reply)
			fmt.Fprintln(w, r.URL)
		}))
	}()
	asked := false
	for {
		select {
		case reply := <-requests:
			code, _ := strconv.Atoi(codes[0])
			if !asked {
				asked = true
				fmt.Println("answers", code)
			}
			reply <- code
		case <-next:
			codes, asked = codes[1:], false
		case <-end:
			fmt.Println("bye")
			os.Exit(0)
		}
	}
}

// freePort gives the first worker a port that nobody listens on.
func freePort(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("FREE_PORT", strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}

func TestReadyByHTTP(t *testing.T) {
	freePort(t)
	r := launch(t, "procfile", "ready-http port", "web=$T server 503 204")
	r.want("up")
	r.signal(unix.SIGUSR1)
	r.want("answers 503")
	if st := r.status(); st.Workers[0].State != "starting" || st.Types[0].Ready != 0 || st.Types[0].Running != 1 {
		t.Errorf("%+v with 503", st)
	}
	r.signal(unix.SIGUSR1)
	r.want("answers 204")
	r.rows(named("web.1"))
}

func TestReadyByTCP(t *testing.T) {
	freePort(t)
	r := launch(t, "procfile", "ready-tcp port", "web=$T server 200")
	r.want("up")
	r.until(func(st *Status) bool { return st.Workers[0].UptimeMS > 1 && st.Workers[0].State == "starting" })
	r.signal(unix.SIGUSR1)
	r.rows(named("web.1"))
}

// A command knows the worker's pid and its environment, but not what is for the
// worker alone.
func TestReadyByCommand(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("READY_COMMAND", fmt.Sprintf(
		`[ "$PS $PORT ${LISTEN_FDS-none} ${NOTIFY_SOCKET-none} ${WATCHDOG_USEC-none}" = "web.1 5000 none none none" ] && [ $(cat %[1]s/pid) = $MAINPID ] && [ -e %[1]s/well ]`, dir))
	r := launch(t, "procfile", "ready-command watchdog", fmt.Sprintf("web=echo $$ >%s/pid; exec $T worker up TERM:bye:0", dir))
	r.want("up")
	if st := r.status(); st.Workers[0].State != "starting" {
		t.Errorf("it is %s before the command says so", st.Workers[0].State)
	}
	if err := os.WriteFile(filepath.Join(dir, "well"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.rows(named("web.1"))
	r.signal(unix.SIGTERM)
	r.want("bye")
	r.end(0)
}

// A worker that is not ready in time is an early end: the second one is the last.
func TestNotReadyInTime(t *testing.T) {
	r := launch(t, "procfile", "notify short-ready", "web=sleep 1000")
	r.end(1)
	for _, words := range []string{"web.1 not ready in 50ms", "gave up: web.1 ended 2 times in a row before it was ready"} {
		if !strings.Contains(r.stderr.String(), words) {
			t.Errorf("the log does not say %q", words)
		}
	}
}

// A release whose first worker is not ready in time is gone back from.
func TestRollBackOfALateWorker(t *testing.T) {
	for _, order := range []string{"start-first", ""} {
		r := launch(t, "procfile", order+" ready-now two late-release", "web=$T worker up TERM:bye:0")
		r.want("up", "up")
		r.signal(unix.SIGHUP)
		if order == "" {
			r.want("bye", "up") // stopped first, and back again
		}
		r.awaitDecision("rollback")
		r.rows(named("web.1", "web.2"))
		r.signal(unix.SIGTERM)
		r.wantAnyOrder("bye", "bye")
		r.end(0)
		r.inOrder("rolled back: web.", "not ready in 100ms; what starts is what ran before; kept: web.")
	}
}

// patient is a supervisor with n ready workers of a type, on a clock of the
// test's. No process is there; the signals are noted.
type patient struct {
	*supervisor
	typ    *processType
	said   *said
	starts int
	sent   []string
}

// noPID is a process id that no process has.
const noPID = 1 << 30

func examine(t *testing.T, n int, c Type) *patient {
	t.Helper()
	p := &patient{supervisor: &supervisor{c: &Config{Drain: time.Minute, LeaveOnGiveUp: true}, byPID: map[int]*worker{}, begin: time.Now()}}
	p.said = listenTo(p.supervisor)
	p.sys.kill = func(pid int, sig unix.Signal) error {
		if sig != unix.SIGCONT {
			p.sent = append(p.sent, fmt.Sprint(pid-noPID, " ", unix.SignalName(sig)))
		}
		return nil
	}
	c.Name, c.StopSignal, c.StartLimit, c.StartPeriod = "web", unix.SIGTERM, 2, time.Hour
	c.Range = procfile.Range{Min: n, Max: n}
	p.typ = &processType{Type: c, demand: &demand{}}
	p.types = []*processType{p.typ}
	for range n {
		w := p.typ.add()
		p.start(w)
		p.becomeReady(w, "the test says so")
	}
	return p
}

// start gives a slot its process.
func (p *patient) start(w *worker) {
	p.starts++
	w.begin(noPID+w.index, time.Duration(p.starts))
	p.byPID[w.pid] = w
}

// end is the end of a worker's process.
func (p *patient) end(w *worker, status unix.WaitStatus) {
	pid := w.pid
	delete(p.byPID, pid)
	w.pid = 0
	p.workerEnded(w, pid, status)
}

func (p *patient) wantSent(t *testing.T, what string, want ...string) {
	t.Helper()
	if got := strings.Join(p.sent, ", "); got != strings.Join(want, ", ") {
		t.Errorf("%s: sent %q, want %q", what, got, want)
	}
	p.sent = nil
}

func TestReadyTimeout(t *testing.T) {
	p := examine(t, 1, Type{ReadyWhen: Check{By: ByHTTP, Path: "/"}, ReadyTimeout: 30 * time.Second})
	w := p.typ.slots[0]
	for try := 1; try <= 2; try++ {
		p.start(w)
		w.health.asking = true
		p.checked(w, p.typ.ReadyWhen, errors.New("refused"))
		p.expireHealth(w.since + 30*time.Second - 1)
		p.wantSent(t, "before its time")
		if next := p.nextHealth(never); next > w.since+30*time.Second {
			t.Errorf("looks again at %v", next)
		}
		p.expireHealth(w.since + 30*time.Second)
		p.wantSent(t, "in time", "1 SIGTERM")
		if log := p.said.String(); !strings.Contains(log, "web.1 not ready in 30s") || !strings.Contains(log, "refused") {
			t.Errorf("the log says %q", log)
		}
		p.end(w, unix.WaitStatus(unix.SIGTERM))
		if e := p.exits[len(p.exits)-1]; e.Asked || e.Ready {
			t.Errorf("the policy is told %+v", e)
		}
		if want := "not ready in 30s"; try == 1 && (w.lastExit != want || w.state != backoff || w.delays != 1 || len(w.early) != 1) {
			t.Errorf("%s, %v, %d delays, %d early ends", w.lastExit, w.state, w.delays, len(w.early))
		}
	}
	if !w.gaveUp || w.lastExit != "not ready in 30s; gave up" {
		t.Errorf("gave up: %v, %s", w.gaveUp, w.lastExit)
	}
}

// EXTEND_TIMEOUT_USEC gives a worker time until so long from now, and takes none.
func TestReadyTimeoutIsExtended(t *testing.T) {
	p := examine(t, 1, Type{ReadyWhen: Check{By: ByNotify}, ReadyTimeout: time.Hour})
	w := p.typ.slots[0]
	p.start(w)
	p.notified(notification{line: []int{7, w.pid}, extend: time.Minute})
	if w.readyBy() != w.since+time.Hour {
		t.Errorf("late at %v, want 1h", w.readyBy())
	}
	p.notified(notification{line: []int{7, w.pid}, extend: 2 * time.Hour})
	if by := w.readyBy(); by < 2*time.Hour || by > 3*time.Hour {
		t.Errorf("late at %v, want 2h from now", by)
	}
	p.notified(notification{line: []int{7}, ready: true})
	if w.state != starting {
		t.Error("a stranger made it ready")
	}
	p.notified(notification{line: []int{7, w.pid}, ready: true})
	if w.state != ready {
		t.Errorf("it is %v", w.state)
	}
}

// Three failures in a row are a worker that is not alive: one at a time.
func TestNotAlive(t *testing.T) {
	p := examine(t, 3, Type{Alive: Check{By: ByTCP}})
	fails := func(w *worker, times int) {
		for range times {
			w.health.asking = true
			p.checked(w, p.typ.Alive, errors.New("refused"))
		}
		p.restartDead(p.typ)
	}
	one, two, three := p.typ.slots[0], p.typ.slots[1], p.typ.slots[2]
	fails(one, 2)
	p.checked(one, p.typ.Alive, nil)
	fails(one, 2)
	p.wantSent(t, "never three in a row")
	fails(one, 1)
	p.wantSent(t, "three", "1 SIGTERM")
	fails(two, 3)
	p.wantSent(t, "while the first is stopping")
	p.end(one, 0)
	if one.lastExit != "not alive: refused, 3 times in a row" || one.restarts != 1 || one.state != backoff || len(one.early) != 0 || one.delays != 0 {
		t.Errorf("%s, %d restarts, %v, %d early ends", one.lastExit, one.restarts, one.state, len(one.early))
	}
	p.restartDead(p.typ)
	p.wantSent(t, "before the first starts again")
	p.start(one)
	p.restartDead(p.typ)
	p.wantSent(t, "while the first is starting")
	p.becomeReady(one, "the test says so")
	p.restartDead(p.typ)
	p.wantSent(t, "when the first is ready", "2 SIGTERM")
	fails(three, 3)
	p.wantSent(t, "while one is well")
	fails(one, 3)
	p.wantSent(t, "when none is", "1 SIGTERM", "3 SIGTERM")
}

// Checks of a ready worker are ten seconds apart, and one is under way at a time.
func TestChecksAreDue(t *testing.T) {
	p := examine(t, 1, Type{Alive: Check{By: ByCommand, Command: "true"}})
	p.gone = make(chan struct{})
	close(p.gone)
	asked := 0
	p.sys.start = func(*spawn.Spec) (int, error) { asked++; return 2*noPID - asked, nil }
	w := p.typ.slots[0]
	due := w.health.due
	if next := p.nextHealth(never); next != due || due < alivePause {
		t.Errorf("asked at %v, looks at %v", due, next)
	}
	p.checkWorkers(due - 1)
	if asked != 0 {
		t.Error("asked before its time")
	}
	for range 2 {
		p.checkWorkers(due)
	}
	if asked != 1 || p.nextHealth(never) != never {
		t.Errorf("asked %d times, looks again at %v", asked, p.nextHealth(never))
	}
	p.checked(w, p.typ.Alive, nil)
	p.checkWorkers(due + alivePause)
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
	// What is answered of a process that is gone says nothing of the next.
	for _, e := range p.errands.byPID {
		p.end(w, 0)
		p.start(w)
		p.becomeReady(w, "the test says so")
		e.done("", errors.New("too late"))
		break
	}
	if w.health.failures != 0 {
		t.Error("the next process is blamed")
	}
}

// A worker that says it is stopping is left alone for its drain.
func TestLeavingWorker(t *testing.T) {
	p := examine(t, 1, Type{Alive: Check{By: ByNotify, Within: time.Second}})
	w := p.typ.slots[0]
	p.notified(notification{line: []int{w.pid}, stopping: true})
	at := w.health.leavingAt
	p.notified(notification{line: []int{w.pid}, stopping: true})
	p.expireHealth(at + time.Minute - 1)
	p.restartDead(p.typ)
	p.wantSent(t, "within its drain")
	if next := p.nextHealth(never); next != at+time.Minute {
		t.Errorf("looks again at %v", next)
	}
	p.expireHealth(at + time.Minute)
	p.wantSent(t, "after its drain", "1 SIGTERM")
}

// While memsup ends, types that others need go on for a while: nobody asks them any
// more, and nothing wakes the loop for it.
func TestNobodyIsAskedAtTheEnd(t *testing.T) {
	p := examine(t, 2, Type{ReadyWhen: Check{By: ByNotify}, ReadyTimeout: time.Second, Alive: Check{By: ByNotify, Within: time.Second}})
	p.start(p.typ.slots[1])
	p.ending, p.endBy = true, time.Hour
	p.notified(notification{line: []int{p.typ.slots[0].pid}, failed: true})
	p.expireHealth(time.Minute)
	p.restartDead(p.typ)
	p.wantSent(t, "at the end")
	if next := p.nextHealth(never); next != never {
		t.Errorf("looks again at %v", next)
	}
}
