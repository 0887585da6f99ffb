package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

var errStopping = errors.New("memsup is stopping")

// control serves HTTP with JSON on a unix socket. Its handlers only pass
// requests to the loop; a client that is slow or hangs costs one of a bounded
// number of connections. A nil control serves nothing.
type control struct {
	path    string
	private bool // in a directory of memsup's own
	open    bool // that others may go through
	fd      int
	server  *http.Server
}

// request is a client's wish. Exactly one of its fields besides again and reply is set.
type request struct {
	status  bool
	again   bool // the workers were measured for it, or that takes too long
	scale   map[string]string
	restart string
	stop    string
	start   string
	exec    *foregroundRequest
	events  chan Decision // to listen to
	leave   bool          // no longer
	reply   chan reply
}

type reply struct {
	status   *Status
	exec     *Foreground
	measured <-chan struct{} // in place of a status: closed when the workers were measured
	err      error
}

// moment is how long a status waits for workers to be measured: a large one may take
// seconds.
const moment = 100 * time.Millisecond

// clients is how many connections are served at once.
const clients = 32

// rootsSocket is the control socket of a memsup that is started as root.
const rootsSocket = "/run/memsup/control.sock"

// places are the paths tried for the control socket, best first.
func places() []string {
	var list []string
	if os.Geteuid() == 0 || unix.Access("/run/memsup", unix.W_OK) == nil {
		list = append(list, rootsSocket)
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		list = append(list, dir+"/memsup/control.sock")
	}
	uid := strconv.Itoa(os.Geteuid())
	return append(list, "/dev/shm/memsup-"+uid+"/control.sock", "/tmp/memsup-"+uid+"/control.sock")
}

// openControl opens the socket at path, or at the first place that can be had.
// That none can is one line of log and no more.
func (s *supervisor) openControl() {
	path := s.c.Control
	if path == "off" {
		return
	}
	candidates := []string{path}
	if path == "" {
		candidates = places()
	}
	var errs error
	for _, p := range candidates {
		if path == "" {
			s.takeBack(filepath.Dir(p))
		}
		fd, err := listenUnix(p, path == "")
		if err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		s.control = &control{path: p, private: path == "", fd: fd}
		return
	}
	s.log.warn("no control socket: memsup status will not answer", "error", firstLine(errs))
}

func firstLine(err error) string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) > 0 {
		return joined.Unwrap()[0].Error()
	}
	return fmt.Sprint(err)
}

// listenUnix makes the socket; where private is set in a directory of its own
// that belongs to this user and that nobody else may enter. A socket that
// nobody answers on any more is replaced. Plain system calls: this is on the
// way to the first worker.
func listenUnix(path string, private bool) (fd int, err error) {
	dir := filepath.Dir(path)
	if private {
		if err := ownDirectory(dir); err != nil {
			return -1, err
		}
	}
	if fd, err = bindUnix(path, unix.SOCK_NONBLOCK); err != nil {
		return -1, &os.PathError{Op: "listen on", Path: path, Err: err}
	}
	if err = unix.Chmod(path, 0o666); err == nil {
		err = unix.Listen(fd, clients)
	}
	if err != nil {
		unix.Close(fd)
		return -1, &os.PathError{Op: "listen on", Path: path, Err: err}
	}
	return fd, nil
}

// abandoned says whether what is at path may be replaced: only a socket that
// nobody listens on.
func abandoned(path string) error {
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSocket == 0 {
		return errors.New("what is there is not a socket")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return errors.New("another process listens there")
	}
	return nil
}

// ownDirectory makes dir with mode 0700, or makes sure that it is this user's.
func ownDirectory(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		return nil
	}
	var st unix.Stat_t
	if statErr := unix.Lstat(dir, &st); statErr != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is not a directory of user %d", dir, os.Geteuid())
	}
	if st.Mode&0o077 != 0 {
		return os.Chmod(dir, 0o700)
	}
	return nil
}

func (c *control) socket() string {
	if c == nil {
		return ""
	}
	return c.path
}

// serve answers clients from now on.
func (c *control) serve(requests chan<- request, ended <-chan struct{}) {
	if c == nil || c.server != nil {
		return
	}
	pass := func(r request) reply {
		r.reply = make(chan reply, 1)
		select {
		case requests <- r:
			return <-r.reply
		case <-ended:
			return reply{err: errStopping}
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		answer := pass(request{status: true})
		if answer.measured != nil {
			select {
			case <-answer.measured:
			case <-time.After(moment):
			}
			answer = pass(request{status: true, again: true})
		}
		answerWith(w, answer)
	})
	mux.HandleFunc("GET /v1/events", streamEvents(pass, ended))
	change := func(name string, wish func(*json.Decoder, *request) error) {
		mux.HandleFunc("POST /v1/"+name, func(w http.ResponseWriter, r *http.Request) {
			if uid := r.Context().Value(peer{}).(int); uid != 0 && uid != os.Geteuid() {
				http.Error(w, fmt.Sprintf("user %d may look but not change: only root and user %d may", uid, os.Geteuid()), http.StatusForbidden)
				return
			}
			decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
			decoder.DisallowUnknownFields()
			var req request
			if err := wish(decoder, &req); err != nil {
				http.Error(w, "cannot read the request: "+err.Error(), http.StatusBadRequest)
				return
			}
			answerWith(w, pass(req))
		})
	}
	change("scale", func(d *json.Decoder, r *request) error { return d.Decode(&r.scale) })
	change("restart", func(d *json.Decoder, r *request) error { return target(d, &r.restart) })
	change("stop", func(d *json.Decoder, r *request) error { return target(d, &r.stop) })
	change("start", func(d *json.Decoder, r *request) error { return target(d, &r.start) })
	change("exec", wishForeground)
	c.server = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 10 * time.Second,
		MaxHeaderBytes: 16 << 10,
		ConnContext:    withPeer,
		ErrorLog:       log.New(io.Discard, "", 0),
	}
	file := os.NewFile(uintptr(c.fd), c.path)
	listener, err := net.FileListener(file)
	if err != nil {
		return
	}
	file.Close()
	go func() { _ = c.server.Serve(door{listener.(*net.UnixListener), make(chan struct{}, clients)}) }()
}

// target reads {"target": "web.2"}.
func target(d *json.Decoder, to *string) error {
	var body struct {
		Target string `json:"target"`
	}
	err := d.Decode(&body)
	if err == nil && body.Target == "" {
		err = errors.New(`the form is {"target": "TYPE"}`)
	}
	*to = body.Target
	return err
}

func answerWith(w http.ResponseWriter, r reply) {
	if r.err != nil {
		code := http.StatusBadRequest
		if errors.Is(r.err, errStopping) {
			code = http.StatusServiceUnavailable
		}
		http.Error(w, r.err.Error(), code)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.status != nil:
		_ = json.NewEncoder(w).Encode(r.status)
	case r.exec != nil:
		_ = json.NewEncoder(w).Encode(r.exec)
	default:
		_, _ = io.WriteString(w, "{}\n")
	}
}

type peer struct{}

// withPeer asks the kernel who is on the other end: SO_PEERCRED, unix(7).
func withPeer(ctx context.Context, c net.Conn) context.Context {
	uid := -1
	if raw, err := c.(*client).SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
				uid = int(cred.Uid)
			}
		})
	}
	return context.WithValue(ctx, peer{}, uid)
}

// door lets in so many clients at once; the others wait outside.
type door struct {
	*net.UnixListener
	seats chan struct{}
}

// client is a connection that gives its seat back when it is closed.
type client struct {
	*net.UnixConn
	leave func()
}

func (d door) Accept() (net.Conn, error) {
	d.seats <- struct{}{}
	c, err := d.AcceptUnix()
	if err != nil {
		<-d.seats
		return nil, err
	}
	return &client{c, sync.OnceFunc(func() { <-d.seats })}, nil
}

func (c *client) Close() error {
	defer c.leave()
	return c.UnixConn.Close()
}

func (c *control) close() {
	if c == nil {
		return
	}
	_ = unix.Unlink(c.path)
}
