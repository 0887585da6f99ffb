package budget

import (
	"os"
	"syscall"
	"unsafe"
)

// file is a kernel file that is opened when it is first read and then stays open.
type file struct {
	path    string
	fd      int
	state   fileState
	problem error  // why it is missing
	lost    bool   // it cannot be read any more
	text    []byte // of a file that is told
}

type fileState uint8

const (
	fileUnopened fileState = iota
	fileMissing
	fileTold // its text came from a source, which has no file to read
	fileOpen
	fileAnswered // it could be read at least once
)

// input is where kernel files are read into. It keeps the first thing that one of
// them said and no kernel would say, or that one could not be opened or read: then
// no number that was read counts.
type input struct {
	buf     []byte
	err     error
	sockets file  // /proc/net/sockstat
	used    int64 // what it told since start, -1 before it was asked
}

// start forgets what went before.
func (in *input) start() { in.err, in.used = nil, -1 }

// reject keeps a flaw of the file at path.
func (in *input) reject(path string, f flaw) {
	if f.line > 0 && in.err == nil {
		in.err = &FormatError{Path: path, Line: f.line, Text: string(f.text[:min(len(f.text), 80)]), Want: f.want}
	}
}

// refused keeps that the file at path may well be there, but cannot be opened for
// want of a descriptor or of memory, or is none that can be read, as a directory or a
// pipe. It is false for the errors of a file that is not there, not for this user or
// not for this kernel.
func (in *input) refused(op, path string, err error) bool {
	switch err {
	case nil, syscall.ENOENT, syscall.ENOTDIR, syscall.EACCES, syscall.EPERM, syscall.ENODEV, syscall.EOPNOTSUPP:
		return false
	}
	if in.err == nil {
		in.err = &os.PathError{Op: op, Path: path, Err: err}
	}
	return true
}

// longest is more than any file that is read again and again has: a text without
// end must not fill the memory.
const longest = 1 << 20

// read returns the whole text of f, valid until in is used again. A file that
// could not be opened is not tried again.
func (f *file) read(in *input) ([]byte, error) {
	switch f.state {
	case fileMissing:
		return nil, f.problem
	case fileTold:
		return f.text, nil
	case fileUnopened:
		fd, err := open(f.path)
		if in.refused("open", f.path, err) {
			return nil, err
		}
		if err != nil {
			f.state, f.problem = fileMissing, err
			return nil, err
		}
		f.fd, f.state = fd, fileOpen
	}
	for {
		n, err := pread(f.fd, in.buf)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			if f.lost = f.state == fileAnswered; !f.lost {
				in.refused("read", f.path, err)
			}
			return nil, err
		case n < len(in.buf):
			f.state = fileAnswered
			return in.buf[:n], nil
		case n >= longest:
			in.reject(f.path, flaw{1, nil, "less than 1 MiB of text"})
			return nil, in.err
		default:
			in.buf = make([]byte, 2*n)
		}
	}
}

// told and untold are files as a source tells them, or why it does not.
func told(path, text string) file {
	return file{path: path, state: fileTold, text: []byte(text + "\n")}
}

func untold(path string, problem error) file {
	return file{path: path, state: fileMissing, problem: problem}
}

// The kernel makes these texts in memory and waits for no device, so its calls are
// made without telling the Go scheduler, which would wake its monitor thread for
// each of them.

// pread reads the file from its start.
func pread(fd int, buf []byte) (int, error) { return preadAt(fd, buf, 0) }

func preadAt(fd int, buf []byte, at int) (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), uintptr(at), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// open does not wait where the path is a pipe that nobody writes to.
func open(path string) (int, error) {
	name, err := syscall.BytePtrFromString(path)
	if err != nil {
		return -1, err
	}
	const how = syscall.O_RDONLY | syscall.O_CLOEXEC | syscall.O_NONBLOCK
	for {
		fd, _, errno := syscall.RawSyscall6(syscall.SYS_OPENAT, atCwd, uintptr(unsafe.Pointer(name)), how, 0, 0, 0)
		switch errno {
		case 0:
			return int(fd), nil
		case syscall.EINTR:
		default:
			return -1, errno
		}
	}
}

const atCwd = ^uintptr(99) // AT_FDCWD, -100

func exists(path string) bool {
	name, err := syscall.BytePtrFromString(path)
	if err != nil {
		return false
	}
	_, _, errno := syscall.RawSyscall(syscall.SYS_FACCESSAT, atCwd, uintptr(unsafe.Pointer(name)), 0)
	return errno == 0
}

func closeFile(fd int) error {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0); errno != 0 {
		return errno
	}
	return nil
}

func (f *file) close() error {
	if f.state < fileOpen {
		return nil
	}
	f.state = fileUnopened
	return closeFile(f.fd)
}

// all reads a file once, of at most 16 MiB: mountinfo is long where there are
// many mounts.
func (in *input) all(path string) ([]byte, error) {
	fd, err := open(path)
	if err != nil {
		in.refused("open", path, err)
		return nil, err
	}
	defer closeFile(fd)
	buf, n := make([]byte, 4<<10), 0
	for {
		k, err := preadAt(fd, buf[n:], n)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			in.refused("read", path, err)
			return nil, err
		case k == 0:
			return buf[:n], nil
		}
		if n += max(0, k); n < len(buf) {
			continue
		}
		if n >= 16<<20 {
			in.reject(path, flaw{1, nil, "less than 16 MiB of text"})
			return nil, in.err
		}
		buf = append(buf, make([]byte, n)...)
	}
}

// value reads a file of one number. It is false where there is no such file.
func (f *file) value(in *input) (int64, bool) {
	text, err := f.read(in)
	if err != nil {
		return 0, false
	}
	n, flaw := parseValue(text)
	in.reject(f.path, flaw)
	return n, flaw.line == 0
}

// limitValue reads a file of a limit: "max" on v2, and on v1 the largest number of
// pages, is no limit.
func (f *file) limitValue(in *input) (int64, bool) {
	text, err := f.read(in)
	if err != nil {
		return 0, false
	}
	n, limited, flaw := parseLimit(text)
	in.reject(f.path, flaw)
	return n, limited
}
