package supervisor

import (
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// listen opens the TCP socket of address, tcp://HOST:PORT, that every worker
// of a type inherits. HOST is an address; empty or [::] takes IPv6 and IPv4.
// The descriptor is closed on exec and blocking, as systemd passes one on.
func listen(address string) (fd int, err error) {
	hostPort, ok := strings.CutPrefix(address, "tcp://")
	if !ok {
		return -1, fmt.Errorf("listen on %q: the form is tcp://HOST:PORT", address)
	}
	tcp, err := net.ResolveTCPAddr("tcp", hostPort)
	if err != nil {
		return -1, fmt.Errorf("listen on %s: %w", address, err)
	}
	domain, sa := sockaddr(tcp)
	fd, err = unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == unix.EAFNOSUPPORT && domain == unix.AF_INET6 && (tcp.IP == nil || tcp.IP.IsUnspecified()) {
		domain, sa = unix.AF_INET, &unix.SockaddrInet4{Port: tcp.Port}
		fd, err = unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	}
	if err != nil {
		return -1, fmt.Errorf("listen on %s: %w", address, os.NewSyscallError("socket", err))
	}
	err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
	if err == nil && domain == unix.AF_INET6 {
		err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0))
	}
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(fd, sa))
	}
	if err == nil {
		err = os.NewSyscallError("listen", unix.Listen(fd, unix.SOMAXCONN))
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("listen on %s: %w", address, err)
	}
	return fd, nil
}

func sockaddr(tcp *net.TCPAddr) (domain int, sa unix.Sockaddr) {
	if ip := tcp.IP.To4(); ip != nil {
		return unix.AF_INET, &unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(ip)}
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
	return unix.AF_INET6, six
}
