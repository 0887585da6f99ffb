// Package lens has programs that were never changed see the container's memory
// where they ask the kernel: sysinfo(2), /proc/meminfo, and where the CPU is limited
// /proc/cpuinfo and the list of CPUs that are online. Their numbers are those of
// package budget.
//
// A seccomp filter has the kernel ask this process before it does such a call for a
// program that Run started (seccomp(2), SECCOMP_RET_USER_NOTIF). The answer is a
// filled struct sysinfo, or a descriptor of memory with the text, and in every
// other case that the kernel shall go on as if nobody had been asked.
//
// It is a view and no boundary: who wants the host's numbers gets them.
package lens

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Mode is how much is answered.
type Mode uint8

const (
	Off Mode = iota
	// Exact answers sysinfo(2), and opens of /proc/meminfo with O_RDONLY alone, or
	// with O_LARGEFILE, as the C libraries' fopen has them.
	Exact
	// Wide answers every open that only reads, with O_CLOEXEC and the like too.
	Wide
	// Bind answers sysinfo(2), and has the files bound over those of the kernel in a
	// mount namespace of its own. It needs CAP_SYS_ADMIN.
	Bind
)

// Modes are the modes by their names.
var Modes = []string{"off", "exact", "wide", "bind"}

func (m Mode) String() string { return Modes[m] }

// Parse reads a mode's name.
func Parse(text string) (Mode, error) {
	if i := slices.Index(Modes, text); i >= 0 {
		return Mode(i), nil
	}
	last := len(Modes) - 1
	return Off, fmt.Errorf("%q is unknown; write %s or %s", text, strings.Join(Modes[:last], ", "), Modes[last])
}

// Lens starts processes that see through it. It stays for the process's life.
type Lens struct {
	mode     Mode
	view     *View
	machine  machine
	listener int
	patient  bool          // no signal ends a call that is being answered
	byFile   bool          // workers' memory is reached by /proc/PID/mem
	serves   time.Duration // how long a picture does, for sysinfo(2)
	runs     chan func()
	waiting  atomic.Int32 // threads that were relieved and are not done
	// unwatched tells that nobody looks whether an answer takes too long; what is
	// sent to watch ends that.
	unwatched atomic.Bool
	watch     chan struct{}
}

// Open makes a lens of a mode that is not Off. The error says what is in its way;
// nothing is left of it then.
func (v *View) Open(mode Mode) (*Lens, error) {
	m, ok := native()
	if !ok {
		return nil, fmt.Errorf("no lens for %s", runtime.GOARCH)
	}
	if err := v.look(); err != nil {
		return nil, err
	}
	l := &Lens{mode: mode, view: v, machine: m, byFile: byFile(), serves: fresh, runs: make(chan func()), watch: make(chan struct{}, 1)}
	if mode == Bind {
		l.serves = lasting
	}
	opened := make(chan error)
	go l.thread(opened)
	if err := <-opened; err != nil {
		return nil, err
	}
	v.follow()
	if mode == Bind {
		v.seen()
	}
	return l, nil
}

// Run runs f, which forks, where what it forks sees through the lens. One f runs
// after the other. The thread is the same each time and lives as long as the process.
func (l *Lens) Run(f func()) {
	done := make(chan struct{})
	l.runs <- func() { f(); close(done) }
	<-done
}

// thread is the one that forks. A filter and a mount namespace are a thread's own
// and inherited by what it forks. It ends with the goroutine where the lens cannot
// be opened, and else never: it is the parent of what it forked, whose parent-death
// signal waits for its end (prctl(2), PR_SET_PDEATHSIG).
func (l *Lens) thread(opened chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// What the main thread has counts as the process's: docker exec enters its
		// mount namespace.
		away := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(away)
			l.thread(opened)
		}()
		<-away
		runtime.UnlockOSThread()
		return
	}
	if err := l.install(); err != nil {
		opened <- err
		return
	}
	opened <- nil
	for f := range l.runs {
		f()
	}
}

func (l *Lens) install() (err error) {
	if l.mode == Bind {
		defer func() {
			if err != nil {
				l.view.unbind()
			}
		}()
		if err := l.view.bind(); err != nil {
			return err
		}
	}
	if l.listener, l.patient, err = install(l.machine.filter(l.mode)); err != nil {
		return err
	}
	if err := prepare(l.listener); err != nil {
		unix.Close(l.listener)
		return err
	}
	h := &handler{lens: l}
	go l.serve(h)
	go l.relieve(h)
	return nil
}
