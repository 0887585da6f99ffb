package supervisor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// portOf is the port that a socket is bound to.
func portOf(t *testing.T, fd int) int {
	t.Helper()
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	if six, ok := name.(*unix.SockaddrInet6); ok {
		return six.Port
	}
	return name.(*unix.SockaddrInet4).Port
}

func TestTCPSockets(t *testing.T) {
	for _, test := range []struct {
		c       Socket
		host    string
		refused bool
	}{
		{Socket{Address: "tcp://127.0.0.1:0"}, "127.0.0.1", false},
		{Socket{Address: "tcp://localhost:0"}, "localhost", false},
		{Socket{Address: "tcp://:0"}, "127.0.0.1", false},
		{Socket{Address: "tcp://:0"}, "::1", false},
		{Socket{Address: "tcp://:0", V6Only: true}, "127.0.0.1", true},
		{Socket{Address: "tcp://[::]:0", V6Only: true}, "::1", false},
		{Socket{Address: "tcp://[::1]:0", Backlog: 7}, "::1", false},
		{Socket{Address: "tcp://127.0.0.1:0", Backlog: 7}, "127.0.0.1", false},
	} {
		if l, err := net.Listen("tcp", net.JoinHostPort(test.host, "0")); err == nil {
			l.Close()
		} else if test.host == "::1" || test.c.V6Only {
			continue // there is no IPv6
		}
		s, err := openSocket(test.c)
		if err != nil {
			t.Error(err)
			continue
		}
		c, err := net.Dial("tcp", net.JoinHostPort(test.host, strconv.Itoa(portOf(t, s.fd))))
		if refused := errors.Is(err, unix.ECONNREFUSED); refused != test.refused || err != nil && !refused {
			t.Errorf("%+v from %s: %v", test.c, test.host, err)
		}
		if err == nil {
			c.Close()
		}
		if _, room, err := backlog(s.fd); err != nil || test.c.Backlog > 0 && room != test.c.Backlog || room == 0 {
			t.Errorf("%+v: room for %d, %v", test.c, room, err)
		}
		again := test.c
		again.Address = fmt.Sprint("tcp://", net.JoinHostPort(test.host, strconv.Itoa(portOf(t, s.fd))))
		if other, err := openSocket(again); err == nil && !test.refused {
			t.Errorf("%s was opened twice", again.Address)
			other.close()
		} else if err != nil && (!errors.Is(err, unix.EADDRINUSE) || !strings.HasPrefix(err.Error(), "listen on "+again.Address+": ")) {
			t.Errorf("%s once more: %v", again.Address, err)
		}
		s.close()
	}
}

func TestUnixSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	c := Socket{Address: "unix://" + path, Mode: 0o640}
	stale, err := bindUnix(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(stale)
	s, err := openSocket(c)
	if err != nil {
		t.Fatalf("a file that nobody listens on is in the way: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != os.ModeSocket|0o640 {
		t.Errorf("the file is %v, %v", info, err)
	}
	dialIn(t, "unix", path)
	if _, err := openSocket(c); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "another process listens") {
		t.Errorf("over one that is alive: %v", err)
	}
	dialIn(t, "unix", path)

	os.Remove(path)
	newer, err := openSocket(c)
	if err != nil {
		t.Fatal(err)
	}
	s.close()
	dialIn(t, "unix", path)
	if newer.close(); newer.ours() {
		t.Error("the file outlived its socket")
	}

	if err := os.WriteFile(path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openSocket(c); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("over a file: %v", err)
	}
	if text, err := os.ReadFile(path); string(text) != "kept" {
		t.Errorf("the file holds %q, %v", text, err)
	}
}

// A reload keeps what is open under the same address, whichever type lists it, and
// opens the rest before anything is closed.
func TestOpenSockets(t *testing.T) {
	dir := t.TempDir()
	there := func(name string) bool { _, err := os.Lstat(filepath.Join(dir, name)); return err == nil }
	kept, first, second := Socket{Address: "tcp://127.0.0.1:0"}, Socket{Address: "unix://" + dir + "/first"}, Socket{Address: "unix://" + dir + "/second"}
	s := &supervisor{c: &Config{}}
	reload := func(types ...Type) error {
		all, err := openSockets(types, s.sockets)
		if err == nil {
			s.setTypes(&Config{Types: types}, all)
		}
		if s.tidied != nil {
			<-s.tidied
		}
		return err
	}
	if err := reload(Type{Name: "web", Listen: []Socket{kept, first}}); err != nil {
		t.Fatal(err)
	}
	fd := s.types[0].sockets[0].fd

	wrong := Socket{Address: "unix://" + dir + "/none/s"}
	if err := reload(Type{Name: "web", Listen: []Socket{second, wrong}}); err == nil || !strings.Contains(err.Error(), wrong.Address) {
		t.Errorf("a directory that is not there: %v", err)
	}
	if there("second") || !there("first") || len(s.types[0].sockets) != 2 {
		t.Error("an error has changed something")
	}

	if err := reload(Type{Name: "api", Listen: []Socket{kept}}, Type{Name: "web", Listen: []Socket{second}}); err != nil {
		t.Fatal(err)
	}
	if s.types[0].sockets[0].fd != fd || there("first") || !there("second") {
		t.Errorf("descriptor %d was %d; first is there: %v; second: %v", s.types[0].sockets[0].fd, fd, there("first"), there("second"))
	}

	kept.Backlog, second.Mode = 3, 0o600
	if err := reload(Type{Name: "web", Listen: []Socket{kept, second}}); err != nil {
		t.Fatal(err)
	}
	if _, room, err := backlog(fd); room != 3 || err != nil || s.types[0].sockets[0].fd != fd {
		t.Errorf("room for %d, %v", room, err)
	}
	if info, err := os.Stat(dir + "/second"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("second is %v, %v", info, err)
	}

	kept.ReusePort = true
	if err := reload(Type{Name: "web", Listen: []Socket{kept}}); err == nil || !strings.Contains(err.Error(), kept.Address) {
		t.Errorf("reuseport of an open socket: %v", err)
	}
	if s.closeSockets(); there("second") {
		t.Error("a file outlived its socket")
	}
}

// Demand goes by all queues together.
func TestBacklogAddsUp(t *testing.T) {
	path := t.TempDir() + "/s"
	types := []Type{{Name: "web", Listen: []Socket{
		{Address: "tcp://127.0.0.1:0", Backlog: 5},
		{Address: "unix://" + path, Backlog: 50, Mode: 0o600},
		{Address: "tcp://localhost:0", ReusePort: true, Backlog: 7},
	}}}
	s := &supervisor{c: &Config{}}
	all, err := openSockets(types, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.setTypes(&Config{Types: types}, all)
	defer s.closeSockets()
	web := s.types[0]
	for range 2 {
		if _, err := web.add().descriptors(); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, portOf(t, all[0].fd))
	for range 3 {
		fill(t, portOf(t, all[2].fd))
	}
	unixQueue := 50
	if _, _, err := unixBacklog(all[1].fd); err != nil {
		t.Log("the unix socket does not count: ", err)
		unixQueue = 0
	}
	n, room := 0, 0
	for deadline := time.Now().Add(time.Minute); n != 4 && time.Now().Before(deadline); {
		n, room, _ = web.backlog()
	}
	if n != 4 || room != 5+7+7+unixQueue {
		t.Errorf("%d of %d wait, want 4 of %d", n, room, 19+unixQueue)
	}
	for len(web.slots) > 0 {
		s.dropWorker(web.slots[0])
	}
	if n, room, _ := web.backlog(); n != 1 || room != 5+unixQueue {
		t.Errorf("%d of %d wait when the workers are gone, want 1 of %d", n, room, 5+unixQueue)
	}
}

// A worker that starts beside the one whose place it takes shares that one's sockets:
// what waits in them outlives the other's end.
func TestReplacementInheritsOwnSockets(t *testing.T) {
	types := []Type{{Name: "web", Listen: []Socket{{Address: "tcp://127.0.0.1:0", ReusePort: true}}}}
	s := &supervisor{c: &Config{}}
	all, err := openSockets(types, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.setTypes(&Config{Types: types}, all)
	defer s.closeSockets()
	web := s.types[0]
	old := web.add()
	if _, err := old.descriptors(); err != nil {
		t.Fatal(err)
	}
	dialIn(t, "tcp", loopback(portOf(t, all[0].fd)))
	s.startBeside(old, "")
	beside := old.successor
	if n, _, err := web.backlog(); n != 1 || err != nil {
		t.Errorf("%d connections wait, %v; want 1", n, err)
	}
	old.part()
	s.dropWorker(old)
	fds, err := beside.descriptors()
	if err != nil {
		t.Fatal(err)
	}
	if n, _, err := backlog(int(fds[0])); n != 1 || err != nil {
		t.Errorf("%d connections wait when the old one is gone, %v; want 1", n, err)
	}
	s.dropWorker(beside)
}
