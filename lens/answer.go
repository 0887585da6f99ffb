package lens

import (
	"bytes"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// serve answers notifications until it is relieved. It has a thread of its own that
// no signal interrupts: the kernel would give a call whose answer was interrupted a
// wrong result, descriptor 0.
func (l *Lens) serve(h *handler) {
	runtime.LockOSThread()
	blockSignals()
	h.own = user{uint32(unix.Geteuid()), uint32(unix.Getegid())}
	h.now = h.own
	h.local.Base = &h.name[0]
	h.local.SetLen(len(h.name))
	h.filled.Base = (*byte)(unsafe.Pointer(&h.info))
	h.filled.SetLen(int(unsafe.Sizeof(h.info)))
	for !h.relieved.Load() {
		switch h.next() {
		case 0:
		case unix.ECANCELED: // relieved
			continue
		default: // nothing that the kernel is known to say; whoever asks still waits
			time.Sleep(tooLong)
			continue
		}
		if l.unwatched.CompareAndSwap(true, false) {
			l.watch <- struct{}{}
		}
		h.answer()
		h.turn.Add(1)
	}
	l.waiting.Add(-1)
}

const (
	tooLong = 50 * time.Millisecond // for one answer
	quiet   = 20                    // of these without a call end the watch
	atMost  = 16                    // threads that wait at one time
)

// relieve starts a thread that answers in place of one that takes too long. Who
// looks into a worker's memory has to wait until it is read from a disk, or for
// ever where the worker itself keeps it back (userfaultfd(2)). One thread answers at
// a time, because two would take turns, and switching between them took 21 µs in
// place of 11. It looks after it only while there are calls.
func (l *Lens) relieve(h *handler) {
	idle := 0
	for seen := h.turn.Load(); ; {
		time.Sleep(tooLong)
		now := h.turn.Load()
		switch {
		case now != seen:
			idle = 0
		case now%2 == 1 && l.waiting.Load() < atMost:
			h.relieved.Store(true)
			l.waiting.Add(1)
			h = &handler{lens: l}
			now = 0
			go l.serve(h)
		case now%2 == 1: // those that wait may end
			idle = 0
		default:
			idle++
		}
		if seen = now; idle == quiet {
			idle = 0
			l.unwatched.Store(true)
			if h.turn.Load() == now || !l.unwatched.CompareAndSwap(true, false) { // or it began just now
				<-l.watch
			}
		}
	}
}

// blockSignals blocks all signals for this thread but those of its own faults. The
// Go runtime's preemption is one of them: it waits for the next call of a function.
func blockSignals() {
	var set unix.Sigset_t
	for i := range set.Val {
		set.Val[i] = ^set.Val[i]
	}
	for _, sig := range []unix.Signal{unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL} {
		set.Val[0] &^= 1 << (uint(sig) - 1)
	}
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &set, nil)
}

// user is who a thread is when it opens files: its fsuid and fsgid (setfsuid(2)).
type user struct{ uid, gid uint32 }

// handler is what one thread answers with.
type handler struct {
	lens     *Lens
	turn     atomic.Uint64 // odd while it answers
	relieved atomic.Bool   // another one answers now
	call     notification
	own, now user
	name     [longest]byte
	local    unix.Iovec // name
	info     unix.Sysinfo_t
	filled   unix.Iovec // info
	serves   int64      // until when info does, by monotonic
	picture  uint32     // of View.pictures, that info is of
	clock    unix.Timespec
	reply    response
	remote   [2]unix.RemoteIovec
}

// answer answers the call, or lets it through.
func (h *handler) answer() {
	if uint32(h.call.number) == h.lens.machine.sysinfo {
		if h.sysinfo() {
			return
		}
	} else if d, flags := h.wanted(); d != nil && h.give(d, flags) {
		return
	}
	h.respond(response{flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE})
}

// respond ends the call. That who made it is gone is no matter.
func (h *handler) respond(r response) {
	r.id = h.call.id
	_, _ = ioctl(h.lens.listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r))
}

// sysinfo fills the struct that the call names.
func (h *handler) sysinfo() bool {
	h.be(h.own)
	at, now := monotonic(), time.Now()
	info, until, picture, ok := h.lens.view.sysinfo(now, h.lens.serves)
	if !ok || !h.waits() {
		return false
	}
	h.info, h.serves, h.picture = info, at+int64(until.Sub(now)), picture
	filled := unsafe.Slice((*byte)(unsafe.Pointer(&h.info)), unsafe.Sizeof(h.info))
	if h.move(true, h.call.args[0], filled) < len(filled) {
		return false // the kernel finds out what is wrong with that address
	}
	h.respond(response{})
	return true
}

// waits tells whether who asked still waits: its pid may be another's otherwise.
func (h *handler) waits() bool {
	_, errno := ioctl(h.lens.listener, notifIDValid, unsafe.Pointer(&h.call.id))
	return errno == 0
}

// give puts a descriptor of the document in place of the file's, of a description
// of its own: it has an offset. It is false where the call has to go on.
//
// One step, SECCOMP_ADDFD_FLAG_SEND, has the call return 0, a descriptor of another
// file, where this thread is interrupted in it: no signal does that here, but
// SIGSTOP to all of memsup does, and the freezer of docker pause. Two steps leave a
// descriptor behind where a signal ends the call between them. So it is one where
// that can be.
func (h *handler) give(d *document, flags uint64) bool {
	h.be(h.own)
	fd, ok := h.lens.view.open(d, time.Now())
	if !ok {
		return false
	}
	defer unix.Close(fd)
	add := addFD{id: h.call.id, source: uint32(fd), newFlags: uint32(flags & unix.O_CLOEXEC)}
	if !h.lens.patient {
		add.flags = unix.SECCOMP_ADDFD_FLAG_SEND
	}
	value, errno := ioctl(h.lens.listener, notifAddFD, unsafe.Pointer(&add))
	if errno == unix.EINVAL && add.flags != 0 { // before Linux 5.14
		add.flags = 0
		value, errno = ioctl(h.lens.listener, notifAddFD, unsafe.Pointer(&add))
	}
	switch errno {
	case 0:
		if add.flags == 0 {
			h.respond(response{value: int64(value)})
		}
		return true
	case unix.ENOENT:
		return true
	case unix.EMFILE:
		h.respond(response{errno: -int32(errno)})
		return true
	}
	return false
}

// longest is how much of a name is looked at: the longest of a document, and some
// detours.
const longest = 64

// wanted is the document that the call opens, nil for none, and the flags of the
// open.
func (h *handler) wanted() (d *document, flags uint64) {
	c := &h.call
	at, name := int32(c.args[0]), c.args[1]
	switch uint32(c.number) {
	case h.lens.machine.open:
		at, name, flags = unix.AT_FDCWD, c.args[0], c.args[1]
	case h.lens.machine.openat2:
		var how unix.OpenHow
		read := unsafe.Slice((*byte)(unsafe.Pointer(&how)), unsafe.Sizeof(how))
		if c.args[3] < uint64(len(read)) || h.move(false, c.args[2], read) < len(read) ||
			how.Resolve|how.Mode != 0 || how.Flags&uint64(h.lens.machine.notPlain()) != 0 {
			return nil, 0
		}
		flags = how.Flags
	default:
		flags = c.args[2]
	}
	text, ok := h.text(name)
	if !ok {
		return nil, 0
	}
	d = h.lens.view.named(text[bytes.LastIndexByte(text, '/')+1:])
	if d == nil || h.lens.mode == Exact && !d.exact || !h.waits() || !h.means(d, at, string(text)) {
		return nil, 0
	}
	return d, flags
}

// text is the name at an address in the memory of who asked; false where it is
// longer than any that matters, or cannot be read.
func (h *handler) text(address uint64) ([]byte, bool) {
	buf := h.name[:]
	buf = buf[:h.move(false, address, buf)]
	n := bytes.IndexByte(buf, 0)
	return buf[:max(n, 0)], n > 0
}

// means tells whether a name, that ends as the document's, is the document's.
func (h *handler) means(d *document, at int32, name string) bool {
	task := h.task()
	if name[0] != '/' {
		dir := task + "/cwd"
		if at != unix.AT_FDCWD {
			dir = task + "/fd/" + strconv.Itoa(int(at))
		}
		dir, err := os.Readlink(dir)
		if err != nil {
			return false
		}
		name = dir + "/" + name
	}
	if name != d.path && path.Clean(name) != d.path {
		return false
	}
	if root, err := os.Readlink(task + "/root"); err == nil && root != "/" { // another user's cannot be asked
		return false
	}
	return !strings.Contains(name, "..") || same(task+"/root"+name, d.path)
}

// same tells whether two names are one file's: what is above a directory is the
// kernel's to say where a link leads there, or nothing is there.
func same(name, other string) bool {
	a, err := os.Stat(name)
	if err != nil {
		return false
	}
	b, err := os.Stat(other)
	return err == nil && os.SameFile(a, b)
}

// move copies between buf and the memory of who asked, and tells how many bytes: all
// up to the end of a page where there is nothing behind. Who asked may be another
// user's: root may open files as any.
func (h *handler) move(writes bool, address uint64, buf []byte) int {
	n, err := h.access(writes, address, buf)
	if (err == unix.EPERM || err == unix.EACCES) && h.become() {
		n, err = h.access(writes, address, buf)
	}
	if err != nil {
		return 0
	}
	return n
}

// access is move by process_vm_readv(2) and process_vm_writev(2), or by /proc/PID/mem:
// where those are kept from this process, as by Docker's profile before version 23,
// and for another user's, because they ask for this thread's real user, whom every
// process of that user might send signals.
func (h *handler) access(writes bool, address uint64, buf []byte) (int, error) {
	if h.lens.byFile || h.now != h.own {
		how := unix.O_RDONLY
		if writes {
			how = unix.O_RDWR
		}
		fd, err := unix.Open(h.task()+"/mem", how|unix.O_CLOEXEC, 0)
		if err != nil {
			return 0, err
		}
		defer unix.Close(fd)
		if writes {
			return unix.Pwrite(fd, buf, int64(address))
		}
		return unix.Pread(fd, buf, int64(address))
	}
	local := []unix.Iovec{{Base: &buf[0]}}
	local[0].SetLen(len(buf))
	h.across(address, len(buf))
	if writes {
		return unix.ProcessVMWritev(int(h.call.pid), local, h.remote[:], 0)
	}
	return unix.ProcessVMReadv(int(h.call.pid), local, h.remote[:], 0)
}

// across has remote be n bytes at an address, in two parts where a page ends: what is
// behind it may not be there.
//
//go:nosplit
func (h *handler) across(address uint64, n int) {
	first := min(n, pageSize-int(address)&(pageSize-1))
	h.remote[0] = unix.RemoteIovec{Base: uintptr(address), Len: first}
	h.remote[1] = unix.RemoteIovec{Base: uintptr(address) + uintptr(first), Len: n - first}
}

var pageSize = os.Getpagesize()

// task is the directory in /proc of the thread that asked.
func (h *handler) task() string { return "/proc/" + strconv.Itoa(int(h.call.pid)) }

// byFile tells whether process_vm_readv(2) is kept from this process, which has it
// read a byte of its own.
var byFile = sync.OnceValue(func() bool {
	h := handler{lens: &Lens{}, call: notification{pid: uint32(unix.Getpid())}}
	var own, copied [1]byte
	n, err := h.access(false, uint64(uintptr(unsafe.Pointer(&own))), copied[:])
	return err != nil || n != 1
})

// become has this thread open files as the user who asked: the kernel compares the
// two (ptrace(2), PTRACE_MODE_FSCREDS). It is false where that is nobody else, or may
// not be.
func (h *handler) become() bool {
	var st unix.Stat_t
	if unix.Stat(h.task(), &st) != nil || h.now == (user{st.Uid, st.Gid}) {
		return false
	}
	h.be(user{st.Uid, st.Gid})
	return h.now == user{st.Uid, st.Gid}
}

// be has this thread open files as that user, where it may. The kernel takes the
// change for a reason to close the process's /proc to others of its user, which it is
// not.
func (h *handler) be(u user) {
	if h.now == u {
		return
	}
	_, _, _ = unix.RawSyscall(unix.SYS_SETFSGID, uintptr(u.gid), 0, 0)
	_, _, _ = unix.RawSyscall(unix.SYS_SETFSUID, uintptr(u.uid), 0, 0)
	if h.lens.view.dumpable {
		_, _, _ = unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1, 0)
	}
	const same = ^uintptr(0) // the answer is who it was, and nobody becomes this one
	gid, _, _ := unix.RawSyscall(unix.SYS_SETFSGID, same, 0, 0)
	uid, _, _ := unix.RawSyscall(unix.SYS_SETFSUID, same, 0, 0)
	h.now = user{uint32(uid), uint32(gid)}
}
