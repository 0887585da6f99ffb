package supervisor

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serveSockets is a worker that answers on each socket it inherited with its own
// name, the socket's and its pid. It serves one client of a socket at a time, until
// that one hangs up. By SIGTERM it closes the sockets, says so, and ends when its
// clients have hung up.
func serveSockets() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, unix.SIGTERM)
	var open []io.Closer
	var serving sync.WaitGroup
	for i, name := range strings.Split(os.Getenv("LISTEN_FDNAMES"), ":") {
		f := os.NewFile(uintptr(firstSocket+i), name)
		l, err := net.FileListener(f)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		open = append(open, l, f)
		serving.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				fmt.Fprintf(c, "%s %s %d\n", os.Getenv("PS"), name, os.Getpid())
				_, _ = io.Copy(io.Discard, c)
				c.Close()
			}
		})
	}
	fmt.Println(os.Getenv("PS"))
	<-asked
	for _, socket := range open {
		socket.Close()
	}
	fmt.Println("closed")
	serving.Wait()
	os.Exit(0)
}

// dialIn connects to a worker that runs serveSockets.
func dialIn(t *testing.T, network, address string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute)) // or a test that fails would hang
	return c
}

// answerOf is what such a worker says: its name and the socket's, and its pid.
func answerOf(t *testing.T, c net.Conn) (who string, pid int) {
	t.Helper()
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	who = line[:max(0, strings.LastIndexByte(line, ' '))]
	return who, pidIn(t, line)
}

func pidIn(t *testing.T, line string) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]))
	if err != nil {
		t.Fatalf("a worker answered %q", line)
	}
	return pid
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// All workers accept on all sockets, which are gone when memsup is.
func TestWorkersShareEverySocket(t *testing.T) {
	r := launch(t, "procfile", "sockets two ready-now", "web=$T sharer")
	r.wantAnyOrder("web.1", "web.2")
	path := r.control + ".web"
	var clients []net.Conn
	port := sharedPort(t, *r.status().Workers[0].PID)
	for _, at := range []struct{ network, address, name string }{
		{"tcp", loopback(port), "net"}, {"unix", path, "web"},
	} {
		var both []string
		for range 2 {
			c := dialIn(t, at.network, at.address)
			who, _ := answerOf(t, c)
			both, clients = append(both, who), append(clients, c) // the first is served meanwhile
		}
		slices.Sort(both)
		if want := []string{"web.1 " + at.name, "web.2 " + at.name}; !slices.Equal(both, want) {
			t.Errorf("%s: %q answered, want %q", at.address, both, want)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the unix socket is %v, %v", info, err)
	}
	r.signal(unix.SIGTERM)
	r.want("closed", "closed")
	for _, c := range clients {
		c.Close()
	}
	r.end(0)
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the unix socket outlived memsup: %v", err)
	}
}

// With SO_REUSEPORT the workers have sockets of their own on one port. That of a
// worker which is told to go for good is given no connection any more.
func TestReusePort(t *testing.T) {
	r := launch(t, "procfile", "reuseport two ready-now", "web=$T sharer")
	r.wantAnyOrder("web.1", "web.2")
	var sockets []string
	var port int
	for _, w := range r.status().Workers {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/3", *w.PID))
		if err != nil {
			t.Fatal(err)
		}
		sockets = append(sockets, link)
		if p := sharedPort(t, *w.PID); port != 0 && p != port {
			t.Errorf("the ports are %d and %d", port, p)
		} else {
			port = p
		}
	}
	if sockets[0] == sockets[1] {
		t.Errorf("both workers have %s", sockets[0])
	}
	// Each has a client, so that the one that goes does not end.
	clients := map[int]net.Conn{}
	for len(clients) < 2 {
		c := dialIn(t, "tcp", loopback(port))
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if line, err := bufio.NewReader(c).ReadString('\n'); err == nil {
			clients[pidIn(t, line)] = c
		} else {
			c.Close() // it waits for a worker that has a client
		}
	}
	if err := r.client().Scale(context.Background(), map[string]string{"web": "1"}); err != nil {
		t.Fatal(err)
	}
	r.want("closed")
	for _, w := range r.status().Workers {
		if w.State == "ready" {
			clients[*w.PID].Close()
			delete(clients, *w.PID)
		}
	}
	for range 50 {
		c := dialIn(t, "tcp", loopback(port))
		if _, pid := answerOf(t, c); clients[pid] != nil {
			t.Fatal("the one that goes has answered")
		}
		c.Close()
	}
	for _, c := range clients {
		c.Close()
	}
}

// A connection that waits in a worker's own socket is answered by the process that
// takes the worker's place.
func TestReusePortKeepsTheQueue(t *testing.T) {
	r := launch(t, "procfile", "reuseport ready-now", "web=$T sharer")
	r.want("web.1")
	pid := *r.status().Workers[0].PID
	port := sharedPort(t, pid)
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for stopped := false; !stopped; {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		stopped = strings.Contains(string(stat), ") T ")
	}
	c := dialIn(t, "tcp", loopback(port))
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.want("web.1")
	if _, by := answerOf(t, c); by == pid {
		t.Errorf("%d answered after it was killed", by)
	}
}

// What a reload leaves as it is stays open; workers are given the new names, and what
// is not listed any more is gone.
func TestReloadOfSockets(t *testing.T) {
	r := launch(t, "procfile", "sockets renamed ready-now", "web=$T sharer")
	r.want("web.1")
	pid := *r.status().Workers[0].PID
	port := sharedPort(t, pid)
	r.signal(unix.SIGHUP)
	for range 2 { // one has closed, one has started, in whatever order
		r.line()
	}
	who, by := "", pid
	for by == pid { // which may still be stopping
		c := dialIn(t, "tcp", loopback(port))
		who, by = answerOf(t, c)
		c.Close()
	}
	if !strings.HasSuffix(who, " other") {
		t.Errorf("%s answered", who)
	}
	var err error
	for deadline := time.Now().Add(time.Minute); !os.IsNotExist(err) && time.Now().Before(deadline); {
		_, err = os.Lstat(r.control + ".web")
	}
	if !os.IsNotExist(err) {
		t.Errorf("the unix socket that is not listed any more: %v", err)
	}
}

// Variables of sockets that memsup did not open speak of another place.
func TestInheritedSocketsAreNotTold(t *testing.T) {
	for _, name := range []string{"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "EINHORN_FDS", "EINHORN_FD_COUNT", "EINHORN_FD_0", "EINHORN_FD_12"} {
		t.Setenv(name, "1")
	}
	r := launch(t, "procfile", "", `web=env | grep -cE '^(LISTEN_|EINHORN_FD)'; sleep 1000`)
	r.want("0")
}

func TestSocketEnvironment(t *testing.T) {
	web := &processType{Type: Type{Name: "web"}, sockets: []*socket{{Socket: Socket{Name: "admin"}}, {}}}
	want := []string{
		"A=b", "EINHORN_FD_0=3", "EINHORN_FD_1=4", "EINHORN_FD_COUNT=2", "EINHORN_FDS=3 4",
		"LISTEN_FDS=2", "LISTEN_FDNAMES=admin:web",
	}
	if got := web.socketEnvironment([]string{"A=b"}); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
