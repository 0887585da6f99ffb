package supervisor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

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
	r := launch(t, "command", "", workerLine("up", "USR1:usr1", "WINCH:winch", "HUP:hup:3")...)
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
	file := filepath.Join(t.TempDir(), "child")
	r := launch(t, "procfile", "", "web=if [ -e "+file+" ]; then read child <"+file+
		"; kill -0 $child 2>/dev/null && echo alive || echo dead; sleep 1000; else sleep 1000 & echo $! >"+file+"; exit 9; fi")
	r.want("dead") // as its leader's successor sees it
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

func TestEventsAreStreamed(t *testing.T) {
	r := launch(t, "procfile", "ready-now recycle", "web=$T worker up")
	r.want("up")
	client := http.Client{Transport: r.client().http.Transport} // without the limit that an answer has
	resp, err := client.Get("http://memsup/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var d Decision
	if err := json.NewDecoder(resp.Body).Decode(&d); err != nil {
		t.Fatal(err)
	}
	if d.Action != "recycle" || d.Worker != "web.1" || d.Reason == "" {
		t.Errorf("decision %+v", d)
	}
}

// A worker starts with the signals that memsup was started with, not with what
// memsup does for itself.
func TestWorkersIgnoreNothing(t *testing.T) {
	r := launch(t, "procfile", "", "web=grep SigIgn /proc/self/status; sleep 1000")
	if got := r.line(); !strings.HasSuffix(got, "0000") {
		t.Errorf("a worker has %s", got)
	}
}

func TestScaledToZeroGoesOn(t *testing.T) {
	ctx := context.Background()
	r := launch(t, "procfile", "", "web=$T worker up TERM:bye:0")
	r.want("up")
	if err := r.client().Scale(ctx, map[string]string{"web": "0"}); err != nil {
		t.Fatal(err)
	}
	r.want("bye")
	if err := r.client().Scale(ctx, map[string]string{"web": "auto"}); err != nil {
		t.Fatal(err)
	}
	r.want("up")
}

func TestScaleRefusesMoreThanThereArePorts(t *testing.T) {
	r := launch(t, "procfile", "", "web=$T worker up")
	r.want("up")
	err := r.client().Scale(context.Background(), map[string]string{"web": "60537"})
	if err == nil || !strings.Contains(err.Error(), "65535") {
		t.Errorf("web=60537 from port 5000: %v", err)
	}
}

// What is at the control socket's path and is no socket is left alone.
func TestControlKeepsFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if fd, err := listenUnix(path, false); err == nil {
		unix.Close(fd)
		t.Error("a file was replaced by a socket")
	}
	if text, err := os.ReadFile(path); string(text) != "kept" {
		t.Errorf("the file holds %q, %v", text, err)
	}
}

func TestPrefixLosesNothingOfACommand(t *testing.T) {
	r := launch(t, "command", "prefix", "seq", "1", "20000")
	n := 0
	for r.lines.Scan() {
		if n++; r.lines.Text() != fmt.Sprintf("main.1 | %d", n) {
			t.Fatalf("line %d is %q", n, r.lines.Text())
		}
	}
	if n != 20000 {
		t.Errorf("%d lines arrived, want 20000", n)
	}
	r.end(0)
}

// A worker whose type is gone still has to be gone when its drain is over.
func TestRemovedTypeIsKilledInTheEnd(t *testing.T) {
	r := launch(t, "procfile", "short-drain forgetful", "web=$T worker up", "old=$T worker old TERM:stubborn")
	r.wantAnyOrder("old", "up")
	r.signal(unix.SIGHUP)
	r.want("stubborn")
	for st := r.status(); len(st.Types) != 1; st = r.status() {
	}
	r.signal(unix.SIGTERM)
	r.end(0)
	if !strings.Contains(r.stderr.String(), "SIGKILL") {
		t.Error("it was not killed when its drain was over")
	}
}

// A single command is measured when somebody asks for the status.
func TestCommandIsMeasuredForStatus(t *testing.T) {
	r := launch(t, "command", "", workerLine("up")...)
	r.want("up")
	for c := r.client(); ; { // the first answer has it, where this machine is quick
		st, err := c.Status(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if w := st.Workers[0]; w.Memory != nil && *w.Memory > 0 && w.CPU != nil {
			return
		}
	}
}
