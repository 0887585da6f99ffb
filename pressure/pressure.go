// Package pressure tells when a container's memory hurts. It listens to the
// best that its place offers and passes all of it on through one channel:
//
//   - a PSI trigger on the cgroup's own memory.pressure, where it may be written
//     (Documentation/accounting/psi.rst);
//   - memory.events, which notifies on a read-only mount as well
//     (Documentation/admin-guide/cgroup-v2.rst);
//   - on cgroup v1 eventfds on memory.oom_control and memory.pressure_level,
//     where cgroup.event_control may be written
//     (Documentation/admin-guide/cgroup-v1/memory.rst).
//
// Where none of them is to be had, nothing ever wakes and the caller looks by
// itself: the rung is then "polling". A wake is a reason to look, not a
// verdict. The package has no timer and does nothing while the kernel is silent.
//
// The host's own figures, /proc/pressure/memory and the memory.pressure of the
// root cgroup, are other people's pressure and are never used.
package pressure

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Place is the memory cgroup that this process is in, its own level.
type Place struct {
	// Dir is the directory that holds the cgroup's files; empty where there is
	// none, and only the host limits memory.
	Dir string
	// V1 says that it is a directory of cgroup v1's memory controller.
	V1 bool
}

// Source is a set of what has spoken.
type Source uint8

const (
	// Events: a count in memory.events rose. The kernel counts there
	// how often usage was above memory.high (high), a charge ran into memory.max
	// (max), reclaim could not make room for it (oom), and a process was killed
	// (oom_kill), each with the cgroups below included. Filling the page cache
	// raises max too. Under load the kernel tells of it about every 16 ms at most.
	Events Source = 1 << iota
	// Stall: tasks waited for memory for at least a tenth of the trigger's
	// window. It is told once in a window at most.
	Stall
	// OOM: memory.oom_control of cgroup v1 says that the OOM killer is at work.
	OOM
	// Level: memory.pressure_level of cgroup v1 says that reclaim finds it
	// hard (medium) to make room.
	Level
	// Gone: the cgroup was removed, as it can be after a move to another one, and
	// the rung is "polling" now. Whoever knows the new place opens a new Watcher.
	// Where memory.events alone is listened to the kernel does not tell of it.
	Gone
)

var sourceNames = [...]string{"memory.events", "PSI trigger", "memory.oom_control", "memory.pressure_level", "gone"}

// String names the sources, joined by "+".
func (s Source) String() string {
	var names []string
	for i, name := range sourceNames {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "+")
}

// Wake is a reason to look at the memory now.
type Wake struct {
	// At is when the first notification since the last Wake was taken arrived
	// here. What is done about it is done this much later.
	At time.Time
	// Source is all that has spoken since then.
	Source Source
}

// Missed is a better way to hear of pressure that is not in use here.
type Missed struct {
	Rung string // its name, as in Rung
	File string // the path that decided; empty where there is no cgroup
	Why  string
}

// String is a line for people: the rung, the file and the reason.
func (m Missed) String() string {
	if m.File == "" {
		return m.Rung + ": " + m.Why
	}
	return m.Rung + ": " + m.File + ": " + m.Why
}

// Polling is the rung where the kernel says nothing.
const Polling = "polling"

// The rungs above it, and their order.
const (
	rungTrigger     = "PSI trigger"
	rungSlowTrigger = "PSI trigger (2 s window)"
	rungEvents      = "memory.events"
	rungControl     = "cgroup.event_control"
)

var ladder = []string{rungTrigger, rungSlowTrigger, rungEvents, rungControl}

// Watcher waits for the kernel to speak. Its methods may be called from several
// goroutines.
type Watcher struct {
	wakes     chan Wake
	listeners sync.WaitGroup // a goroutine for each of heard

	mu     sync.Mutex
	heard  []*heard
	missed []Missed
	psi    int           // memory.pressure, open for reading; -1 where there is none
	total  time.Duration // some's total when the trigger last fired
	enough time.Duration // what total must have grown by for the trigger to be believed
}

// Open listens at place. It never fails: what cannot be had is told by Missed,
// and the lowest rung is "polling". The caller closes the Watcher.
func Open(place Place) *Watcher {
	w := &Watcher{wakes: make(chan Wake, 1), psi: -1}
	w.mu.Lock() // from those who listen already
	defer w.mu.Unlock()
	switch {
	case place.Dir == "":
		w.missed = append(w.missed, Missed{Rung: "any", Why: "there is no memory cgroup here, only the host"})
	case place.V1:
		w.openV1(place.Dir)
	default:
		w.openV2(place.Dir)
	}
	return w
}

// Wakes is where reasons to look arrive. One waits at most: what comes before it
// was taken is merged into it. The channel is never closed.
func (w *Watcher) Wakes() <-chan Wake { return w.wakes }

// Rung names what is listened to: "PSI trigger and memory.events", "memory.events",
// "cgroup.event_control" or "polling". "PSI trigger (2 s window)" is the one that
// needs no CAP_SYS_RESOURCE.
func (w *Watcher) Rung() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for _, h := range w.heard {
		if len(names) == 0 || names[len(names)-1] != h.rung {
			names = append(names, h.rung)
		}
	}
	if len(names) == 0 {
		return Polling
	}
	return strings.Join(names, " and ")
}

// Hears says whether a source is listened to.
func (w *Watcher) Hears(source Source) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.heard, func(h *heard) bool { return h.source == source })
}

// Missed is what would be better than the rung in use, best first, and why it is
// not in use.
func (w *Watcher) Missed() []Missed {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Missed(nil), w.missed...)
}

// PSI reads the running totals of the cgroup's memory.pressure: the time in
// which some, and in which all non-idle tasks waited for memory, since the cgroup
// was made (Documentation/accounting/psi.rst; the kernel counts microseconds). The
// result is false where the cgroup has none: on cgroup v1, with psi=0, on a
// kernel before 4.20, in the root cgroup. It costs one pread and allocates nothing.
func (w *Watcher) PSI() (some, full time.Duration, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.readPSI()
}

// Close ends the waiting and closes the files. Its error is always nil, and a
// second Close does nothing.
func (w *Watcher) Close() error {
	w.mu.Lock()
	for _, h := range w.heard {
		h.end()
	}
	w.heard = nil
	w.closePSI()
	w.mu.Unlock()
	w.listeners.Wait()
	return nil
}

// miss notes why a rung is not in use.
func (w *Watcher) miss(rung, path string, err error) {
	w.missed = append(w.missed, Missed{Rung: rung, File: path, Why: err.Error()})
	slices.SortStableFunc(w.missed, func(a, b Missed) int {
		return slices.Index(ladder, a.Rung) - slices.Index(ladder, b.Rung)
	})
}
