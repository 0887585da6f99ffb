package budget

import (
	"bytes"
	"math"
	"syscall"
	"unsafe"
)

// file is a kernel file that is opened when it is first read and then stays open.
type file struct {
	path    string
	fd      int
	state   fileState
	problem error // why it is missing
	lost    bool  // it cannot be read any more
}

type fileState uint8

const (
	fileUnopened fileState = iota
	fileMissing
	fileOpen
	fileAnswered // it could be read at least once
)

// read returns the whole text of f, valid until buf is used again. A file that
// could not be opened is not tried again.
func (f *file) read(buf *[]byte) ([]byte, error) {
	switch f.state {
	case fileMissing:
		return nil, f.problem
	case fileUnopened:
		fd, err := open(f.path)
		if err != nil {
			f.state, f.problem = fileMissing, err
			return nil, err
		}
		f.fd, f.state = fd, fileOpen
	}
	for {
		n, err := pread(f.fd, *buf)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			f.lost = f.state == fileAnswered
			return nil, err
		case n == len(*buf):
			*buf = make([]byte, 2*n)
		default:
			f.state = fileAnswered
			return (*buf)[:n], nil
		}
	}
}

// pread reads the file from its start. The kernel makes these texts in memory
// and waits for no device, so the call is made without telling the Go
// scheduler, which would wake its monitor thread for each of them.
func pread(fd int, buf []byte) (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func (f *file) close() error {
	if f.state < fileOpen {
		return nil
	}
	f.state = fileUnopened
	return syscall.Close(f.fd)
}

func open(path string) (int, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != syscall.EINTR {
			return fd, err
		}
	}
}

// readAll reads a file of any length once.
func readAll(path string) ([]byte, error) {
	fd, err := open(path)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(fd)
	buf, n := make([]byte, 4<<10), 0
	for {
		k, err := syscall.Read(fd, buf[n:])
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return nil, err
		case k == 0:
			return buf[:n], nil
		default:
			if n += k; n == len(buf) {
				buf = append(buf, make([]byte, n)...)
			}
		}
	}
}

// parseValue parses a file of one number. Numbers above the range of int64, with
// which old kernels say "no limit", become the largest int64.
func parseValue(text []byte) (int64, bool) {
	text = bytes.TrimSuffix(text, newline)
	if len(text) == 0 {
		return 0, false
	}
	n := int64(0)
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		if d := int64(c - '0'); n > (math.MaxInt64-d)/10 {
			n = math.MaxInt64
		} else {
			n = n*10 + d
		}
	}
	return n, true
}

var newline = []byte("\n")

// value reads a file of one number.
func (f *file) value(buf *[]byte) (int64, bool) {
	text, err := f.read(buf)
	if err != nil {
		return 0, false
	}
	return parseValue(text)
}

// nextLine cuts the first line off text.
func nextLine(text []byte) (line, rest []byte) {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return text[:i], text[i+1:]
	}
	return text, nil
}

// cutKey splits a line of a flat keyed file, "key value".
func cutKey(line []byte) (key []byte, value int64, ok bool) {
	i := bytes.IndexByte(line, ' ')
	if i <= 0 {
		return nil, 0, false
	}
	value, ok = parseValue(line[i+1:])
	return line[:i], value, ok
}
