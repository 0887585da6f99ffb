package supervisor

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Socket is one socket that memsup opens for a type, and that the type's
// workers inherit.
type Socket struct {
	// Address is tcp://HOST:PORT or unix:///PATH. HOST is an address or a name;
	// where it is empty or [::] the socket takes IPv6 and IPv4.
	Address string
	// Name is what LISTEN_FDNAMES calls it; empty is the type's name.
	Name string
	// Backlog is how many connections may wait to be accepted, listen(2). Zero is
	// as many as net.core.somaxconn allows, which is the most in any case.
	Backlog int
	// Mode is the permissions of a unix socket's file.
	Mode uint32
	// V6Only has an IPv6 socket take no IPv4: IPV6_V6ONLY, ipv6(7).
	V6Only bool
	// ReusePort gives each worker a socket of its own on the address:
	// SO_REUSEPORT, socket(7).
	ReusePort bool
}

// socket is one that is open.
type socket struct {
	Socket
	// fd listens and is inherited by every worker. With ReusePort it only holds
	// the address: the workers' own sockets listen.
	fd       int
	path     string // of a unix socket's file; empty is none
	dev, ino uint64 // which file that is
}

// openSocket opens the socket of one address. It may ask DNS and look at files, so
// it is never called in the loop. The descriptor is closed on exec and blocking, as
// systemd passes one on.
func openSocket(c Socket) (*socket, error) {
	s := &socket{Socket: c, fd: -1}
	var err error
	if path, ok := strings.CutPrefix(c.Address, "unix://"); ok {
		err = s.openUnix(path)
	} else if hostPort, ok := strings.CutPrefix(c.Address, "tcp://"); ok {
		err = s.openTCP(hostPort)
	} else {
		err = errors.New("the form is tcp://HOST:PORT or unix:///PATH")
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", c.Address, err)
	}
	return s, nil
}

func (s *socket) openTCP(hostPort string) error {
	tcp, err := net.ResolveTCPAddr("tcp", hostPort)
	if err != nil {
		return err
	}
	s.fd, err = s.bind(sockaddr(tcp))
	if errors.Is(err, unix.EAFNOSUPPORT) && !s.V6Only && (tcp.IP == nil || tcp.IP.IsUnspecified()) {
		s.fd, err = s.bind(&unix.SockaddrInet4{Port: tcp.Port}) // there is no IPv6
	}
	if err != nil || s.ReusePort {
		return err
	}
	if err = s.listen(s.fd); err != nil {
		unix.Close(s.fd)
	}
	return err
}

// bind makes a TCP socket that has the address and does not listen yet.
func (c *Socket) bind(sa unix.Sockaddr) (fd int, err error) {
	domain := unix.AF_INET
	if _, six := sa.(*unix.SockaddrInet6); six {
		domain = unix.AF_INET6
	}
	if fd, err = unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	set := func(level, option int, on bool) {
		value := 0
		if on {
			value = 1
		}
		if err == nil {
			err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, option, value))
		}
	}
	set(unix.SOL_SOCKET, unix.SO_REUSEADDR, true)
	if domain == unix.AF_INET6 {
		set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, c.V6Only)
	}
	if c.ReusePort {
		set(unix.SOL_SOCKET, unix.SO_REUSEPORT, true)
	}
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(fd, sa))
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// listen begins to listen, or changes how many connections may wait.
func (c *Socket) listen(fd int) error {
	backlog := c.Backlog
	if backlog == 0 {
		backlog = math.MaxInt32
	}
	return os.NewSyscallError("listen", unix.Listen(fd, backlog))
}

// another opens one more socket on the address of one with ReusePort. The kernel
// shares new connections out among those that listen.
func (s *socket) another() (fd int, err error) {
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		return -1, os.NewSyscallError("getsockname", err)
	}
	if fd, err = s.bind(sa); err != nil {
		return -1, err
	}
	if err = s.listen(fd); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (s *socket) openUnix(path string) error {
	fd, err := bindUnix(path, 0)
	if err != nil {
		return err
	}
	s.fd, s.path = fd, path
	var st unix.Stat_t
	if err = os.NewSyscallError("lstat", unix.Lstat(path, &st)); err == nil {
		s.dev, s.ino = st.Dev, st.Ino
		err = os.NewSyscallError("chmod", unix.Chmod(path, s.Mode))
	}
	if err == nil { // nobody can connect before it has its permissions
		err = s.listen(fd)
	}
	if err != nil {
		s.close()
	}
	return err
}

// ours says whether the file at a unix socket's path is still this socket's: another
// process may have put its own there. The socket holds its file's inode until its last
// descriptor is closed, so that no other file has that number before.
func (s *socket) ours() bool {
	var st unix.Stat_t
	return unix.Lstat(s.path, &st) == nil && st.Dev == s.dev && st.Ino == s.ino
}

// close closes memsup's descriptor, and removes a unix socket's file.
func (s *socket) close() {
	if s.path != "" && s.ours() {
		_ = unix.Unlink(s.path)
	}
	unix.Close(s.fd)
}

// bindUnix makes a socket at path that does not listen yet.
func bindUnix(path string, flags int) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err = bindPath(fd, path); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// bindPath binds a unix socket to a path. One there that nobody answers on any more
// is replaced.
func bindPath(fd int, path string) error {
	address := &unix.SockaddrUnix{Name: path}
	err := os.NewSyscallError("bind", unix.Bind(fd, address))
	if errors.Is(err, unix.EADDRINUSE) {
		if err = abandoned(path); err == nil {
			_ = unix.Unlink(path)
			err = os.NewSyscallError("bind", unix.Bind(fd, address))
		}
	}
	return err
}

func sockaddr(tcp *net.TCPAddr) unix.Sockaddr {
	if ip := tcp.IP.To4(); ip != nil {
		return &unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(ip)}
	}
	six := &unix.SockaddrInet6{Port: tcp.Port}
	if tcp.IP != nil {
		six.Addr = [16]byte(tcp.IP.To16())
	}
	if tcp.Zone != "" {
		if link, err := net.InterfaceByName(tcp.Zone); err == nil {
			six.ZoneId = uint32(link.Index)
		}
	}
	return six
}
