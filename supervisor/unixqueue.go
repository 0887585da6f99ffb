package supervisor

import (
	"encoding/binary"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// unix_diag's words, linux/unix_diag.h.
const (
	unixDiagShowQueue = 0x10 // UDIAG_SHOW_RQLEN
	unixDiagQueue     = 4    // UNIX_DIAG_RQLEN
)

// unixBacklog is how many connections wait on a listening unix socket and how many
// may. The kernel tells it over sock_diag(7), which has answered when the request was
// sent: nothing is waited for.
func unixBacklog(fd int) (waiting, room int, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, 0, os.NewSyscallError("fstat", err)
	}
	diag, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, 0, os.NewSyscallError("socket(NETLINK_SOCK_DIAG)", err)
	}
	defer unix.Close(diag)
	const size = unix.SizeofNlMsghdr + 24 // and struct unix_diag_req
	order := binary.NativeEndian
	q := order.AppendUint32(make([]byte, 0, size), size)
	q = order.AppendUint16(q, unix.SOCK_DIAG_BY_FAMILY)
	q = order.AppendUint16(q, unix.NLM_F_REQUEST)
	q = append(q, make([]byte, 8)...) // sequence and port
	q = append(q, unix.AF_UNIX, 0, 0, 0)
	q = order.AppendUint32(q, ^uint32(0)) // in any state
	q = order.AppendUint32(q, uint32(st.Ino))
	q = order.AppendUint32(q, unixDiagShowQueue)
	q = order.AppendUint64(q, ^uint64(0)) // whatever its cookie
	if err := unix.Sendto(diag, q, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, 0, os.NewSyscallError("sendto(NETLINK_SOCK_DIAG)", err)
	}
	var answer [512]byte
	n, _, err := unix.Recvfrom(diag, answer[:], unix.MSG_DONTWAIT)
	if err != nil {
		return 0, 0, os.NewSyscallError("recvfrom(NETLINK_SOCK_DIAG)", err)
	}
	return parseUnixQueue(answer[:n])
}

// parseUnixQueue reads the answer: a header, struct unix_diag_msg and attributes, of
// which one is the queue.
func parseUnixQueue(b []byte) (waiting, room int, err error) {
	order := binary.NativeEndian
	const head = unix.SizeofNlMsghdr
	switch {
	case len(b) >= head+4 && order.Uint16(b[4:]) == unix.NLMSG_ERROR:
		return 0, 0, os.NewSyscallError("unix_diag", unix.Errno(-int32(order.Uint32(b[head:]))))
	case len(b) < head+16 || order.Uint16(b[4:]) != unix.SOCK_DIAG_BY_FAMILY:
		return 0, 0, errors.New("unix_diag gave no answer to the question")
	}
	for b = b[head+16:]; len(b) >= 4; {
		size := int(order.Uint16(b))
		if size < 4 || size > len(b) {
			break
		}
		if order.Uint16(b[2:]) == unixDiagQueue && size >= 12 {
			return int(order.Uint32(b[4:])), int(order.Uint32(b[8:])), nil
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return 0, 0, errors.New("unix_diag tells no queue")
}
