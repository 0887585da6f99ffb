package supervisor

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/budget"
	"github.com/memsup/memsup/policy"
	"github.com/memsup/memsup/pressure"
	"github.com/memsup/memsup/procfile"
)

// watchPressure is a worker, written to systemd's description of the protocol
// (https://systemd.io/MEMORY_PRESSURE) and to nothing else of memsup. It says
// connected, and then, as a "poller", pressure each time it is told; as the
// "stopped" one it says at SIGTERM whether it had been told before.
func watchPressure(role string) {
	fail := func(format string, args ...any) {
		fmt.Printf(format+"\n", args...)
		os.Exit(1)
	}
	path := os.Getenv("MEMORY_PRESSURE_WATCH")
	if path == "" || path == "/dev/null" {
		fail("not watching %q", path)
	}
	if !filepath.IsAbs(path) || filepath.Clean(path) != path {
		fail("%q is not absolute or not normalized", path)
	}
	info, err := os.Stat(path)
	if err != nil {
		fail("%v", err)
	}
	fd, events := -1, int16(unix.POLLIN)
	switch info.Mode().Type() {
	case os.ModeSocket:
		if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		}
	case os.ModeNamedPipe:
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	case 0:
		fd, err = unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		events = unix.POLLPRI
	default:
		fail("%s is %v", path, info.Mode())
	}
	if err != nil {
		fail("%s: %v", path, err)
	}
	text, err := base64.StdEncoding.DecodeString(os.Getenv("MEMORY_PRESSURE_WRITE"))
	if err != nil {
		fail("MEMORY_PRESSURE_WRITE: %v", err)
	}
	if len(text) > 0 {
		if _, err := unix.Write(fd, text); err != nil {
			fail("write: %v", err)
		}
	}
	stop := make(chan os.Signal, 1)
	if role == "stopped" {
		signal.Notify(stop, unix.SIGTERM)
	}
	fmt.Println("connected")
	timeout := -1
	if role == "stopped" {
		<-stop
		timeout = 0
	}
	buffer := make([]byte, 4096)
	for {
		polled := []unix.PollFd{{Fd: int32(fd), Events: events}}
		n, err := unix.Poll(polled, timeout)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			fail("poll: %v", err)
		case n == 0:
			fail("stopped untold")
		case polled[0].Revents&events == 0:
			fail("poll: revents %#x", polled[0].Revents)
		}
		if events == unix.POLLIN {
			if n, err := unix.Read(fd, buffer); n == 0 || err != nil && err != unix.EAGAIN {
				fail("the service manager left: %v", err)
			}
		}
		if role == "stopped" {
			fail("told before it was stopped")
		}
		fmt.Println("pressure")
	}
}

// One worker is replaced because memory is short. It and the other one are told
// before it is.
func TestWorkersAreToldBeforeOneIsStopped(t *testing.T) {
	// What a client has to write, memsup does not want and does not mind.
	r := launch(t, "procfile", "ready-now limit-1Mi first-stays",
		"web=MEMORY_PRESSURE_WRITE=c29tZSAxIDE= $T watcher poller", "batch=$T watcher stopped")
	var web, batch bool
	for !web || !batch {
		switch text := r.line(); text {
		case "connected":
		case "pressure":
			web = true
		case "told before it was stopped":
			batch = true
		default:
			t.Fatal(text)
		}
	}
	info, err := os.Stat(r.control + ".pressure")
	if err != nil || info.Mode() != os.ModeSocket|0o666 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	r.insist()
	if _, err := os.Stat(r.control + ".pressure"); err == nil {
		t.Error("the socket outlived memsup")
	}
}

// The same within the loop: by the time of the stop signal the byte is there.
func TestToldBeforeTheSignal(t *testing.T) {
	r := relayFor(t, 1)
	client := connect(t, r)
	s := &supervisor{c: &Config{Reserve: 100 << 20}, relay: r, lean: true}
	web := &processType{Type: Type{Name: "web", Range: procfile.Range{Min: 1, Max: 1}, StopSignal: unix.SIGTERM}}
	web.slots = []*worker{{typ: web, index: 1, name: "web.1", pid: 1, state: ready, bytes: 1 << 20}}
	s.types = []*processType{web}
	signals, told := 0, 0
	s.sys.kill = func(int, unix.Signal) error {
		signals, told = signals+1, told+heard(t, client)
		return nil
	}
	s.sys.memory = func() (budget.Memory, error) {
		return budget.Memory{Limit: 1 << 30, Limited: true, Available: 1 << 20, Headroom: 1 << 20}, nil
	}
	s.configurePolicy()
	s.decideAndAct(time.Second)
	wantHeard(t, "when it gets tight", client, 1)
	s.decideAndAct(4 * time.Second)
	if signals == 0 || told != 1 {
		t.Errorf("%d signals, and %d bytes were there before the first", signals, told)
	}
}

// Where memsup tells nothing, what it inherited speaks of another place.
func TestNoRelayNoVariables(t *testing.T) {
	t.Setenv("MEMORY_PRESSURE_WATCH", "/dev/null")
	t.Setenv("MEMORY_PRESSURE_WRITE", "c29tZQ==")
	const show = `echo "[${MEMORY_PRESSURE_WATCH-none}][${MEMORY_PRESSURE_WRITE-none}]"`
	r := launch(t, "command", "", "sh", "-c", show)
	r.want("[none][none]")
	r.end(0)
	r = launch(t, "procfile", "no-relay never", "web="+show)
	r.want("[none][none]")
	r.end(0)
	if !strings.Contains(r.stderr.String(), "no memory pressure socket") {
		t.Error("the log does not say so")
	}
	r = launch(t, "procfile", "never", "web="+show)
	r.want("[" + r.control + ".pressure][none]")
	r.end(0)
}

// relayFor is a relay that nobody else talks to.
func relayFor(t *testing.T, seats int) *relay {
	t.Helper()
	r, err := newRelay(filepath.Join(t.TempDir(), "p"), seats)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.keep(func(int, int) bool { return false })
		unix.Close(r.fd)
	})
	return r
}

// connect is a client of r: its descriptor, which does not block.
func connect(t *testing.T, r *relay) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: r.path}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// heard is how many bytes a client has to read; -1 where it was turned away.
func heard(t *testing.T, fd int) int {
	t.Helper()
	switch n, err := unix.Read(fd, make([]byte, 1<<16)); {
	case err == unix.EAGAIN:
		return 0
	case err == unix.ECONNRESET || err == nil && n == 0:
		return -1
	case err != nil:
		t.Fatal(err)
		return 0
	default:
		return n
	}
}

func wantHeard(t *testing.T, what string, fd, want int) {
	t.Helper()
	if got := heard(t, fd); got != want {
		t.Errorf("%s: %d bytes, want %d", what, got, want)
	}
}

// Clients refuse a path that is not absolute or not normalized.
func TestRelayPath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	r, err := newRelay("./x/../p", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(r.fd)
	if want := filepath.Join(dir, "p"); r.socket() != want {
		t.Errorf("the path is %s, want %s", r.socket(), want)
	}
}

func TestRelayTellsAtMostOnceASecond(t *testing.T) {
	r := relayFor(t, 4)
	a := connect(t, r)
	r.tell(0)
	wantHeard(t, "at 0", a, 1)
	late := connect(t, r)
	r.tell(999 * time.Millisecond)
	wantHeard(t, "within a second", a, 0)
	r.tell(time.Second)
	wantHeard(t, "a second later", a, 1)
	wantHeard(t, "who connected since", late, 1)
	r.tell(1500 * time.Millisecond)
	wantHeard(t, "within the next", a, 0)
}

func TestRelayTellsEveryClientOnce(t *testing.T) {
	r := relayFor(t, relaySeats)
	var all []int
	for range relaySeats {
		all = append(all, connect(t, r))
	}
	r.tell(0)
	for _, fd := range all {
		wantHeard(t, "one of many", fd, 1)
	}
}

// Who does not read is told until its buffer is full. Nobody waits for it.
func TestStuckWatcherBlocksNobody(t *testing.T) {
	r := relayFor(t, 2)
	stuck, other := connect(t, r), connect(t, r)
	for now := range 100 {
		r.tell(time.Duration(now) * relayRest)
		wantHeard(t, "the one that reads", other, 1)
	}
	if got := heard(t, stuck); got < 1 || got > 16 {
		t.Errorf("the stuck one has %d bytes, want a few", got)
	}
	r.tell(time.Hour)
	wantHeard(t, "reading again", stuck, 1)
}

// What a client writes is of no interest, however much it is.
func TestRelayBearsWhatIsWritten(t *testing.T) {
	r := relayFor(t, 2)
	talker := connect(t, r)
	for flood := make([]byte, 1<<16); ; {
		if _, err := unix.Write(talker, flood); err == unix.EAGAIN {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	r.tell(0)
	wantHeard(t, "who floods", talker, 1)
	unix.Shutdown(talker, unix.SHUT_WR)
	r.tell(time.Second)
	wantHeard(t, "who is done writing", talker, 1)
}

func TestRelayDropsTheDead(t *testing.T) {
	r := relayFor(t, 2)
	silent, talker := connect(t, r), connect(t, r)
	r.tell(0)
	if _, err := unix.Write(talker, []byte("last words")); err != nil {
		t.Fatal(err)
	}
	hangUp(t, silent)
	hangUp(t, talker)
	r.tell(time.Second)
	if len(r.clients) != 0 {
		t.Errorf("%d clients are left", len(r.clients))
	}
}

// A seat of who is gone is free; without one a client is turned away, and those
// that have one keep it.
func TestRelaySeatsSoMany(t *testing.T) {
	r := relayFor(t, 2)
	first, second, third := connect(t, r), connect(t, r), connect(t, r)
	r.admit()
	wantHeard(t, "without a seat", third, -1)
	hangUp(t, first)
	fourth := connect(t, r)
	r.tell(0)
	wantHeard(t, "with a seat", second, 1)
	wantHeard(t, "on the seat of who left", fourth, 1)
	if len(r.clients) != 2 {
		t.Errorf("%d clients", len(r.clients))
	}
}

// hangUp closes a client's end and leaves its number to nobody else until the
// test is over.
func hangUp(t *testing.T, fd int) {
	t.Helper()
	null, err := unix.Open(os.DevNull, unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Dup3(null, fd, unix.O_CLOEXEC)
		unix.Close(null)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A stall is told once, whatever is decided; a count of the kernel's says
// nothing yet.
func TestStallIsTold(t *testing.T) {
	s := &supervisor{c: &Config{}, relay: relayFor(t, 1)}
	client := connect(t, s.relay)
	turn := func(now time.Duration, source pressure.Source) {
		s.woken(pressure.Wake{Source: source})
		s.warnWorkers(now, nil)
	}
	turn(0, pressure.Events)
	wantHeard(t, "a count rose", client, 0)
	turn(time.Second, pressure.Events|pressure.Stall)
	wantHeard(t, "tasks stall", client, 1)
	turn(time.Minute, pressure.Events)
	wantHeard(t, "a count rose again", client, 0)
}

// Workers are told when memory gets tight and before each stop, not of growth,
// and not of stops that only would be.
func TestWarnWorkers(t *testing.T) {
	const mib = 1 << 20
	down := []policy.Action{{Kind: policy.Up}, {Kind: policy.Down}}
	for name, x := range map[string]struct {
		available int64
		actions   []policy.Action
		observe   bool
		want      int
	}{
		"room":            {900 * mib, nil, false, 0},
		"growth":          {900 * mib, down[:1], false, 0},
		"a stop":          {900 * mib, down, false, 1},
		"no real one":     {900 * mib, down, true, 0},
		"tight":           {50 * mib, nil, false, 1},
		"tight, observed": {50 * mib, nil, true, 1},
	} {
		s := &supervisor{c: &Config{Observe: x.observe}, relay: relayFor(t, 1)}
		s.pcfg.Reserve = 100 * mib
		s.obs = policy.Observation{Limit: 1 << 30, Limited: true, Available: x.available, Headroom: x.available}
		s.policy.Decide(&s.pcfg, &s.obs)
		client := connect(t, s.relay)
		s.warnWorkers(0, x.actions)
		wantHeard(t, name, client, x.want)
	}
	s := &supervisor{c: &Config{}} // without a socket
	s.woken(pressure.Wake{Source: pressure.Stall})
	s.warnWorkers(0, down)
	s.relay.close()
}
