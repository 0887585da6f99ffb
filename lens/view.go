package lens

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/budget"
)

// View is what is seen: one picture of the container for all lenses, read anew for
// whoever asks.
type View struct {
	budget *budget.Budget
	born   time.Duration // of the container's first process, since the host was booted
	// dumpable is what this process is as long as no thread becomes another user for a
	// while: read once, because it may be another thread's moment (PR_GET_DUMPABLE).
	dumpable bool

	mu       sync.Mutex
	memory   budget.Meminfo
	memoryAt time.Time      // zero: to be read anew
	info     unix.Sysinfo_t // of memory, as of infoAt
	infoAt   time.Time
	countAt  time.Time // of info's number of processes
	cpusAt   time.Time
	cpus     int // as many are to be seen; 0: all
	text     []byte
	meminfo  document
	cpuinfo  document
	online   document

	pictures atomic.Uint32 // a number for each that was made; another one is no longer true
	follower sync.Once
	readers  chan struct{} // somebody sees what follow keeps true
}

// fresh is how long a picture of memory serves: for the calls that one program makes
// for one answer, or as it starts. So sysinfo(2) and /proc/meminfo agree. Through Bind
// lasting is: follow makes the next before, unless it is late.
const fresh, lasting = 50 * time.Millisecond, 2 * step

// seldom is the same of what costs more and matters less: what is told of CPUs, and how
// many processes there are.
const seldom = time.Second

// NewView makes a view. The caller has to tell SetLimit of a limit that is to be kept.
func NewView() (*View, error) {
	b, err := budget.Open()
	if err != nil {
		return nil, err
	}
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	return &View{
		budget: b, born: firstBorn(), dumpable: err == nil && dumpable == 1, readers: make(chan struct{}, 1),
		meminfo: document{path: "/proc/meminfo", exact: true},
		cpuinfo: document{path: "/proc/cpuinfo"},
		online:  document{path: "/sys/devices/system/cpu/online"},
	}, nil
}

// Budget is what the view reads memory from.
func (v *View) Budget() *budget.Budget { return v.budget }

// SetLimit is Budget.SetLimit, of n bytes, and what was read under another limit serves
// nobody any more.
func (v *View) SetLimit(n int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.budget.SetLimit(n)
	v.memoryAt = time.Time{}
	v.pictures.Add(1)
}

// look is the first look.
func (v *View) look() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.readMemory(time.Now(), fresh)
}

// readMemory reads memory where the picture does not serve any more, for so long.
func (v *View) readMemory(now time.Time, serves time.Duration) error {
	if now.Sub(v.memoryAt) < serves { // it may be of after now, by who had the lock before
		return nil
	}
	var err error
	if err = v.budget.ReadMeminfo(&v.memory); err != nil {
		return err
	}
	v.memoryAt = now
	v.pictures.Add(1)
	v.text = v.memory.Append(v.text[:0])
	v.text = stretch(v.text, v.meminfo.length()-len(v.text))
	return nil
}

// stretch makes a text of /proc/meminfo longer by n blanks, in front of its last
// number. Whoever holds it open then still reads whole lines.
func stretch(text []byte, n int) []byte {
	at := bytes.LastIndexByte(text, ':') + 1
	if n <= 0 || at == 0 {
		return text
	}
	behind := strings.Repeat(" ", n) + string(text[at:])
	return append(text[:at], behind...)
}

// refresh makes a document's text new, where its picture has served for so long. It is
// false where the document is the kernel's own: nothing limits, or the numbers cannot be
// read.
func (v *View) refresh(d *document, now time.Time, serves time.Duration) bool {
	if d != &v.meminfo {
		v.readCPUs(now)
		return d.page != nil
	}
	return v.readMemory(now, serves) == nil && d.set(v.text, v.memory.Limited)
}

// named is the document whose name is base, without its directory; nil for none.
//
//go:nosplit
func (v *View) named(base []byte) *document {
	switch string(base) {
	case "meminfo":
		return &v.meminfo
	case "cpuinfo":
		return &v.cpuinfo
	case "online":
		return &v.online
	}
	return nil
}

// open opens a document for one more reader.
func (v *View) open(d *document, now time.Time) (fd int, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.refresh(d, now, fresh) {
		return 0, false
	}
	fd, err := unix.Open(d.page.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, false
	}
	if d == &v.meminfo {
		v.seen()
	}
	return fd, true
}

// sysinfo is the answer to sysinfo(2) by the picture that /proc/meminfo is made of, and
// as old, how long it is good, and that picture's number. The load and what the kernel may
// add one day are the host's. There is none where that file's text is not to be had: tools
// that mix both would show nonsense.
func (v *View) sysinfo(now time.Time, serves time.Duration) (info unix.Sysinfo_t, until time.Time, picture uint32, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.refresh(&v.meminfo, now, serves) || v.infoAt != v.memoryAt && !v.readInfo() {
		return info, until, picture, false
	}
	return v.info, v.infoAt.Add(serves), v.pictures.Load(), true
}

// readInfo makes the answer to sysinfo(2): whatever sorts with the C library asks once.
func (v *View) readInfo() bool {
	info, count := &v.info, v.info.Procs
	if unix.Sysinfo(info) != nil {
		return false
	}
	m := &v.memory
	info.Totalram, info.Freeram = uint64(m.MemTotal), uint64(m.MemFree)
	info.Sharedram, info.Bufferram = uint64(m.Shmem), uint64(m.Buffers)
	info.Totalswap, info.Freeswap = uint64(m.SwapTotal), uint64(m.SwapFree)
	info.Totalhigh, info.Freehigh = 0, 0
	info.Unit = 1
	if v.memoryAt.Sub(v.countAt) < seldom {
		info.Procs = count
	} else if n := processes(); n > 0 {
		info.Procs, v.countAt = uint16(min(n, math.MaxUint16)), v.memoryAt
	}
	var boot unix.Timespec
	if v.born > 0 && unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) == nil {
		info.Uptime = int64(max(0, time.Duration(boot.Nano())-v.born) / time.Second)
	}
	v.infoAt = v.memoryAt
	return true
}

// processes counts the processes of this PID namespace.
func processes() (n int) {
	dir, err := os.Open("/proc")
	if err != nil {
		return 0
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		if name[0] >= '1' && name[0] <= '9' {
			n++
		}
	}
	return n
}

// firstBorn is when this PID namespace's first process was started, after the
// host's boot (proc(5), starttime); 0 where it cannot be read.
func firstBorn() time.Duration {
	stat, err := os.ReadFile("/proc/1/stat")
	if err != nil {
		return 0
	}
	const (
		startTime = 22 - 3 // fields behind the name in parentheses, which is the second
		perSecond = 100    // USER_HZ
	)
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= startTime {
		return 0
	}
	ticks, err := strconv.ParseInt(string(fields[startTime]), 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(ticks) * (time.Second / perSecond)
}

// step is how often a text is made new that somebody holds open, or is bound.
const step = time.Second

// follow keeps the text of memory true as long as anybody holds it open.
func (v *View) follow() {
	v.follower.Do(func() {
		go func() {
			for {
				if !v.watched() {
					<-v.readers
				}
				time.Sleep(step)
			}
		}()
	})
}

// seen tells follow that somebody sees the text of memory.
func (v *View) seen() {
	select {
	case v.readers <- struct{}{}:
	default:
	}
}

// watched makes the text of memory new and tells whether somebody may look.
func (v *View) watched() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.meminfo.bound == nil && (v.meminfo.page == nil || !v.meminfo.page.held()) {
		return false
	}
	now := time.Now()
	if v.refresh(&v.meminfo, now, 0) && v.meminfo.bound != nil {
		v.readInfo() // so that hardly anybody waits for it
	}
	if v.cpuinfo.bound != nil && v.limitedCPUs() != v.cpus { // no open tells
		v.refresh(&v.cpuinfo, now, 0)
	}
	return true
}

// document is a file of the kernel's that has another text here.
type document struct {
	path  string
	exact bool     // Exact answers it, too
	page  *page    // what is handed out; nil: the kernel's own
	bound *os.File // what is bound over it; nil: nothing
}

// length is how long the text is that is handed out.
func (d *document) length() int {
	if d.page == nil {
		return 0
	}
	return len(d.page.memory)
}

// set makes text the document's: in place, where who holds it open sees it, or where
// the length differs in a new page, for those who open it from then on. Where
// nothing limits, nothing is handed out, but who holds it open sees that, too. It
// tells whether there is something.
func (d *document) set(text []byte, limited bool) bool {
	if d.bound != nil {
		if _, err := d.bound.WriteAt(text, 0); err == nil {
			_ = d.bound.Truncate(int64(len(text)))
		}
	}
	if d.page != nil && len(d.page.memory) == len(text) {
		copy(d.page.memory, text)
		return limited
	}
	if d.page != nil {
		d.page.close()
		d.page = nil
	}
	if limited {
		d.page, _ = newPage(d.path, text)
	}
	return d.page != nil
}

// page is memory that others may read as a file.
type page struct {
	fd     int
	path   string // a name of it, by which it is opened with an offset of its own
	memory []byte
}

// newPage makes a file in memory (memfd_create(2)) that only this mapping can
// change.
func newPage(name string, text []byte) (*page, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	defer unix.Close(fd)
	p := &page{}
	// Opened again it counts for a lease, which it does not as it was made.
	p.fd, err = unix.Open("/proc/self/fd/"+strconv.Itoa(fd), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a page of %s: %w", name, err)
	}
	p.path = "/proc/self/fd/" + strconv.Itoa(p.fd)
	_ = unix.Fchmod(fd, 0o444)
	if _, err = unix.Write(fd, text); err == nil {
		p.memory, err = unix.Mmap(fd, 0, len(text), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_FUTURE_WRITE|unix.F_SEAL_SEAL)
	}
	if err != nil {
		p.close()
		return nil, fmt.Errorf("make a page of %s: %w", name, err)
	}
	return p, nil
}

func (p *page) close() {
	if p.memory != nil {
		_ = unix.Munmap(p.memory)
	}
	unix.Close(p.fd)
}

// held tells whether anybody else has the page open: only then does the kernel
// refuse a lease of it (fcntl(2), F_SETLEASE). Where it gives none to nobody
// somebody may.
func (p *page) held() bool {
	if _, err := unix.FcntlInt(uintptr(p.fd), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		return true
	}
	_, _ = unix.FcntlInt(uintptr(p.fd), unix.F_SETLEASE, unix.F_UNLCK)
	return false
}
