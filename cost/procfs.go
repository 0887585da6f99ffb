package cost

import (
	"encoding/binary"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"
)

// A procfs reads the files of a proc file system into one buffer: nothing is
// allocated, and what a call returned is overwritten by the next.
type procfs struct {
	root string
	dir  int    // the file system's root during a look, else -1
	name []byte // path below dir, with its NUL
	buf  []byte
	euid int
	egid int
	// dumpable is what the process was at first: at another time another thread may
	// have other ids for a moment.
	dumpable bool
}

func newProcfs(root string) procfs {
	dumpable, _, _ := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_GET_DUMPABLE, 0, 0)
	return procfs{
		root: root,
		dir:  -1,
		name: make([]byte, 0, 64),
		buf:  make([]byte, 32<<10),
		euid: syscall.Geteuid(),
		egid: syscall.Getegid(),

		dumpable: dumpable == 1,
	}
}

// list opens the root anew and appends the pid of every process to out.
func (fs *procfs) list(out []int) ([]int, error) {
	fs.close()
	const atFDCWD = -100
	fs.name = append(append(fs.name[:0], fs.root...), 0)
	dir, err := openat(atFDCWD, fs.name)
	if err != nil {
		return out, err
	}
	fs.dir = dir
	for {
		n, err := syscall.ReadDirent(dir, fs.buf)
		if n <= 0 || err != nil {
			return out, err
		}
		out = appendPIDs(out, fs.buf[:n])
	}
}

// close closes the root.
func (fs *procfs) close() {
	if fs.dir >= 0 {
		syscall.Close(fs.dir)
		fs.dir = -1
	}
}

// read returns the contents of a file of a process.
func (fs *procfs) read(pid int, file string) ([]byte, error) {
	fd, err := fs.open(pid, file)
	if err != nil {
		return nil, err
	}
	return fs.readClose(fd)
}

// readOwned is read, and tells who owns the file: the process's effective ids,
// or root where the process is not dumpable (proc(5)).
func (fs *procfs) readOwned(pid int, file string) (b []byte, uid, gid uint32, err error) {
	fd, err := fs.open(pid, file)
	if err != nil {
		return nil, 0, 0, err
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		syscall.Close(fd)
		return nil, 0, 0, err
	}
	b, err = fs.readClose(fd)
	return b, st.Uid, st.Gid, err
}

// readAs is read with the file opened under other file system ids. The kernel
// compares them with those of the process when it opens smaps_rollup
// (PTRACE_MODE_READ_FSCREDS, ptrace(2)), and root without CAP_SYS_PTRACE fails
// where its owner does not.
//
// setfsuid(2) and setfsgid(2) change the calling thread alone, here for the time
// of one open. They have the kernel mark the whole process not dumpable, as if
// it had secrets of the other user; the mark is taken back, for it would close
// the process's own /proc files to others of its user.
func (fs *procfs) readAs(uid, gid uint32, pid int, file string) ([]byte, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	syscall.Setfsgid(int(gid))
	syscall.Setfsuid(int(uid))
	fd, err := fs.open(pid, file)
	syscall.Setfsuid(fs.euid)
	syscall.Setfsgid(fs.egid)
	if fs.dumpable {
		syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 1, 0)
	}
	if err != nil {
		return nil, err
	}
	return fs.readClose(fd)
}

func (fs *procfs) open(pid int, file string) (int, error) {
	fs.name = append(strconv.AppendInt(fs.name[:0], int64(pid), 10), '/')
	fs.name = append(append(fs.name, file...), 0)
	return openat(fs.dir, fs.name)
}

// readClose reads once: every file wanted here gives its whole text to one read
// of this size, but for status, whose tail may be missing.
func (fs *procfs) readClose(fd int) ([]byte, error) {
	n, err := syscall.Pread(fd, fs.buf, 0)
	syscall.Close(fd)
	return fs.buf[:max(n, 0)], err
}

// openat is openat(2) of a path that ends with NUL; unlike [syscall.Openat] it
// copies nothing.
func openat(dir int, name []byte) (int, error) {
	fd, _, errno := syscall.Syscall6(syscall.SYS_OPENAT, uintptr(dir),
		uintptr(unsafe.Pointer(&name[0])), syscall.O_RDONLY|syscall.O_CLOEXEC, 0, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// gone tells that a file is missing because its process is: ESRCH comes from
// reading what was opened in time.
func gone(err error) bool {
	return err == syscall.ENOENT || err == syscall.ESRCH
}

// refused tells that the kernel will not let this process read the file.
func refused(err error) bool {
	return err == syscall.EACCES || err == syscall.EPERM
}

// appendPIDs appends the numeric names among directory entries as getdents64(2)
// gives them.
func appendPIDs(out []int, entries []byte) []int {
	const reclen, name = 16, 19 // offsets in struct linux_dirent64
	for len(entries) > name {
		n := int(binary.NativeEndian.Uint16(entries[reclen:]))
		if n <= name || n > len(entries) {
			break
		}
		if pid, rest, ok := decimal(entries[name:n]); ok && len(rest) > 0 && rest[0] == 0 && pid > 0 {
			out = append(out, int(pid))
		}
		entries = entries[n:]
	}
	return out
}

// decimal reads the unsigned number that b begins with, and returns the rest.
// Numbers over 2^46 are not taken for one: below it, kibibytes, pages of 64 KiB
// and ticks can be multiplied out in an int64.
func decimal(b []byte) (n int64, rest []byte, ok bool) {
	i := 0
	for ; i < len(b) && '0' <= b[i] && b[i] <= '9'; i++ {
		n = n*10 + int64(b[i]-'0')
		if n > 1<<46 {
			return 0, b, false
		}
	}
	return n, b[i:], i > 0
}
