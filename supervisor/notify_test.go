package supervisor

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// notify is a worker, written to sd_notify(3) and to nothing else of memsup. It
// says up and then does what its arguments say: "next" waits for SIGUSR1,
// "child TEXT" has a child send TEXT, which then lives on, "flood N" sends N
// datagrams, "env" prints what it was given for its watchdog, and anything else
// is sent, with a new line for each \n. It ends at SIGTERM, and at SIGABRT too.
func notify(steps []string) {
	signals, next := make(chan os.Signal, 1), make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGTERM, unix.SIGABRT)
	signal.Notify(next, unix.SIGUSR1)
	conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	say := func(text string) {
		if _, err := conn.Write([]byte(text)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	fmt.Println("up")
	for _, step := range steps {
		word, rest, _ := strings.Cut(step, " ")
		switch word {
		case "next":
			<-next
		case "child":
			cmd := exec.Command(os.Args[0], "notifier", rest)
			cmd.Stdout = os.Stdout
			if err := cmd.Start(); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		case "flood":
			n, _ := strconv.Atoi(rest)
			for i := range n {
				say("STATUS=" + strconv.Itoa(i+1))
			}
		case "env":
			fmt.Println(os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID") == strconv.Itoa(os.Getpid()))
		default:
			say(strings.ReplaceAll(step, `\n`, "\n"))
		}
	}
	fmt.Println(<-signals)
	os.Exit(0)
}

// state waits until a worker is in a state and says of itself what is wanted.
func (r *running) state(name, state, text string) {
	r.t.Helper()
	r.rows(func(rows []Worker) bool {
		i := slices.IndexFunc(rows, func(w Worker) bool { return w.Name == name })
		if i < 0 || rows[i].State != state {
			return false
		}
		return rows[i].StatusText != nil && *rows[i].StatusText == text || rows[i].StatusText == nil && text == ""
	})
}

func TestWorkerSaysThatItIsReady(t *testing.T) {
	t.Parallel()
	r := launch(t, "procfile", "notify",
		`web=exec $T notifier 'STATUS=loading a "model"' next 'READY=1\nSTATUS=serving' next STOPPING=1 next STATUS=`)
	r.want("up")
	r.state("web.1", "starting", `loading a "model"`)
	r.signal(unix.SIGUSR1)
	r.state("web.1", "ready", "serving")
	if st := r.status().Types[0]; st.Running != 1 || st.Ready != 1 {
		t.Errorf("%+v, want one that is ready", st)
	}
	r.signal(unix.SIGUSR1)
	r.until(func(st *Status) bool { return st.Types[0].Ready == 0 && st.Types[0].Running == 1 })
	r.signal(unix.SIGUSR1)
	r.state("web.1", "ready", "")
	if info, err := os.Stat(r.control + ".notify"); err != nil || info.Mode() != os.ModeSocket|0o666 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	r.signal(unix.SIGTERM)
	r.want("terminated")
	r.end(0)
	if _, err := os.Stat(r.control + ".notify"); err == nil {
		t.Error("the socket outlived memsup")
	}
}

// A child of a worker's speaks for it, and nobody else does, though anybody may
// send. What is sent one after the other is read so: the worker's own word comes
// last.
func TestStrangersAreNotHeard(t *testing.T) {
	t.Parallel()
	r := launch(t, "procfile", "notify", `web=$T notifier next STATUS=mine`, `other=exec $T notifier next 'child READY=1'`)
	r.want("up", "up")
	conn, err := net.Dial("unixgram", r.control+".notify")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, text := range []string{"READY=1", "STATUS=theirs\nREADY=1", fmt.Sprintf("MAINPID=%d\nREADY=1", os.Getpid())} {
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	r.signal(unix.SIGUSR1) // for both
	r.want("up")           // the child
	r.state("other.1", "ready", "")
	r.state("web.1", "starting", "mine")
}

// Thousands of datagrams keep nobody from being answered, and the last one
// counts.
func TestFloodOfNotifications(t *testing.T) {
	t.Parallel()
	r := launch(t, "procfile", "notify", `web=exec $T notifier 'flood 3000' READY=1`)
	r.want("up")
	r.state("web.1", "ready", "3000")
	r.signal(unix.SIGTERM)
	r.want("terminated")
	r.end(0)
}

// Where the socket's path cannot be had its name is an abstract one.
func TestAbstractNotifySocket(t *testing.T) {
	t.Parallel()
	r := launch(t, "procfile", "notify no-notify-path", `web=echo $NOTIFY_SOCKET; exec $T notifier READY=1`)
	if name := r.line(); !strings.HasPrefix(name, "@") {
		t.Errorf("NOTIFY_SOCKET is %s", name)
	}
	r.want("up")
	r.state("web.1", "ready", "")
}

// NOTIFY_SOCKET is given where it is asked for; what memsup itself inherited
// speaks of another place.
func TestNotifyVariables(t *testing.T) {
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		t.Setenv(name, "inherited")
	}
	const show = `echo "[${NOTIFY_SOCKET-none}][${WATCHDOG_USEC-none}][${WATCHDOG_PID-none}]"; sleep 1000`
	r := launch(t, "procfile", "", "web="+show)
	r.want("[none][none][none]")
	r = launch(t, "procfile", "notify", "web="+show)
	r.want("[" + r.control + ".notify][none][none]")
	// What a shell starts is another process than the shell, so it is given no pid.
	r = launch(t, "procfile", "watchdog", "web="+show)
	r.want("[" + r.control + ".notify][60000000][none]")
	r = launch(t, "procfile", "watchdog", "web=$T notifier env")
	r.want("up", "60000000 true")
}

// A worker that is no longer heard of is ended by SIGABRT and started anew.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	r := launch(t, "procfile", "notify short-watchdog", `web=$T notifier WATCHDOG=1 READY=1 WATCHDOG=1`)
	r.want("up", "aborted", "up")
	row := r.rows(func(rows []Worker) bool { return rows[0].LastExit != nil })[0]
	if *row.LastExit != "not alive: no WATCHDOG=1 in 100ms" || row.Restarts == 0 {
		t.Errorf("%s after %d restarts", *row.LastExit, row.Restarts)
	}
}

// One that is stopped, as a debugger would, cannot act on a signal by itself.
func TestWatchdogOfAStoppedWorker(t *testing.T) {
	t.Parallel()
	r := launch(t, "procfile", "ready-now short-watchdog", `web=echo up; kill -STOP $$`)
	r.want("up", "up")
}

// A worker may ask for its end by itself.
func TestWatchdogIsTriggered(t *testing.T) {
	t.Parallel()
	r := launch(t, "procfile", "notify watchdog", `web=$T notifier READY=1 WATCHDOG=trigger`)
	r.want("up", "aborted", "up", "aborted")
}

func TestParseNotification(t *testing.T) {
	text := func(s string) *string { return &s }
	for _, test := range []struct {
		text string
		want notification
	}{
		{"", notification{}},
		{"READY=1", notification{ready: true}},
		{"READY=1\n", notification{ready: true}},
		{"READY=0\nREADY\n=\n\n\nX", notification{}},
		{" READY=1\nready=1\nREADY= 1", notification{}},
		{"RELOADING=1\nMONOTONIC_USEC=7\nFDSTORE=1\nBARRIER=1", notification{}},
		{"STOPPING=1\nSTATUS=", notification{stopping: true, status: text("")}},
		{"STATUS=a=b\nSTATUS=b=c", notification{status: text("b=c")}},
		{"STATUS=é\x1b[2J\t\xff\u202e", notification{status: text(`é\x1b[2J\t\ufffd\u202e`)}},
		{"STATUS=" + strings.Repeat("é", 101), notification{status: text(strings.Repeat("é", 100))}},
		{"STATUS=" + strings.Repeat("\n", 9) + "READY=1", notification{status: text(""), ready: true}},
		{"STATUS=" + strings.Repeat("x", 198) + "\x01", notification{status: text(strings.Repeat("x", 198))}},
		{"WATCHDOG=1", notification{alive: true}},
		{"WATCHDOG=trigger", notification{failed: true}},
		{"MAINPID=7", notification{mainPID: 7}},
		{"MAINPID=-7\nMAINPID=1\nMAINPID=9999999999999999999", notification{}},
		{"EXTEND_TIMEOUT_USEC=1500000", notification{extend: 1500 * time.Millisecond}},
		{"EXTEND_TIMEOUT_USEC=18446744073709551615", notification{extend: longestExtension}},
		{"EXTEND_TIMEOUT_USEC=-1\nEXTEND_TIMEOUT_USEC=18446744073709551616", notification{}},
	} {
		got := parseNotification(test.text)
		if got.status != nil && test.want.status != nil && *got.status == *test.want.status {
			got.status, test.want.status = nil, nil
		}
		if fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%q: got %+v, want %+v", test.text, got, test.want)
		}
	}
}

// notifierFor is a notifier that reads, and a sender of its own.
func notifierFor(t *testing.T) (n *notifier, sender int) {
	t.Helper()
	n, err := newNotifier(filepath.Join(t.TempDir(), "n"))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	if err := n.listen(ended); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(ended); n.file.Close() })
	sender, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(sender) })
	if err := unix.Connect(sender, &unix.SockaddrUnix{Name: n.path}); err != nil {
		t.Fatal(err)
	}
	return n, sender
}

// The kernel says who sends.
func TestNotifierKnowsTheSender(t *testing.T) {
	n, _ := notifierFor(t)
	cmd := exec.Command(os.Args[0], "notifier", "READY=1")
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+n.name)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if got := <-n.said; !got.ready || !slices.Equal(got.line, []int{cmd.Process.Pid}) {
		t.Errorf("got %+v of process %d", got, cmd.Process.Pid)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// What is too long is no notification.
func TestNotifierReads(t *testing.T) {
	n, sender := notifierFor(t)
	fill := func(size int, text string) []byte {
		return []byte(text + "\n" + strings.Repeat("x", size-len(text)-1))
	}
	for _, datagram := range [][]byte{
		fill(longestNotification+1, "STATUS=too long"), fill(1<<16, "STATUS=far too long"), {}, fill(longestNotification, "STATUS=long"),
	} {
		if err := unix.Send(sender, datagram, 0); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-n.said; got.status != nil {
		t.Errorf("the empty one: %q", *got.status)
	}
	if got := <-n.said; got.status == nil || *got.status != "long" {
		t.Errorf("got %+v", got)
	}
}

// Descriptors that come along are nobody's to keep.
func TestNotifierKeepsNoDescriptors(t *testing.T) {
	n, sender := notifierFor(t)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	many := slices.Repeat([]int{pipe[1]}, 253)
	if err := unix.Sendmsg(sender, []byte("FDSTORE=1\nSTATUS=kept"), unix.UnixRights(many...), nil, 0); err != nil {
		t.Fatal(err)
	}
	unix.Close(pipe[1])
	if got := <-n.said; got.status == nil || *got.status != "kept" {
		t.Errorf("got %+v", got)
	}
	polled := []unix.PollFd{{Fd: int32(pipe[0])}}
	if _, err := unix.Poll(polled, 0); err != nil || polled[0].Revents&unix.POLLHUP == 0 {
		t.Errorf("somebody still has the other end: revents %#x, %v", polled[0].Revents, err)
	}
}

// Where the loop does not read, senders wait and nothing grows.
func TestNotifierIsBounded(t *testing.T) {
	n, sender := notifierFor(t)
	if err := unix.SetNonblock(sender, true); err != nil {
		t.Fatal(err)
	}
	const many = 1 << 12
	for sent := 0; sent < many; {
		if _, err := unix.Write(sender, []byte("STATUS=x")); err == nil {
			sent++
			continue
		} else if err != unix.EAGAIN {
			t.Fatal(err)
		}
		// Room for another one is an event; that there is none any more is not.
		room, err := unix.Poll([]unix.PollFd{{Fd: int32(sender), Events: unix.POLLOUT}}, 300)
		if room == 0 && err == nil && len(n.said) == cap(n.said) {
			return
		}
	}
	t.Errorf("%d datagrams were taken, and %d are queued", many, len(n.said))
}

// What is left of a memsup that is gone is replaced, and nothing else is.
func TestNotifySocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n")
	first, err := newNotifier(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newNotifier(path); err == nil {
		t.Error("the socket of a living one was replaced")
	}
	first.file.Close()
	second, err := newNotifier(path)
	if err != nil {
		t.Fatal(err)
	}
	second.file.Close()
	second.close()
	if err := os.WriteFile(path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newNotifier(path); err == nil {
		t.Error("a file was replaced by a socket")
	}
	if text, err := os.ReadFile(path); string(text) != "kept" {
		t.Errorf("the file holds %q, %v", text, err)
	}
}

func TestLineage(t *testing.T) {
	cmd := exec.Command("sh", "-c", "cat; exit")
	stdin, _ := converse(t, cmd)
	pid := cmd.Process.Pid
	if got := lineage(pid, os.Getpid()); !slices.Equal(got, []int{pid}) {
		t.Errorf("got %v, want %d alone", got, pid)
	}
	if got := lineage(pid, os.Getppid()); !slices.Equal(got, []int{pid, os.Getpid()}) {
		t.Errorf("got %v, want %d and %d", got, pid, os.Getpid())
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if got := lineage(pid, os.Getpid()); got != nil {
		t.Errorf("got %v of a process that is gone", got)
	}
}
