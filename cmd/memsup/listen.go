package main

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/memsup/memsup/supervisor"
)

// socketOptions are what may stand behind an address, each with an example.
var socketOptions = [...]struct{ name, example string }{
	{"backlog", "1024"},
	{"mode", "0660"},
	{"name", "admin"},
	{"v6only", "true"},
	{"reuseport", "true"},
}

// longestPath is how many bytes the path of a unix socket may have: sun_path of
// unix(7) less the NUL behind it.
const longestPath = 107

// mostBacklog is more than the kernel's own bound, net.core.somaxconn, ever needs to
// be.
const mostBacklog = 1 << 20

// addresses are the entries of listen: one string, or an array of them.
func (e *entry) addresses() []entry {
	if e.kind == unstable.Array {
		return e.items
	}
	return []entry{*e}
}

// sockets reads listen.
func (e *entry) sockets(port int) (list []supervisor.Socket, err error) {
	for _, one := range e.addresses() {
		s, err := one.socket(port)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// socket reads tcp://HOST:PORT or unix:///PATH with its options: ?NAME=VALUE&….
// $PORT and ${PORT} in the address are port.
func (e *entry) socket(port int) (s supervisor.Socket, err error) {
	text, query, more := strings.Cut(e.text, "?")
	number := strconv.Itoa(port)
	s.Address = strings.NewReplacer("${PORT}", number, "$PORT", number).Replace(text)
	switch {
	case strings.HasPrefix(text, "unix://"):
		err = e.checkPath(&s)
	default:
		err = e.checkHostPort(&s)
	}
	var seen []string
	for offset := len(text) + 1; more && err == nil; {
		var option string
		option, query, more = strings.Cut(query, "&")
		key, _, _ := strings.Cut(option, "=")
		if slices.Contains(seen, key) {
			return s, mistakeAt(e.within(offset), "%s is there twice; write it once", key)
		}
		err = e.socketOption(&s, option, offset)
		seen, offset = append(seen, key), offset+len(option)+1
	}
	return s, err
}

func (e *entry) checkPath(s *supervisor.Socket) error {
	file := strings.TrimPrefix(s.Address, "unix://")
	if !strings.HasPrefix(file, "/") || strings.HasSuffix(file, "/") || strings.ContainsAny(file, "\x00$") {
		return e.errorf("%q is no address; write unix:///PATH, such as unix:///run/web.sock", e.text)
	}
	file = path.Clean(file)
	if len(file) > longestPath {
		return e.errorf("the path of a unix socket has at most %d bytes and this one %d; write a shorter one", longestPath, len(file))
	}
	s.Address = "unix://" + file
	s.Mode = 0o666
	return nil
}

func (e *entry) checkHostPort(s *supervisor.Socket) error {
	rest, ok := strings.CutPrefix(s.Address, "tcp://")
	colon := strings.LastIndexByte(rest, ':')
	if !ok || colon < 0 || strings.Contains(rest, "$") {
		return e.errorf("%q is no address; write tcp://HOST:PORT, such as tcp://0.0.0.0:$PORT, or unix:///PATH", e.text)
	}
	host, six := strings.CutPrefix(rest[:colon], "[")
	switch {
	case six && (!strings.HasSuffix(host, "]") || !isIPv6(strings.TrimSuffix(host, "]"))):
		return e.errorf("%q is no IPv6 address; write one such as [::] or [::1]", rest[:colon])
	case !six && strings.ContainsAny(host, "/:"):
		return e.errorf("host in %q has a colon or slash; write an IPv6 address as tcp://[::]:$PORT", e.text)
	}
	if _, err := parsePort(rest[colon+1:]); err != nil {
		return e.errorf("%w", err)
	}
	return nil
}

func isIPv6(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.Is6()
}

// socketOption reads one option, which begins at a byte of the text.
func (e *entry) socketOption(s *supervisor.Socket, option string, offset int) error {
	key, value, given := strings.Cut(option, "=")
	at, valueAt := e.within(offset), e.within(offset+len(key)+1)
	names := make([]string, len(socketOptions))
	example := ""
	for i, o := range socketOptions {
		if names[i] = o.name; o.name == key {
			example = o.example
		}
	}
	isUnix := strings.HasPrefix(s.Address, "unix:")
	switch {
	case example == "":
		if near, ok := nearest(key, names); ok {
			return mistakeAt(at, "unknown option %q; write %s", key, near)
		}
		return mistakeAt(at, "unknown option %q; write one of %s", key, strings.Join(names, ", "))
	case !given || value == "":
		return mistakeAt(at, "%s has no value; write %[1]s=%s", key, example)
	case key == "mode" && !isUnix:
		return mistakeAt(at, "mode is for the file of a unix socket; remove it")
	case (key == "v6only" || key == "reuseport") && isUnix:
		return mistakeAt(at, "%s is for TCP; remove it", key)
	case key == "v6only" && !takesIPv6(s.Address):
		return mistakeAt(at, "v6only is for IPv6 addresses; remove it, or write tcp://[::]:PORT")
	}
	if err := setSocketOption(s, key, value); err != nil {
		return mistakeAt(valueAt, "%w", err)
	}
	return nil
}

// takesIPv6 says whether a TCP address is of IPv6: in brackets, or without a host.
func takesIPv6(address string) bool {
	return strings.HasPrefix(address, "tcp://[") || strings.HasPrefix(address, "tcp://:")
}

func setSocketOption(s *supervisor.Socket, key, value string) error {
	switch key {
	case "backlog":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > mostBacklog {
			return fmt.Errorf("%q is no number of connections; write one from 1 to %d", value, mostBacklog)
		}
		s.Backlog = n
	case "mode":
		n, err := strconv.ParseUint(value, 8, 32)
		if err != nil || n > 0o777 {
			return fmt.Errorf("%q is no octal mode of a file; write one such as 0660", value)
		}
		s.Mode = uint32(n)
	case "name":
		for _, c := range []byte(value) {
			if c <= ' ' || c > '~' || c == ':' {
				return fmt.Errorf("%q cannot be a name in LISTEN_FDNAMES; write letters, digits, - and _", value)
			}
		}
		if len(value) > 255 {
			return fmt.Errorf("a name in LISTEN_FDNAMES has at most 255 characters and this one %d; write a shorter one", len(value))
		}
		s.Name = value
	default:
		on, err := parseBool(value)
		if err != nil {
			return err
		}
		if key == "v6only" {
			s.V6Only = on
		} else {
			s.ReusePort = on
		}
	}
	return nil
}

// checkSockets says whether the types that run could open their sockets beside each
// other.
func (l *loader) checkSockets(c *supervisor.Config) error {
	taken := make(map[string]string) // where an address was written first
	for i := range c.Types {
		t := &c.Types[i]
		for j, s := range t.Listen {
			listen := l.file.typeTable(t.Name).values["listen"]
			e := listen.addresses()[j]
			if at, ok := taken[s.Address]; ok {
				return e.errorf("%s is listened on already, at %s; write another address", s.Address, at)
			}
			taken[s.Address] = e.at
			if !s.ReusePort {
				continue
			}
			if t.Prefork != nil {
				return e.errorf("reuseport is a socket for each worker, and a master's workers share its own; remove it")
			}
			port, err := strconv.Atoi(s.Address[strings.LastIndexByte(s.Address, ':')+1:])
			if err == nil && l.may != nil {
				err = l.may.checkPort(port)
			}
			if err != nil {
				return e.errorf("%w", err)
			}
		}
	}
	return nil
}

// listenText is the addresses of a type's sockets.
func listenText(t *supervisor.Type) string {
	list := make([]string, len(t.Listen))
	for i, s := range t.Listen {
		list[i] = s.Address
	}
	return strings.Join(list, " ")
}
