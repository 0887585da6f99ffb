package pressure

import (
	"bytes"
	"errors"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

var errNoPSI = errors.New("its text is not that of a pressure file")

// openPSI opens memory.pressure for reading and reads it once: with psi=0 old
// kernels open it and answer EOPNOTSUPP.
func (w *Watcher) openPSI(path string) error {
	fd, err := open(path, unix.O_RDONLY)
	if err != nil {
		return err
	}
	w.psi = fd
	var buf [textSize]byte
	n, err := pread(fd, &buf)
	if err == nil {
		if _, _, ok := parsePSI(buf[:n]); !ok {
			err = errNoPSI
		}
	}
	if err != nil {
		w.closePSI()
	}
	return err
}

func (w *Watcher) closePSI() {
	if w.psi >= 0 {
		unix.Close(w.psi)
		w.psi = -1
	}
}

func (w *Watcher) readPSI() (some, full time.Duration, ok bool) {
	if w.psi < 0 {
		return 0, 0, false
	}
	var buf [textSize]byte
	n, err := pread(w.psi, &buf)
	if err != nil {
		return 0, 0, false
	}
	return parsePSI(buf[:n])
}

var (
	totalKey = []byte(" total=")
	somePSI  = []byte("some ")
	fullPSI  = []byte("full ")
)

// parsePSI takes the two totals from a pressure file's text, lines such as
// "some avg10=0.00 avg60=0.00 avg300=0.00 total=1329513", in microseconds. Without
// a line "some" it is none. Totals beyond a Duration become the longest one.
func parsePSI(text []byte) (some, full time.Duration, ok bool) {
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, newline)
		_, digits, found := bytes.Cut(line, totalKey)
		if !found {
			continue
		}
		total, valid := parseMicroseconds(digits)
		switch {
		case !valid:
			return 0, 0, false
		case bytes.HasPrefix(line, somePSI):
			some, ok = total, true
		case bytes.HasPrefix(line, fullPSI):
			full = total
		}
	}
	if !ok {
		return 0, 0, false
	}
	return some, full, true
}

var newline = []byte("\n")

func parseMicroseconds(digits []byte) (time.Duration, bool) {
	const most = math.MaxInt64 / int64(time.Microsecond)
	n := int64(0)
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int64(c-'0'), most)
	}
	return time.Duration(n) * time.Microsecond, len(digits) > 0
}
