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

	"github.com/memsup/memsup/cost"
	"github.com/memsup/memsup/policy"
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

// converse starts a command with pipes for its standard input and output.
func converse(t *testing.T, cmd *exec.Cmd) (stdin io.Closer, out *bufio.Reader) {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return stdin, bufio.NewReader(stdout)
}

func TestMain(m *testing.M) {
	if os.Args[0] == spawn.ShimName {
		spawn.Shim(os.Args)
	}
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		work(os.Args[2], os.Args[3:])
	}
	if len(os.Args) > 1 && os.Args[1] == "master" {
		keepWorkers(os.Args[2:])
	}
	if len(os.Args) > 1 && os.Args[1] == "sharer" {
		serveSockets()
	}
	if len(os.Args) > 1 && os.Args[1] == "watcher" {
		watchPressure(os.Args[2])
	}
	if len(os.Args) > 1 && os.Args[1] == "notifier" {
		notify(os.Args[2:])
	}
	if len(os.Args) > 1 && os.Args[1] == "server" {
		serveHTTP(os.Args[2:])
	}
	if name := os.Getenv("SUPERVISOR_SCENARIO"); name != "" {
		c := &Config{
			Env: os.Environ(), Grace: time.Minute, Drain: time.Minute, ReservePercent: 10,
			Subreaper: true, Control: os.Getenv("SUPERVISOR_CONTROL"),
		}
		scenarios[name](c, os.Args[1:])
		for _, option := range strings.Fields(os.Getenv("SUPERVISOR_OPTIONS")) {
			if f := options[option]; f != nil {
				f(c)
			} else {
				healthOptions[option](c)
			}
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
	"listen":      func(c *Config) { c.each(func(t *Type) { t.Listen = []Socket{{Address: "tcp://127.0.0.1:0"}} }) },
	"group":       func(c *Config) { c.Group = true },
	"remap-7":     func(c *Config) { c.Remap = []int{7} },
	"rewrite":     func(c *Config) { c.Rewrite = map[unix.Signal]unix.Signal{unix.SIGTERM: unix.SIGUSR1} },
	"sockets": func(c *Config) {
		c.each(func(t *Type) {
			t.Listen = []Socket{{Address: "tcp://127.0.0.1:0", Name: "net"}, {Address: "unix://" + c.Control + ".web", Mode: 0o600}}
		})
	},
	"reuseport": func(c *Config) {
		c.each(func(t *Type) { t.Listen = []Socket{{Address: "tcp://127.0.0.1:0", ReusePort: true}} })
	},
	"renamed": func(c *Config) {
		c.Reload = func() (*Config, error) {
			next := *c
			next.Types = slices.Clone(c.Types)
			next.each(func(t *Type) { t.Listen = []Socket{{Address: t.Listen[0].Address, Name: "other"}} })
			return &next, nil
		}
	},
	"forgetful": func(c *Config) {
		c.Reload = func() (*Config, error) {
			next := *c
			next.Types = c.Types[:1]
			return &next, nil
		}
	},
	"to-four": func(c *Config) {
		c.each(func(t *Type) { t.Range, t.Memory = procfile.Range{Min: 1, Max: 4}, 1<<20 })
	},
	"backlog": func(c *Config) { c.each(func(t *Type) { t.Demand = policy.Backlog }) },
	"command": func(c *Config) {
		c.each(func(t *Type) { t.Demand, t.DemandCommand = policy.Number, os.Getenv("DEMAND") })
	},
	"limits": func(c *Config) {
		c.Limits = []policy.Limit{{Name: "db", Most: 9}}
		c.each(func(t *Type) { t.Uses = []int{3} })
	},
	"recycle": func(c *Config) { c.each(func(t *Type) { t.Recycle = 1 }) },
	"signal":  func(c *Config) { c.each(func(t *Type) { t.Prefork = &Prefork{Workers: keptTitle} }) },
	"commands": func(c *Config) {
		c.each(func(t *Type) {
			t.Prefork = &Prefork{Workers: keptTitle, Add: "kill -s TTIN $MAINPID || exit", Remove: "echo no >&2; exit 3"}
		})
	},
	"settled": func(c *Config) {
		c.each(func(t *Type) {
			umask := 0o27
			t.Settings = &spawn.Settings{Dir: "/", Umask: &umask, Rlimits: []spawn.Rlimit{
				limitOf("nofile", 64), limitOf("as", 64<<20), limitOf("data", 1<<30),
			}}
		})
	},
	"nobody": func(c *Config) { c.User = nobody },
	"nobodies": func(c *Config) {
		c.each(func(t *Type) { t.Settings, t.Login = &spawn.Settings{User: nobody}, []string{"USER=nobody"} })
	},
	"observe": func(c *Config) { c.Observe = true },
	// Memory is short from the start; what is replaced is the last type.
	"limit-1Mi":   func(c *Config) { c.Limit = 1 << 20 },
	"first-stays": func(c *Config) { c.Types[0].Priority = 1 },
	"no-relay":    func(c *Config) { _ = os.Mkdir(c.Control+".pressure", 0o700) },
	"after": func(c *Config) {
		for i := range c.Types[1:] {
			c.Types[i+1].After = []string{c.Types[0].Name}
		}
	},
	"first": func(c *Config) { c.Types[0].First, c.Types[0].Restart = true, RestartNever },
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
	r.cmd.Env = append(os.Environ(), "SUPERVISOR_SCENARIO="+scenario, "SUPERVISOR_OPTIONS="+options, "SUPERVISOR_CONTROL="+r.control, "GORACE=atexit_sleep_ms=0", "T="+exe, "PATH=/usr/bin:/bin")
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
	hung := time.AfterFunc(2*time.Minute, r.killAll)
	t.Cleanup(func() {
		hung.Stop()
		r.insist()
		out.Close()
		if t.Failed() {
			t.Logf("memsup said:\n%s", r.stderr)
		}
	})
	return r
}

// killAll ends a memsup that hangs, and its workers, who hold its outputs open.
func (r *running) killAll() {
	left := cost.Descendants("/proc", r.cmd.Process.Pid, nil)
	_ = r.cmd.Process.Kill()
	for _, pid := range left {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
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
