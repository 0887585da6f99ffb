package budget

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// listen serves a socket below root, each connection by serve, until the test ends.
func listen(t testing.TB, path string, serve func(net.Conn)) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, c)
			go serve(c)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-ended
		for _, c := range conns {
			c.Close()
		}
	})
}

// socketRoot is a root whose sockets have paths that are short enough for them.
func socketRoot(t testing.TB) string {
	t.Helper()
	root, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	write(t, root+"/proc/meminfo", "MemTotal: 1048576 kB\nMemAvailable: 524288 kB\n")
	return root
}

// welcome is the other side of the authentication, as the D-Bus specification has
// it for EXTERNAL without a name. It is false where the client said otherwise.
func welcome(c net.Conn, in *bufio.Reader) bool {
	for _, step := range []struct{ want, answer string }{
		{"\x00AUTH EXTERNAL\r\n", "DATA\r\n"}, {"DATA\r\n", "OK 0123456789abcdef0123456789abcdef\r\n"}, {"BEGIN\r\n", ""},
	} {
		if line, err := in.ReadString('\n'); err != nil || line != step.want {
			return false
		}
		if _, err := io.WriteString(c, step.answer); err != nil {
			return false
		}
	}
	return true
}

// handler answers one call. An error is sent as D-Bus's, with its text as the name.
type handler func(destination, path, member string, args []any) ([]any, error)

// answering serves a connection by h. Before each answer it sends a signal and an
// answer to nothing, which the client has not asked for.
func answering(h handler) func(net.Conn) {
	return func(c net.Conn) {
		defer c.Close()
		in := bufio.NewReader(c)
		if !welcome(c, in) {
			return
		}
		for {
			call, err := dbus.DecodeMessage(in)
			if err != nil {
				return
			}
			destination, _ := call.Headers[dbus.FieldDestination].Value().(string)
			path, _ := call.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
			iface, _ := call.Headers[dbus.FieldInterface].Value().(string)
			member, _ := call.Headers[dbus.FieldMember].Value().(string)
			values, err := h(destination, string(path), iface+"."+member, call.Body)
			for _, m := range []*dbus.Message{
				{Type: dbus.TypeSignal, Headers: map[dbus.HeaderField]dbus.Variant{
					dbus.FieldPath: dbus.MakeVariant(path), dbus.FieldInterface: dbus.MakeVariant("a.b"), dbus.FieldMember: dbus.MakeVariant("C"),
				}},
				reply(call.Serial()+1000, []any{"another's"}, nil),
				reply(call.Serial(), values, err),
			} {
				if _, err := c.Write(encoded(m)); err != nil {
					return
				}
			}
		}
	}
}

func reply(serial uint32, values []any, err error) *dbus.Message {
	m := &dbus.Message{Type: dbus.TypeMethodReply, Body: values, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldReplySerial: dbus.MakeVariant(serial),
	}}
	if err != nil {
		m.Type, m.Body = dbus.TypeError, []any{"because"}
		m.Headers[dbus.FieldErrorName] = dbus.MakeVariant(err.Error())
	}
	if len(m.Body) > 0 {
		m.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(m.Body...))
	}
	return m
}

// encoded is a message on the wire, with 1 as its serial.
func encoded(m *dbus.Message) []byte {
	var text bytes.Buffer
	if err := m.EncodeTo(&text, binary.LittleEndian); err != nil {
		panic(err)
	}
	text.Bytes()[8] = 1
	return text.Bytes()
}

// TestHostileBus has a peer that is no D-Bus peer, or a lying one: the source is
// told to be of no use, with the reason, and the next one is asked.
func TestHostileBus(t *testing.T) {
	// after is a peer that authenticates, hears one call and says something.
	after := func(text []byte) func(net.Conn) {
		return func(c net.Conn) {
			defer c.Close()
			in := bufio.NewReader(c)
			if !welcome(c, in) {
				return
			}
			if _, err := dbus.DecodeMessage(in); err == nil {
				_, _ = c.Write(text)
			}
		}
	}
	path := []any{dbus.ObjectPath("/unit")}
	whole := encoded(reply(1, path, nil))
	patched := func(at int, b ...byte) []byte {
		text := bytes.Clone(whole)
		copy(text[at:], b)
		return text
	}
	// A text among the fields that goes on to the message's end, where the library's
	// version 5.1 panics.
	overrun := append([]byte{'l', 2, 0, 1, 5, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 5, 1, 's', 0, 4, 0, 0, 0}, "text\x00"...)
	for name, tt := range map[string]struct {
		serve func(net.Conn)
		why   string
	}{
		"closes at once":            {func(c net.Conn) { c.Close() }, "authentication"},
		"refuses":                   {func(c net.Conn) { io.WriteString(c, "REJECTED EXTERNAL\r\n") }, `want OK, got "REJECTED EXTERNAL"`},
		"says nothing of D-Bus":     {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, "want OK"},
		"a line without an end":     {func(c net.Conn) { io.WriteString(c, strings.Repeat("x", 4096)) }, "a line without an end"},
		"never answers":             {func(net.Conn) {}, "timeout"},
		"never answers a call":      {func(c net.Conn) { welcome(c, bufio.NewReader(c)) }, "timeout"},
		"closes after a call":       {after(nil), "EOF"},
		"closes within a header":    {after(whole[:9]), "unexpected EOF"},
		"closes within a body":      {after(whole[:len(whole)-3]), "unexpected EOF"},
		"garbage":                   {after(bytes.Repeat([]byte("garbage "), 100)), "malformed"},
		"a body without an end":     {after(patched(4, 0xff, 0xff, 0xff, 0xff)), "longer than"},
		"fields without an end":     {after(patched(12, 0xff, 0xff, 0xff, 0x7f)), "longer than"},
		"fields that end too early": {after(patched(12, 1)), "malformed"},
		"fields that go on":         {after(overrun), "malformed"},
		"a text without an end":     {after(patched(len(whole)-10, 0xff, 0xff, 0, 0)), "malformed"},
		"a number for an object":    {after(encoded(reply(1, []any{uint64(1)}, nil))), "want dbus.ObjectPath, got uint64"},
		"an empty answer":           {after(encoded(reply(1, nil, nil))), "an empty reply"},
		"an error":                  {after(encoded(reply(1, nil, errors.New("org.example.No")))), "org.example.No: because"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := socketRoot(t)
			listen(t, root+systemdSocket, tt.serve)
			b := openTree(t, root)
			if got := b.Rung(); got != "host" {
				t.Errorf("the rung is %s", got)
			}
			if m := read(t, b); m.Limited {
				t.Errorf("got %+v", m)
			}
			if why := missed(b, "systemd"); !strings.Contains(why, tt.why) || !strings.Contains(why, systemdSocket) {
				t.Errorf("systemd is not used because %q, want %q", why, tt.why)
			}
		})
	}
}

// openPatient opens the Budget of a root whose source is waited for: tests assert
// no time.
func openPatient(t testing.TB, root string) *Budget {
	t.Helper()
	b := openTree(t, root)
	if b.feed != nil {
		b.feed.wait = time.Minute
	}
	return b
}

// missed is why a source does not answer; empty where it was not asked.
func missed(b *Budget, rung string) string {
	for _, m := range b.Missed() {
		if m.Rung == rung {
			return m.Why
		}
	}
	return ""
}

func FuzzFrame(f *testing.F) {
	f.Add(encoded(reply(1, []any{dbus.MakeVariant(uint64(1))}, nil)))
	f.Add(encoded(reply(1, []any{"text"}, nil)))
	f.Add(encoded(reply(1, nil, errors.New("a.b"))))
	f.Add(append([]byte{'l', 2, 0, 1, 5, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 5, 1, 's', 0, 4, 0, 0, 0}, "text\x00"...))
	f.Fuzz(func(t *testing.T, text []byte) {
		here, there := net.Pipe()
		defer here.Close()
		go func() {
			defer there.Close()
			_, _ = there.Write(text)
		}()
		b := &bus{conn: here}
		for {
			frame, err := b.frame()
			if err != nil {
				return
			}
			if m, err := decode(frame); (m == nil) == (err == nil) {
				t.Errorf("got %v, %v", m, err)
			}
		}
	})
}
