package supervisor

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// firstSocket is the descriptor of a worker's first socket: SD_LISTEN_FDS_START,
// sd_listen_fds(3).
const firstSocket = 3

// ownSocket is what a slot has of an address whose workers share no socket. It stays
// with the slot from one process to the next: the kernel resets the connections that
// wait in a socket which is closed, and the next process accepts them.
type ownSocket struct {
	of *socket
	fd int
}

// openSockets gives the sockets that types list: those of have that are open already,
// and the others newly opened. An error leaves everything as it was. It is called
// beside the loop.
func openSockets(types []Type, have []*socket) (all []*socket, err error) {
	for i := range types {
		for _, c := range types[i].Listen {
			s := socketAt(have, c.Address)
			switch {
			case s == nil:
				s, err = openSocket(c)
			case s.V6Only != c.V6Only || s.ReusePort != c.ReusePort:
				err = fmt.Errorf("listen on %s: v6only and reuseport cannot change while the socket is open; restart memsup", c.Address)
			}
			if err != nil {
				for _, opened := range without(all, have) {
					opened.close()
				}
				return nil, err
			}
			all = append(all, s)
		}
	}
	return all, nil
}

func socketAt(list []*socket, address string) *socket {
	if i := slices.IndexFunc(list, func(s *socket) bool { return s.Address == address }); i >= 0 {
		return list[i]
	}
	return nil
}

// without gives those of a list that another one does not have.
func without(list, other []*socket) (rest []*socket) {
	for _, s := range list {
		if !slices.Contains(other, s) {
			rest = append(rest, s)
		}
	}
	return rest
}

// setSockets makes the types' sockets the ones that are open, and closes what else is
// and was.
func (s *supervisor) setSockets(opened []*socket) {
	var all []*socket
	for _, t := range s.types {
		all = append(all, t.sockets...)
	}
	gone := append(without(s.sockets, all), without(without(opened, s.sockets), all)...)
	s.sockets = all
	for t := range s.everyType() {
		for _, w := range t.slots {
			w.letGo(func(o *socket) bool { return slices.Contains(gone, o) })
		}
	}
	s.retire(gone)
}

// retire closes sockets and removes the files of unix ones.
func (s *supervisor) retire(gone []*socket) {
	if len(gone) == 0 {
		return
	}
	s.tidy(func() {
		for _, old := range gone {
			old.close()
		}
	})
}

// tidy does what touches the files of sockets, one thing after the other and beside
// the loop: they may be in a directory that hangs.
func (s *supervisor) tidy(do func()) {
	before, done := s.tidied, make(chan struct{})
	s.tidied = done
	go func() {
		defer close(done)
		if before != nil {
			<-before
		}
		do()
	}()
}

// closeSockets closes all of them at the end.
func (s *supervisor) closeSockets() {
	s.retire(s.sockets)
	if s.tidied != nil {
		<-s.tidied
	}
}

// take gives the type its sockets, in the order of Listen, and has those that were
// open before go by what Listen says now.
func (s *supervisor) take(t *processType, all []*socket) {
	for _, c := range t.Listen {
		sock := socketAt(all, c.Address)
		was := sock.Socket
		sock.Socket = c
		t.sockets = append(t.sockets, sock)
		if c.Backlog != was.Backlog && !c.ReusePort {
			if err := sock.listen(sock.fd); err != nil {
				s.log.warn("cannot change the backlog", "socket", c.Address, "error", err)
			}
		}
		if mode := c.Mode; mode != was.Mode && sock.path != "" {
			s.tidy(func() {
				if !sock.ours() {
					return
				}
				if err := unix.Chmod(sock.path, mode); err != nil {
					s.log.warn("cannot change who may connect", "socket", c.Address, "error", err)
				}
			})
		}
	}
}

// handsOn says whether workers are given the same by both lists.
func handsOn(a, b []Socket) bool {
	return slices.EqualFunc(a, b, func(x, y Socket) bool { return x.Address == y.Address && x.Name == y.Name })
}

// descriptors are those that a worker inherits from firstSocket on. Its own sockets
// are opened at its first start.
func (w *worker) descriptors() (fds []uintptr, err error) {
	for _, s := range w.typ.sockets {
		fd := s.fd
		if s.ReusePort {
			if fd, err = w.ownDescriptor(s); err != nil {
				return nil, fmt.Errorf("listen on %s: %w", s.Address, err)
			}
		}
		fds = append(fds, uintptr(fd))
	}
	return fds, nil
}

func (w *worker) ownDescriptor(s *socket) (fd int, err error) {
	for _, o := range w.own {
		if o.of == s {
			return o.fd, s.listen(o.fd) // as a reload may have said
		}
	}
	if fd, err = s.another(); err == nil {
		w.own = append(w.own, ownSocket{s, fd})
	}
	return fd, err
}

// inherit gives a worker that starts beside the one whose place it takes that one's own
// sockets, so that what waits in them is not lost when that one goes.
func (w *worker) inherit(old *worker) {
	for _, o := range old.own {
		if fd, err := unix.FcntlInt(uintptr(o.fd), unix.F_DUPFD_CLOEXEC, 0); err == nil {
			w.own = append(w.own, ownSocket{o.of, fd})
		} // or it opens one at its start
	}
}

// letGo closes the slot's own sockets that gone says so of. A worker that has a copy
// goes on accepting until it closes that. When a slot goes, this comes with the stop
// signal and not at the process's end: the kernel would give the socket its share of
// new connections meanwhile, and nobody would accept them.
func (w *worker) letGo(gone func(*socket) bool) {
	w.own = slices.DeleteFunc(w.own, func(o ownSocket) bool {
		if !gone(o.of) {
			return false
		}
		unix.Close(o.fd)
		return true
	})
}

func everySocket(*socket) bool { return true }

// socketEnvironment tells of the sockets as systemd does (sd_listen_fds(3); package
// spawn adds LISTEN_PID) and as einhorn does, in its present way and in the older
// one, EINHORN_FDS.
func (t *processType) socketEnvironment(env []string) []string {
	if len(t.sockets) == 0 {
		return env
	}
	var names, numbers []string
	for i, s := range t.sockets {
		names = append(names, cmp.Or(s.Name, t.Name))
		numbers = append(numbers, strconv.Itoa(firstSocket+i))
		env = append(env, "EINHORN_FD_"+strconv.Itoa(i)+"="+numbers[i])
	}
	count := strconv.Itoa(len(t.sockets))
	return append(env, "EINHORN_FD_COUNT="+count, "EINHORN_FDS="+strings.Join(numbers, " "),
		"LISTEN_FDS="+count, "LISTEN_FDNAMES="+strings.Join(names, ":"))
}

// backlog adds up the accept queues of the type's sockets.
func (t *processType) backlog() (waiting, room int, err error) {
	add := func(n, most int, e error) {
		waiting, room, err = waiting+n, room+most, cmp.Or(err, e)
	}
	for _, s := range t.sockets {
		switch {
		case s.path != "":
			add(unixBacklog(s.fd))
		case !s.ReusePort:
			add(backlog(s.fd))
		}
	}
	for _, w := range t.slots {
		if w.replaces != nil {
			continue // it shares the other one's
		}
		for _, o := range w.own {
			add(backlog(o.fd))
		}
	}
	return waiting, room, err
}
