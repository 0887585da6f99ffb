package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/cost"
)

// notifier is the socket on which workers tell of themselves, by sd_notify(3):
// one for all of them, beside the control socket, its path with .notify after it.
// Who sent a datagram is the kernel's word (SCM_CREDENTIALS of unix(7)).
//
// A goroutine reads it and looks up whose child the sender is, while that is
// still there. The queue behind it is bounded and so is the socket: who sends
// faster than the loop reads has to wait. A nil notifier hears nothing.
type notifier struct {
	name string // the value of NOTIFY_SOCKET
	path string // its file; empty where the name is an abstract one
	file *os.File
	said chan notification
}

// notification is one datagram, as far as it is understood.
type notification struct {
	line     []int // the sender and its parents, nearest first
	ready    bool
	stopping bool
	alive    bool // WATCHDOG=1
	failed   bool // WATCHDOG=trigger
	status   *string
	mainPID  int
	extend   time.Duration
}

const (
	// longestNotification is how many bytes a datagram may have. systemd's limit.
	longestNotification = 4 << 10
	// longestStatusText is how many bytes of STATUS= are shown.
	longestStatusText = 200
	// queuedNotifications is how many wait for the loop.
	queuedNotifications = 16
	// deepest is how many processes may lie between a sender and its worker.
	deepest = 32
	// longestExtension bounds EXTEND_TIMEOUT_USEC.
	longestExtension = 24 * time.Hour
)

// notifyRest is how long nothing is read after as many datagrams as are queued
// came without a pause, so that a flood leaves time for everything else.
const notifyRest = 10 * time.Millisecond

// openNotifier opens the socket when the first type wants it. Where its path
// cannot be had it gets an abstract name.
func (s *supervisor) openNotifier() {
	wanted := false
	for _, t := range s.types {
		wanted = wanted || t.notifies()
	}
	if !wanted || s.notifier != nil {
		return
	}
	path := ""
	if control := s.control.socket(); control != "" {
		path = control + ".notify"
	}
	n, err := newNotifier(path)
	if err != nil && path != "" {
		s.log.info("the notification socket has an abstract name", "because", err)
		n, err = newNotifier("")
	}
	if err == nil {
		err = n.listen(s.gone)
	}
	if err != nil {
		s.log.error("no notification socket: workers cannot say that they are ready", "error", err)
		return
	}
	s.notifier = n
}

// newNotifier makes the socket at path, or with a name that the kernel chooses
// where that is empty (autobind of unix(7)).
func newNotifier(path string) (*notifier, error) {
	if path != "" {
		var err error
		if path, err = filepath.Abs(path); err != nil {
			return nil, err
		}
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	// Before the name is known: each datagram has its credentials.
	err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1))
	if err == nil {
		err = bindNotifier(fd, path)
	}
	name := path
	if err == nil && path == "" {
		name, err = boundName(fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &notifier{name: name, path: path, file: os.NewFile(uintptr(fd), name), said: make(chan notification, queuedNotifications)}, nil
}

// bindNotifier binds the socket to its path, or to a name that the kernel chooses
// where that is empty. Who may write there the directory's mode says, and who is
// heard the credentials.
func bindNotifier(fd int, path string) error {
	if path == "" {
		return os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrUnix{}))
	}
	err := bindPath(fd, path)
	if err == nil {
		err = os.NewSyscallError("chmod", unix.Chmod(path, 0o666))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// boundName is the abstract name of a socket, with @ for its first byte, as
// sd_notify(3) takes it.
func boundName(fd int) (string, error) {
	address, err := unix.Getsockname(fd)
	if err != nil {
		return "", os.NewSyscallError("getsockname", err)
	}
	if name, ok := address.(*unix.SockaddrUnix); ok && name.Name != "" {
		return name.Name, nil
	}
	return "", errors.New("the kernel gave the socket no name")
}

func (n *notifier) socket() string {
	if n == nil {
		return ""
	}
	return n.name
}

// inode is the path of the socket's file; empty where there is none.
func (n *notifier) inode() string {
	if n == nil {
		return ""
	}
	return n.path
}

func (n *notifier) notifications() chan notification {
	if n == nil {
		return nil
	}
	return n.said
}

// listen reads from now on, until the loop has ended.
func (n *notifier) listen(ended <-chan struct{}) error {
	conn, err := n.file.SyscallConn()
	if err != nil {
		return err
	}
	go n.read(conn, ended)
	return nil
}

func (n *notifier) read(conn syscall.RawConn, ended <-chan struct{}) {
	// There is room for the credentials and for nothing else: descriptors that
	// are sent along are closed by the kernel.
	text, control := make([]byte, longestNotification+1), make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	own := os.Getpid()
	inARow := 0
	for {
		var size, extra int
		var failed error
		err := conn.Read(func(fd uintptr) bool {
			size, extra, _, _, failed = unix.Recvmsg(int(fd), text, control, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
			if failed == unix.EAGAIN {
				inARow = 0
				return false
			}
			return true
		})
		if err != nil {
			return // it was closed
		}
		if inARow++; inARow > queuedNotifications {
			inARow = 0
			time.Sleep(notifyRest)
		}
		if failed != nil || size > longestNotification {
			continue
		}
		sender := senderOf(control[:extra])
		if sender <= 0 {
			continue // of another PID namespace
		}
		got := parseNotification(string(text[:size]))
		got.line = lineage(sender, own)
		select {
		case n.said <- got:
		case <-ended:
			return
		}
	}
}

// senderOf is the pid of the kernel's credentials; 0 where there are none.
func senderOf(control []byte) int {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) == 0 || len(messages[0].Data) < unix.SizeofUcred {
		return 0
	}
	who, err := unix.ParseUnixCredentials(&messages[0])
	if err != nil {
		return 0
	}
	return int(who.Pid)
}

// lineage is a process and its parents below top, nearest first. It is empty
// where the process is gone.
func lineage(pid, top int) (line []int) {
	for len(line) < deepest && pid > 1 && pid != top {
		parent, ok := cost.Parent("/proc", pid)
		if !ok {
			break
		}
		line = append(line, pid)
		pid = parent
	}
	return line
}

// parseNotification reads lines of NAME=value; what is not understood is left
// out, as systemd does.
func parseNotification(text string) (n notification) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch name {
		case "READY":
			n.ready = value == "1"
		case "STOPPING":
			n.stopping = value == "1"
		case "STATUS":
			status := legible(value, longestStatusText)
			n.status = &status
		case "WATCHDOG":
			n.alive, n.failed = value == "1", value == "trigger"
		case "MAINPID":
			if pid, err := strconv.Atoi(value); err == nil && pid > 1 {
				n.mainPID = pid
			}
		case "EXTEND_TIMEOUT_USEC":
			if us, err := strconv.ParseUint(value, 10, 64); err == nil {
				n.extend = time.Duration(min(us, uint64(longestExtension/time.Microsecond))) * time.Microsecond
			}
		}
	}
	return n
}

// legible is a text of at most so many bytes in which what cannot be printed is
// escaped.
func legible(text string, most int) string {
	var out strings.Builder
	for _, r := range text {
		piece := string(r)
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			quoted := strconv.QuoteRuneToASCII(r)
			piece = quoted[1 : len(quoted)-1]
		}
		if out.Len()+len(piece) > most {
			break
		}
		out.WriteString(piece)
	}
	return out.String()
}

// notified takes in what a worker said of itself.
func (s *supervisor) notified(n notification) {
	var w *worker
	for _, pid := range n.line {
		if w = s.byPID[pid]; w != nil {
			break
		}
	}
	if w == nil || !w.typ.notifies() || s.c.Command != nil {
		s.log.debug("ignored a notification: its sender is no worker that was asked for one, or is gone", "sender and parents", n.line)
		return
	}
	h, now := &w.health, s.now()
	if n.status != nil {
		h.text = *n.status
	}
	if n.mainPID != 0 && n.mainPID != w.pid {
		s.log.debug("another main process was named, which changes nothing", "worker", w.name, "pid", w.pid, "named", n.mainPID)
	}
	if n.extend > 0 {
		h.extended = max(h.extended, now+n.extend)
	}
	if n.alive {
		h.beat = now
		if w.typ.Alive.By == ByNotify {
			h.failures = 0
		}
	}
	if n.ready && w.state == starting && w.asks() && w.typ.ReadyWhen.By == ByNotify {
		s.readyNow(w, now, "it said READY=1")
	}
	if n.stopping && !h.leaving {
		h.leaving, h.leavingAt = true, now
		s.log.info("is stopping by itself", "worker", w.name)
	}
	if n.failed && w.typ.Alive.By == ByNotify && w.state != stopping && !s.ending {
		s.notAlive(w, "it said WATCHDOG=trigger")
	}
}

// close removes the socket; senders see its end when memsup's comes.
func (n *notifier) close() {
	if n != nil && n.path != "" {
		_ = unix.Unlink(n.path)
	}
}
