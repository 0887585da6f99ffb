package supervisor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The kernel tells how many connections wait on a unix socket that memsup holds.
func TestUnixBacklog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s, err := openSocket(Socket{Address: "unix://" + path, Mode: 0o600, Backlog: 9})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for want := range 3 {
		n, room, err := unixBacklog(s.fd)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPROTONOSUPPORT) {
			t.Skip("needs unix_diag: ", err)
		}
		if n != want || room != 9 || err != nil {
			t.Errorf("%d of %d wait, %v; want %d of 9", n, room, err, want)
		}
		dialIn(t, "unix", path)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if n, room, err := unixBacklog(int(null.Fd())); err == nil {
		t.Errorf("%d of %d wait on what is no socket", n, room)
	}
}

// An answer that is cut off or of another kind is an error.
func TestParseUnixQueue(t *testing.T) {
	const head = "\x3c\x00\x00\x00\x14\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + "\x01\x01\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	const shutdown = "\x05\x00\x06\x00\x00\x00\x00\x00"
	const queue = "\x0c\x00\x04\x00\x02\x00\x00\x00\x07\x00\x00\x00"
	whole := head + shutdown + queue
	if n, room, err := parseUnixQueue([]byte(whole)); n != 2 || room != 7 || err != nil {
		t.Errorf("%d of %d, %v; want 2 of 7", n, room, err)
	}
	for i := range whole {
		if n, room, err := parseUnixQueue([]byte(whole[:i])); err == nil {
			t.Errorf("%d of %d in the first %d bytes", n, room, i)
		}
	}
	if _, _, err := parseUnixQueue([]byte(head + "\x00\x00\x00\x00" + queue)); err == nil {
		t.Error("an attribute of no length")
	}
	failed := strings.Replace(head, "\x14", "\x02", 1)
	failed = failed[:16] + "\xfe\xff\xff\xff" + failed[20:]
	if _, _, err := parseUnixQueue([]byte(failed)); !errors.Is(err, unix.ENOENT) {
		t.Errorf("the kernel said ENOENT: %v", err)
	}
}
