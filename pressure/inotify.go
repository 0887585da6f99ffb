package pressure

import "github.com/fsnotify/fsnotify"

// hearByInotify listens to a memory.events that cannot be polled, as hear does
// to one that can: epoll_ctl(2) refuses what is not a file of the kernel's own,
// such as a copy that something else keeps and mounts into the container.
func (w *Watcher) hearByInotify(h *heard) error {
	notes, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	if err := notes.Add(h.path); err != nil {
		notes.Close()
		return err
	}
	h.notes = notes
	w.heard = append(w.heard, h)
	w.listeners.Go(func() {
		for {
			select {
			case _, more := <-notes.Events:
				if !more || w.turn(h, true, 0, false) {
					return
				}
			case <-notes.Errors: // events were lost: look all the same
				if w.turn(h, true, 0, false) {
					return
				}
			}
		}
	})
	return nil
}
