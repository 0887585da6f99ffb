package supervisor

import (
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/leaf"
	"github.com/memsup/memsup/lens"
	"github.com/memsup/memsup/spawn"
)

// lenses are what workers see the container's memory through. Each is opened before
// the first worker starts that has it, and stays.
type lenses struct {
	view   *lens.View
	opened [lens.Bind + 1]*lens.Lens // by their modes
	failed [lens.Bind + 1]bool
	stay   string // the cgroup that is memsup's own, where workers have others

	mu         sync.Mutex
	processors int
}

// fork starts a process of the type's. Where there is no lens to be had it starts
// without.
func (s *supervisor) fork(w *worker, spec *spawn.Spec) (pid int, err error) {
	l := s.lensOf(w.typ.Lens)
	if l == nil {
		return s.sys.start(spec)
	}
	if s.sys.pid != 1 {
		// Without memsup nobody answers what it is asked, and it gets ENOSYS for ever.
		settings := spawn.Settings{}
		if spec.Settings != nil {
			settings = *spec.Settings
		}
		settings.DeathSignal = unix.SIGKILL
		spec.Settings = &settings
	}
	l.Run(func() { pid, err = s.sys.start(spec) })
	return pid, err
}

// lensOf is the lens of a mode, nil where there is none.
func (s *supervisor) lensOf(mode lens.Mode) *lens.Lens {
	ls := &s.lenses
	if mode == lens.Off || ls.failed[mode] || ls.opened[mode] != nil {
		return ls.opened[mode]
	}
	var err error
	if ls.view == nil {
		if ls.view, err = lens.NewView(); err == nil {
			ls.view.Budget().Stay(ls.own())
			ls.setLimit(s.c.Limit)
		}
	}
	if err == nil {
		ls.opened[mode], err = ls.view.Open(mode)
	}
	if err != nil {
		ls.failed[mode] = true
		s.log.warn("no lens: workers start without it", "lens", mode, "because", err)
		return nil
	}
	if s.c.Command == nil {
		s.log.info("workers see the container's memory", "lens", mode)
	}
	// Who answers them must not wait until the loop is done with something else.
	ls.useProcessors(3)
	return ls.opened[mode]
}

// own is the cgroup around those of the workers; empty where they have none. A
// command may run in one that another memsup made.
func (ls *lenses) own() string {
	if ls.stay == "" {
		if dir, ok := ls.view.Budget().Cgroup2(); ok {
			if around, ok := leaf.Around(dir); ok {
				return around
			}
		}
	}
	return ls.stay
}

// setLimit is for what the lenses read: Config.Limit.
func (ls *lenses) setLimit(n int64) {
	if ls.view != nil {
		ls.view.SetLimit(n)
	}
}

// useProcessors has the Go runtime run at most so many threads of Go code at once, or
// as many as somebody asked for before.
func (ls *lenses) useProcessors(n int) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if n > ls.processors {
		ls.processors = n
		runtime.GOMAXPROCS(n)
	}
}
