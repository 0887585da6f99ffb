package supervisor

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/procfile"
	"github.com/memsup/memsup/spawn"
)

// scenarios are run by the test binary itself in a process of its own, because
// Run waits for every child of its process.
var scenarios = map[string]func(c *Config, args []string){
	// command runs args the way memsup -- does.
	"command": func(c *Config, args []string) {
		c.Command = &Command{}
		c.Types = []Type{{Name: "main", Argv: args, Range: procfile.Range{Min: 1, Max: 1}, Restart: RestartNever}}
	},
	// procfile runs one type for each argument NAME=COMMAND.
	"procfile": func(c *Config, args []string) {
		for i, arg := range args {
			name, command, _ := strings.Cut(arg, "=")
			c.Types = append(c.Types, Type{
				Name: name, Command: command, Range: procfile.Range{Min: 1, Max: 1}, Port: 5000 + 100*i,
				StopSignal: unix.SIGTERM, StartLimit: 2, StartPeriod: time.Minute,
			})
		}
	},
}

func TestMain(m *testing.M) {
	if os.Args[0] == spawn.ShimName {
		spawn.Shim(os.Args)
	}
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		work(os.Args[2], os.Args[3:])
	}
	if name := os.Getenv("SUPERVISOR_SCENARIO"); name != "" {
		c := &Config{
			Env: os.Environ(), Grace: time.Minute, Drain: time.Minute, ReservePercent: 10,
			Subreaper: true, Control: os.Getenv("SUPERVISOR_CONTROL"),
		}
		scenarios[name](c, os.Args[1:])
		for _, option := range strings.Fields(os.Getenv("SUPERVISOR_OPTIONS")) {
			options[option](c)
		}
		os.Exit(Run(c))
	}
	os.Exit(m.Run())
}

// work is a worker for the tests: it prints hello and then, for each SIGNAL:TEXT
// or SIGNAL:TEXT:STATUS, the text when the signal comes, and ends with the
// status. A shell would do, but for what it loses between a trap and a wait.
func work(hello string, traps []string) {
	signals := make(chan os.Signal, 8)
	for _, trap := range traps {
		signal.Notify(signals, unix.SignalNum("SIG"+strings.SplitN(trap, ":", 2)[0]))
	}
	fmt.Println(hello)
	if fifo := os.Getenv("READY"); fifo != "" {
		_ = os.WriteFile(fifo, []byte("\n"), 0)
	}
	for sig := range signals {
		for _, trap := range traps {
			name, text, _ := strings.Cut(trap, ":")
			if unix.SignalNum("SIG"+name) != sig {
				continue
			}
			text, status, exits := strings.Cut(text, ":")
			fmt.Println(text)
			if exits {
				code, _ := strconv.Atoi(status)
				os.Exit(code)
			}
		}
	}
}

var options = map[string]func(c *Config){
	"prefix":      func(c *Config) { c.Prefix = true },
	"short-grace": func(c *Config) { c.Grace = 100 * time.Millisecond },
	"short-drain": func(c *Config) { c.Drain = 100 * time.Millisecond },
	"leave":       func(c *Config) { c.LeaveOnGiveUp = true },
	"on-failure":  func(c *Config) { c.each(func(t *Type) { t.Restart = RestartOnFailure }) },
	"never":       func(c *Config) { c.each(func(t *Type) { t.Restart = RestartNever }) },
	"limit-1":     func(c *Config) { c.each(func(t *Type) { t.StartLimit = 1 }) },
	"ready-now":   func(c *Config) { c.each(func(t *Type) { t.Ready = time.Nanosecond }) },
	"two":         func(c *Config) { c.each(func(t *Type) { t.Range = procfile.Range{Min: 2, Max: 2} }) },
	"listen":      func(c *Config) { c.each(func(t *Type) { t.Listen = "tcp://127.0.0.1:0" }) },
	"group":       func(c *Config) { c.Group = true },
	"remap-7":     func(c *Config) { c.Remap = []int{7} },
	"rewrite":     func(c *Config) { c.Rewrite = map[unix.Signal]unix.Signal{unix.SIGTERM: unix.SIGUSR1} },
	"observe":     func(c *Config) { c.Observe = true },
}

func (c *Config) each(f func(*Type)) {
	for i := range c.Types {
		f(&c.Types[i])
	}
}

// running is one memsup under test.
type running struct {
	t       *testing.T
	cmd     *exec.Cmd
	lines   *bufio.Scanner // of its standard output, which the workers share
	stderr  *strings.Builder
	control string
	ended   chan struct{}
	code    int
}

func launch(t *testing.T, scenario, options string, args ...string) *running {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, control: filepath.Join(t.TempDir(), "c"), stderr: &strings.Builder{}, ended: make(chan struct{})}
	r.cmd = exec.Command(exe, args...)
	r.cmd.Env = append(os.Environ(), "SUPERVISOR_SCENARIO="+scenario, "SUPERVISOR_OPTIONS="+options, "SUPERVISOR_CONTROL="+r.control, "GORACE=atexit_sleep_ms=0", "T="+exe)
	r.cmd.Stderr = r.stderr
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.cmd.Stdout = w
	r.lines = bufio.NewScanner(out)
	r.lines.Buffer(nil, 4<<20)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go func() {
		_ = r.cmd.Wait()
		r.code = r.cmd.ProcessState.ExitCode()
		close(r.ended)
	}()
	t.Cleanup(func() {
		r.insist()
		out.Close()
		if t.Failed() {
			t.Logf("memsup said:\n%s", r.stderr)
		}
	})
	return r
}

// insist asks memsup to end until it does. A repeated signal is only heard
// after a moment.
func (r *running) insist() {
	for again := time.NewTicker(20 * time.Millisecond); ; {
		_ = r.cmd.Process.Signal(unix.SIGTERM)
		select {
		case <-again.C:
		case <-r.ended:
			return
		}
	}
}

// workerLine is the command line of a worker that is the test binary itself.
func workerLine(hello string, traps ...string) []string {
	exe, _ := os.Executable()
	return append([]string{exe, "worker", hello}, traps...)
}

// line is the next line that the workers print.
func (r *running) line() string {
	r.t.Helper()
	if !r.lines.Scan() {
		r.t.Fatalf("the workers print nothing more: %v", r.lines.Err())
	}
	return r.lines.Text()
}

func (r *running) want(lines ...string) {
	r.t.Helper()
	for _, want := range lines {
		if got := r.line(); got != want {
			r.t.Fatalf("a worker printed %q, want %q", got, want)
		}
	}
}

func (r *running) signal(sig syscall.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) wantAnyOrder(lines ...string) {
	r.t.Helper()
	var got []string
	for range lines {
		got = append(got, r.line())
	}
	slices.Sort(got)
	if !slices.Equal(got, lines) {
		r.t.Fatalf("workers printed %q, want %q", got, lines)
	}
}

// end waits for memsup's end.
func (r *running) end(code int) {
	r.t.Helper()
	rest, _ := io.ReadAll(scannerReader{r.lines})
	<-r.ended
	if r.code != code {
		r.t.Errorf("exit status %d, want %d; rest of the output: %q", r.code, code, rest)
	}
}

// scannerReader reads what a scanner has left.
type scannerReader struct{ s *bufio.Scanner }

func (r scannerReader) Read(p []byte) (int, error) {
	if !r.s.Scan() {
		return 0, io.EOF
	}
	return copy(p, r.s.Text()+"\n"), nil
}

func (r *running) client() *Client {
	r.t.Helper()
	c, err := NewClient(r.control)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *running) status() *Status {
	r.t.Helper()
	st, err := r.client().Status(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	return st
}

func TestCommandExitStatus(t *testing.T) {
	for _, test := range []struct {
		options string
		args    []string
		code    int
	}{
		{"", []string{"true"}, 0},
		{"", []string{"sh", "-c", "exit 7"}, 7},
		{"remap-7", []string{"sh", "-c", "exit 7"}, 0},
		{"", []string{"sh", "-c", "kill -KILL $$"}, 137},
		{"", []string{"sh", "-c", "kill -TERM $$"}, 143},
		{"", []string{"no-such-command"}, 127},
		{"", []string{"/etc/hostname/nothing"}, 127},
		{"", []string{"/etc/passwd"}, 126},
		{"", []string{"/"}, 126},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			launch(t, "command", test.options, test.args...).end(test.code)
		})
	}
}

func TestCommandForwardsSignals(t *testing.T) {
	r := launch(t, "command", "", "sh", "-c", `trap 'echo usr1' USR1; trap 'echo winch' WINCH; trap 'echo hup; exit 3' HUP
		echo up; while :; do read x || read x <>$F $!; done`)
	r.want("up")
	r.signal(unix.SIGUSR1)
	r.want("usr1")
	r.signal(unix.SIGWINCH)
	r.want("winch")
	r.signal(unix.SIGHUP)
	r.want("hup")
	r.end(3)
}

func TestCommandRewritesSignals(t *testing.T) {
	r := launch(t, "command", "rewrite", workerLine("up", "USR1:usr1:4", "TERM:term:5")...)
	r.want("up")
	r.signal(unix.SIGTERM)
	r.want("usr1")
	r.end(4)
}

// The command ended; what it left behind is asked to end and waited for.
func TestRemainingDescendantsAreWaitedFor(t *testing.T) {
	r := launch(t, "command", "", "sh", "-c",
		`mkfifo $0; READY=$0 setsid $T worker up TERM:bye:0 & read line <$0; exit 5`,
		filepath.Join(t.TempDir(), "fifo"))
	r.want("up", "bye")
	r.end(5)
}

func TestDescendantsThatIgnoreTermAreKilled(t *testing.T) {
	r := launch(t, "command", "short-grace", "sh", "-c",
		`mkfifo $0; setsid sh -c 'trap "" TERM; echo $$; echo >$0; sleep 1000' $0 & read line <$0; exit 6`,
		filepath.Join(t.TempDir(), "fifo"))
	stubborn := r.line()
	r.end(6)
	if _, err := os.Stat("/proc/" + stubborn); err == nil {
		t.Errorf("process %s is left", stubborn)
	}
}

func TestProcfileStopsOnTerm(t *testing.T) {
	r := launch(t, "procfile", "", `web=$T worker "$PS $PORT" TERM:stopping:1`)
	r.want("web.1 5000")
	r.signal(unix.SIGTERM)
	r.want("stopping")
	r.end(0)
}

func TestSecondSignalSkipsTheGrace(t *testing.T) {
	r := launch(t, "procfile", "", "web=$T worker up TERM:stubborn")
	r.want("up")
	r.signal(unix.SIGTERM)
	r.want("stubborn")
	r.insist()
	if r.code != 0 {
		t.Errorf("exit status %d, want 0", r.code)
	}
}

func TestGraceEndsWithSIGKILL(t *testing.T) {
	r := launch(t, "procfile", "short-grace", "web=$T worker up TERM:stubborn")
	r.want("up")
	r.signal(unix.SIGTERM)
	r.want("stubborn")
	r.end(0)
}

// A worker's end takes its process group along, so a new one never meets the
// old one's children.
func TestGroupDiesWithItsLeader(t *testing.T) {
	r := launch(t, "procfile", "limit-1", "web=sleep 1000 & echo $!; exit 9")
	child := r.line()
	r.end(1)
	if _, err := os.Stat("/proc/" + child); err == nil {
		t.Errorf("process %s outlived its group's leader", child)
	}
}

func TestGivesUp(t *testing.T) {
	r := launch(t, "procfile", "", "web=echo try; exit 3", "other=sleep 1000")
	r.want("try", "try")
	r.end(1)
	if !strings.Contains(r.stderr.String(), "gave up: web.1 ended 2 times") {
		t.Errorf("the log does not tell of giving up")
	}
}

func TestLeaveOnGiveUp(t *testing.T) {
	r := launch(t, "procfile", "leave limit-1", "web=exit 3", "other=$T worker up TERM:stop:0")
	r.want("up")
	for st := r.status(); !strings.HasPrefix(st.Health, "failing"); st = r.status() {
	}
	r.signal(unix.SIGTERM)
	r.want("stop")
	r.end(0)
}

func TestNeverEndsWithTheFirstFailure(t *testing.T) {
	launch(t, "procfile", "never", "web=exit 0", "other=exit 4").end(4)
	launch(t, "procfile", "never", "web=exit 0", "other=true").end(0)
	launch(t, "procfile", "on-failure", "web=exit 0").end(0)
}

func TestPrefixLosesNothing(t *testing.T) {
	const lines = 2000
	r := launch(t, "procfile", "prefix never",
		fmt.Sprintf("web=i=0; while [ $i -lt %d ]; do echo line $i; i=$((i+1)); done; printf end", lines),
		"bin=head -c 200000 /dev/zero")
	web, zeros := 0, 0
	for r.lines.Scan() {
		switch text := r.lines.Text(); {
		case strings.HasPrefix(text, "web.1 | line "):
			if text != fmt.Sprintf("web.1 | line %d", web) {
				t.Fatalf("%q is out of order", text)
			}
			web++
		case text == "web.1 | end":
			web++
		case strings.HasPrefix(text, "bin.1 | "):
			zeros += strings.Count(text, "\x00")
		default:
			t.Errorf("%q has no prefix", text)
		}
	}
	if web != lines+1 || zeros != 200000 {
		t.Errorf("%d lines and %d bytes arrived, want %d and 200000", web, zeros, lines+1)
	}
	r.end(0)
}

func TestControl(t *testing.T) {
	ctx := context.Background()
	r := launch(t, "procfile", "ready-now two", "web=echo $PS; sleep 1000")
	r.wantAnyOrder("web.1", "web.2")
	c := r.client()
	if err := c.Scale(ctx, map[string]string{"web": "3"}); err != nil {
		t.Fatal(err)
	}
	r.want("web.3")
	if err := c.Scale(ctx, map[string]string{"web": "1", "nothing": "2"}); err == nil || !strings.Contains(err.Error(), `"nothing"`) {
		t.Errorf("scaling what is not there: %v", err)
	}
	if st := r.status(); len(st.Workers) != 3 || !st.Types[0].Pinned || st.Types[0].Wanted != 3 {
		t.Errorf("status %+v", st)
	}
	if err := c.Restart(ctx, "web.2"); err != nil {
		t.Fatal(err)
	}
	r.want("web.2")
	if err := c.Restart(ctx, "web"); err != nil {
		t.Fatal(err)
	}
	r.wantAnyOrder("web.1", "web.2", "web.3")
	if err := c.Stop(ctx, "web"); err != nil {
		t.Fatal(err)
	}
	for st := r.status(); len(st.Workers) > 0; st = r.status() {
	}
	if err := c.Start(ctx, "web"); err != nil {
		t.Fatal(err)
	}
	r.wantAnyOrder("web.1", "web.2", "web.3")
	r.signal(unix.SIGTERM)
	r.end(0)
	if _, err := NewClient(r.control); err == nil {
		t.Errorf("the socket outlived memsup")
	}
}

func TestSharedSocket(t *testing.T) {
	r := launch(t, "procfile", "listen ready-now",
		`web=[ "$LISTEN_PID" = $$ ] && [ "$LISTEN_FDS" = 1 ] && [ "$LISTEN_FDNAMES" = web ] && [ -S /proc/self/fd/3 ] && echo yes || echo no $LISTEN_PID; sleep 1000`)
	r.want("yes")
	r.signal(unix.SIGTERM)
	r.end(0)
}
