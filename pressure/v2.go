package pressure

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// trigger is what is asked of memory.pressure: tell when some task waited for
// memory for threshold within window. The kernel reads it in microseconds.
type trigger struct {
	rung      string
	text      string
	threshold time.Duration
}

// triggers are tried in order. Without CAP_SYS_RESOURCE the kernel takes only
// windows of a multiple of two seconds, and old kernels refuse the open.
var triggers = [...]trigger{
	{rungTrigger, "some 100000 1000000\x00", 100 * time.Millisecond},
	{rungSlowTrigger, "some 200000 2000000\x00", 200 * time.Millisecond},
}

// openV2 listens to memory.pressure and memory.events of dir.
func (w *Watcher) openV2(dir string) {
	psi, events := dir+"/memory.pressure", dir+"/memory.events"
	switch err := w.openPSI(psi); {
	case err != nil:
		w.miss(rungTrigger, psi, err)
	case !exists(dir+"/cgroup.events") && !exists(events):
		// The root cgroup alone has neither; what it calls its pressure is the host's.
		w.closePSI()
		w.miss(rungTrigger, psi, errRoot)
	default:
		w.openTrigger(psi)
	}
	w.openEvents(events)
}

var errRoot = errors.New("it is the root cgroup's, and so the host's")

// openTrigger sets the first trigger that the kernel takes. One descriptor
// holds one trigger; a refused one leaves it free.
func (w *Watcher) openTrigger(path string) {
	fd, err := open(path, unix.O_RDWR)
	if err != nil {
		w.miss(rungTrigger, path, err)
		return
	}
	w.total, _, _ = w.readPSI()
	for _, t := range triggers {
		if err = write(fd, t.text); err == nil {
			w.enough = t.threshold / 2
			err = w.hear(&heard{source: Stall, rung: t.rung, path: path, fd: fd, file: -1}, unix.EPOLLPRI)
			break
		}
		if !errors.Is(err, unix.EINVAL) {
			break
		}
	}
	if err != nil {
		unix.Close(fd)
		w.miss(rungTrigger, path, err)
	}
}

// stalled says whether time was lost since the trigger last fired. Triggers
// with the 2 s window are looked after by the same work that makes the averages,
// and may fire on what is long past. Half the threshold is asked for: the kernel
// interpolates between windows, so the growth since the last event may be a
// little less than the whole.
func (w *Watcher) stalled() bool {
	some, _, ok := w.readPSI()
	grown := some - w.total
	if ok {
		w.total = some
	}
	return ok && grown >= w.enough
}

// openEvents listens to memory.events. It has to be read before it notifies.
// memory.events.local would leave out the cgroups below; what happens to the
// workers' own cgroups is memsup's business as well.
func (w *Watcher) openEvents(path string) {
	fd, err := open(path, unix.O_RDONLY)
	if err != nil {
		w.miss(rungEvents, path, err)
		return
	}
	h := &heard{source: Events, rung: rungEvents, path: path, fd: fd, file: fd}
	if err = h.take(); err == nil {
		if err = w.hear(h, unix.EPOLLPRI); errors.Is(err, unix.EPERM) {
			err = w.hearByInotify(h)
		}
	}
	if err != nil {
		h.close()
		w.miss(rungEvents, path, err)
	}
}

// write writes a text that the kernel takes as a whole or refuses.
func write(fd int, text string) error {
	for {
		_, err := unix.Write(fd, []byte(text))
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
