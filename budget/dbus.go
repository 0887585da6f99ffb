package budget

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// bus is a connection to a D-Bus daemon, or to a peer without one. The library
// makes and takes apart the messages. Its own connection is not used: a goroutine
// in there panics at a signal without the arguments that it should have, which
// would end PID 1 and with it the container. Here one call is made at a time, and
// what waits does so until the deadline.
type bus struct {
	conn   net.Conn
	serial uint32
}

// dialBus connects to the socket at path and authenticates by the credentials
// that the kernel tells of this process.
func dialBus(path string, deadline time.Time) (*bus, error) {
	dialer := net.Dialer{Deadline: deadline}
	conn, err := dialer.Dial("unix", path)
	if err != nil {
		return nil, cause(err)
	}
	b := &bus{conn: conn}
	if err = conn.SetDeadline(deadline); err == nil {
		err = b.authenticate()
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("authentication: %w", cause(err))
	}
	return b, nil
}

// authenticate names no user: within a user namespace this process's number is
// another one than the peer's.
func (b *bus) authenticate() error {
	line, err := b.say("\x00AUTH EXTERNAL\r\n")
	if err == nil && strings.HasPrefix(line, "DATA") {
		line, err = b.say("DATA\r\n")
	}
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "OK") {
		return fmt.Errorf("want OK, got %.40q", line)
	}
	_, err = io.WriteString(b.conn, "BEGIN\r\n")
	return err
}

// say writes a line and reads the answer. It reads one byte at a time, so that
// nothing is taken of the messages that follow.
func (b *bus) say(text string) (string, error) {
	if _, err := io.WriteString(b.conn, text); err != nil {
		return "", err
	}
	var line [512]byte
	for n := range line {
		if _, err := io.ReadFull(b.conn, line[n:n+1]); err != nil {
			return "", err
		}
		if line[n] == '\n' {
			return strings.TrimRight(string(line[:n]), "\r"), nil
		}
	}
	return "", errors.New("a line without an end")
}

// method names a method of an object. A peer without a daemon needs no
// destination.
type method struct {
	destination, path, iface, name string
}

// refusal is an error that the other side sent.
type refusal struct{ name, text string }

func (r *refusal) Error() string { return strings.TrimSuffix(r.name+": "+r.text, ": ") }

// cause is an error of the connection without its address, which whoever asks names.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// call calls a method and returns what it answered: what the deadline leaves time
// for. After an error other than a refusal the connection is of no use.
func (b *bus) call(m method, args ...any) ([]any, error) {
	reply, err := b.exchange(m, args)
	return reply, cause(err)
}

func (b *bus) exchange(m method, args []any) ([]any, error) {
	b.serial++
	message := dbus.Message{Type: dbus.TypeMethodCall, Flags: dbus.FlagNoAutoStart, Body: args, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath:      dbus.MakeVariant(dbus.ObjectPath(m.path)),
		dbus.FieldInterface: dbus.MakeVariant(m.iface),
		dbus.FieldMember:    dbus.MakeVariant(m.name),
	}}
	if m.destination != "" {
		message.Headers[dbus.FieldDestination] = dbus.MakeVariant(m.destination)
	}
	if len(args) > 0 {
		message.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(args...))
	}
	var text bytes.Buffer
	if err := message.EncodeTo(&text, binary.LittleEndian); err != nil {
		return nil, err
	}
	const serialAt = 8 // in the header, as the D-Bus specification has it
	binary.LittleEndian.PutUint32(text.Bytes()[serialAt:], b.serial)
	if _, err := b.conn.Write(text.Bytes()); err != nil {
		return nil, err
	}
	for {
		frame, err := b.frame()
		if err != nil {
			return nil, err
		}
		reply, err := decode(frame)
		if err != nil {
			return nil, err
		}
		if to, _ := reply.Headers[dbus.FieldReplySerial].Value().(uint32); to != b.serial {
			continue // a signal, or a call of somebody's
		}
		switch reply.Type {
		case dbus.TypeMethodReply:
			return reply.Body, nil
		case dbus.TypeError:
			r := &refusal{}
			r.name, _ = reply.Headers[dbus.FieldErrorName].Value().(string)
			if len(reply.Body) > 0 {
				r.text, _ = reply.Body[0].(string)
			}
			return nil, r
		}
	}
}

// longestMessage is far above what is asked for here, all properties of a unit.
const longestMessage = 1 << 20

var errMalformed = errors.New("malformed D-Bus message")

// frame reads one whole message.
func (b *bus) frame() ([]byte, error) {
	var fixed [16]byte
	if _, err := io.ReadFull(b.conn, fixed[:]); err != nil {
		return nil, err
	}
	var order binary.ByteOrder
	switch fixed[0] {
	case 'l':
		order = binary.LittleEndian
	case 'B':
		order = binary.BigEndian
	default:
		return nil, errMalformed
	}
	body, fields := order.Uint32(fixed[4:]), order.Uint32(fixed[12:])
	if body > longestMessage || fields > longestMessage {
		return nil, fmt.Errorf("%w: longer than %d bytes", errMalformed, longestMessage)
	}
	frame := make([]byte, len(fixed)+int(fields+7)&^7+int(body))
	copy(frame, fixed[:])
	_, err := io.ReadFull(b.conn, frame[len(fixed):])
	return frame, err
}

// decode takes a message apart. A panic of the library, as it has had them at
// malformed ones, must not end PID 1.
func decode(frame []byte) (m *dbus.Message, err error) {
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, fmt.Errorf("%w: %v", errMalformed, p)
		}
	}()
	if m, err = dbus.DecodeMessage(bytes.NewReader(frame)); err != nil {
		err = fmt.Errorf("%w: %w", errMalformed, err)
	}
	return m, err
}

// first is the first value of a reply, where it is a T; a variant is unpacked.
func first[T any](reply []any, err error) (T, error) {
	var want T
	if err != nil {
		return want, err
	}
	if len(reply) == 0 {
		return want, fmt.Errorf("%w: an empty reply", errMalformed)
	}
	value := reply[0]
	if v, ok := value.(dbus.Variant); ok {
		value = v.Value()
	}
	got, ok := value.(T)
	if !ok {
		return want, fmt.Errorf("%w: want %T, got %T", errMalformed, want, value)
	}
	return got, nil
}

// objectPath is the object that a reply names.
func objectPath(reply []any, err error) (string, error) {
	path, err := first[dbus.ObjectPath](reply, err)
	return string(path), err
}

func isRefusal(err error) bool {
	var r *refusal
	return errors.As(err, &r)
}
