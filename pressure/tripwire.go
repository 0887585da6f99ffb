package pressure

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Tripwire is a small file whose pages lie clean in the page cache and are
// charged to the container. Where anonymous memory grows into memory.max the
// kernel has nothing else to reclaim, and kills; these pages it takes first, a
// few at a time, and counts max in memory.events each time
// (Documentation/admin-guide/cgroup-v2.rst), which a Watcher hears while as much as
// is left of them can still be had.
//
// The file has no name and no content: reading a hole fills the cache with pages
// of zeros and asks nothing of the disk. Its pages count as available, being inactive,
// clean and file's, so nobody has less memory for it.
//
// What may wait for a disk is done in a goroutine that lives as long as that takes.
// A Tripwire has no timer and wakes nobody. Its methods belong to one goroutine.
type Tripwire struct {
	stat string   // memory.stat of the container's cgroup
	dirs []string // where the file may be, best first
	size int64    // bytes

	wire  wire       // the goroutine's while one is at work
	done  chan error // it has ended
	busy  bool
	last  time.Duration // when it was last begun, or the pages were counted
	begun bool
	err   error // there is no wire, for good
}

// wire is what there is of the file.
type wire struct {
	file   *os.File
	pages  []byte // it, mapped and never touched, for mincore(2)
	cached int64  // file pages of the container before it was loaded, in bytes
	loaded bool
	proven bool // it is charged to the container
	proofs int  // how often that was looked for
}

const (
	// seldom is the least time between two looks at the pages: a worker that leaks is
	// started again after a second at the soonest.
	seldom = time.Second
	// mostProofs is how often memory.stat is asked whether the pages are charged.
	// It may lag by two seconds on machines with many CPUs.
	mostProofs = 5
)

// NewTripwire makes a wire of size bytes for the cgroup in place, which has to be
// one of cgroup v2, on the first of dirs where that is possible. Nothing is done
// before Look.
func NewTripwire(place Place, size int64, dirs ...string) *Tripwire {
	return &Tripwire{stat: place.Dir + "/memory.stat", dirs: dirs, size: size, done: make(chan error, 1)}
}

// TripwireSize is a good size for a container with the given limit, both in bytes.
func TripwireSize(limit int64) int64 {
	return min(max(limit/32, 1<<20), 8<<20) &^ (1<<20 - 1)
}

// TripwireDirs are the directories that a wire may be in, best first.
func TripwireDirs() []string { return []string{os.TempDir(), "/var/tmp", "."} }

// TripwireIn tells which of dirs a wire would be in. Whether its pages would be
// charged to the container only Look finds out.
func TripwireIn(dirs ...string) (dir string, err error) {
	file, err := unnamed(dirs)
	if err != nil {
		return "", err
	}
	return file.Name(), file.Close()
}

// Look has the wire set where it is not, or was tripped, and room for it is left
// above what the caller keeps free: room is in bytes, and now a time since an origin
// of the caller's. It looks once in a second at most, however often it is called,
// and waits for nothing. The error is that no wire can be had here; it is told
// again and again.
func (t *Tripwire) Look(now time.Duration, room int64) error {
	select {
	case err := <-t.done:
		t.take(err)
	default:
	}
	if t.err != nil || t.busy || t.begun && now-t.last < seldom || room < t.size {
		return t.err
	}
	t.begun, t.last = true, now
	if t.wire.proven && t.wire.whole() {
		return nil
	}
	t.busy = true
	go func() { t.done <- t.set() }()
	return nil
}

// take notes how the goroutine has ended.
func (t *Tripwire) take(err error) {
	t.busy = false
	if err != nil {
		t.err = err
		t.wire.close()
	}
}

// Set says whether there is a wire. Its pages may be gone since.
func (t *Tripwire) Set() bool { return !t.busy && t.err == nil && t.wire.proven }

// Close lets the wire go. It does not wait for a disk: what is under way ends
// with the process at the latest.
func (t *Tripwire) Close() error {
	if !t.busy {
		t.wire.close()
	}
	t.err = os.ErrClosed
	return nil
}

// set makes the file, loads its pages and sees whether they are charged here.
// The error is that this will never be.
func (t *Tripwire) set() error {
	w := &t.wire
	if w.file == nil {
		file, err := unnamed(t.dirs)
		if err != nil {
			return err
		}
		w.file = file
		if err := file.Truncate(t.size); err != nil {
			return err
		}
		if w.pages, err = unix.Mmap(int(file.Fd()), 0, int(t.size), unix.PROT_READ, unix.MAP_SHARED); err != nil {
			return &os.PathError{Op: "mmap", Path: file.Name(), Err: err}
		}
	}
	if !w.loaded || !w.whole() {
		text, err := os.ReadFile(t.stat)
		if err != nil {
			return err
		}
		w.cached = filePages(text)
		if err := w.load(t.size); err != nil {
			return err
		}
	}
	if w.proven {
		return nil
	}
	text, err := os.ReadFile(t.stat)
	if err != nil {
		return err
	}
	grown := filePages(text) - w.cached
	if w.proven = grown >= t.size-t.size/4; w.proven {
		return nil
	}
	if w.proofs++; w.proofs == mostProofs {
		return fmt.Errorf("%s: the pages of a file in %s are not charged here: %d bytes of %d", t.stat, w.file.Name(), grown, t.size)
	}
	return nil
}

// load reads the file into the page cache. What is left of it is dropped before:
// a page that is read twice, or comes back soon, would count as active, and be
// taken later than others.
func (w *wire) load(size int64) error {
	if err := w.file.Truncate(0); err != nil {
		return err
	}
	if err := w.file.Truncate(size); err != nil {
		return err
	}
	_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.NewSectionReader(w.file, 0, size), make([]byte, 32<<10))
	w.loaded = err == nil
	return err
}

// whole says whether three quarters of the pages or more are in memory. mincore(2)
// tells that of the page cache to whoever owns the file. It waits for nothing, and
// so is called without telling the Go scheduler, which would wake its monitor thread.
func (w *wire) whole() bool {
	page := os.Getpagesize()
	in := make([]byte, (len(w.pages)+page-1)/page)
	_, _, errno := unix.RawSyscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&w.pages[0])), uintptr(len(w.pages)), uintptr(unsafe.Pointer(&in[0])))
	n := 0
	for _, b := range in {
		n += int(b & 1)
	}
	return errno != 0 || n >= len(in)-len(in)/4
}

func (w *wire) close() {
	if w.pages != nil {
		_ = unix.Munmap(w.pages)
	}
	if w.file != nil {
		w.file.Close()
	}
	*w = wire{}
}

// unnamed makes a file without a name in the first of dirs that takes it and is
// on a disk, as far as statfs(2) tells. Nothing of it remains when this process
// has ended, however it does. The file's Name is the directory.
func unnamed(dirs []string) (*os.File, error) {
	var problems []error
	for _, dir := range dirs {
		file, err := unnamedIn(dir)
		if err == nil {
			return file, nil
		}
		problems = append(problems, err)
	}
	return nil, errors.Join(problems...)
}

func unnamedIn(dir string) (*os.File, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return nil, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC {
		return nil, &os.PathError{Op: "open", Path: dir, Err: errMemory}
	}
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	switch {
	case err == nil:
		return os.NewFile(uintptr(fd), dir), nil
	case fs.Type == unix.OVERLAYFS_SUPER_MAGIC && (err == unix.EOPNOTSUPP || err == unix.EISDIR):
		return unlinkedIn(dir) // older overlayfs has no O_TMPFILE
	}
	return nil, &os.PathError{Op: "open", Path: dir, Err: err}
}

// unlinkedIn makes a file that has a name for a moment. NFS would keep another
// name until the end.
func unlinkedIn(dir string) (*os.File, error) {
	file, err := os.CreateTemp(dir, ".memsup-")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := os.Remove(file.Name()); err != nil {
		return nil, err
	}
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "dup", Path: file.Name(), Err: err}
	}
	return os.NewFile(uintptr(fd), dir), nil
}

var errMemory = errors.New("its files are in memory and cannot be reclaimed")

// filePages sums the bytes of file pages that can be reclaimed, from the text of
// cgroup v2's memory.stat: inactive_file and active_file. The pages of tmpfs and
// ramfs are on other lists.
func filePages(stat []byte) int64 {
	sum := int64(0)
	for line := range bytes.Lines(stat) {
		key, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		if string(key) == "inactive_file" || string(key) == "active_file" {
			n, _ := strconv.ParseInt(string(value), 10, 64)
			sum += n
		}
	}
	return sum
}
