// Package filewatch tells when the contents of files change. It hears of it by
// inotify(7), compares what is read, and knows how files are changed: written in
// place, replaced by a rename as editors do, or reached through a symbolic link that
// is swapped, as Kubernetes does with a ConfigMap.
package filewatch

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Sum tells contents apart. The zero Sum is that of no file.
type Sum [sha256.Size]byte

// SumOf is the Sum of contents.
func SumOf(contents []byte) Sum { return sha256.Sum256(contents) }

// File is a file as somebody has read it. It may not be there.
type File struct {
	Path string
	Sum  Sum
}

// Watcher watches files in a goroutine of its own. A nil Watcher never tells of
// anything.
type Watcher struct {
	changes chan error
	follow  chan []File
	closed  chan struct{}
}

// Start begins to watch. Nothing waits for it, nor for a disk.
func Start(files []File) *Watcher {
	w := &Watcher{make(chan error, 1), make(chan []File, 1), make(chan struct{})}
	w.Follow(files)
	go w.run()
	return w
}

// Changes gives nil when the contents of a file are others than were read, once for
// each that they come to. An error is the last thing that is told: nothing is watched.
func (w *Watcher) Changes() <-chan error {
	if w == nil {
		return nil
	}
	return w.changes
}

// Follow has these files watched from now on, in place of those before. One goroutine
// at a time may call it.
func (w *Watcher) Follow(files []File) {
	select {
	case <-w.follow: // nobody has taken them yet
	default:
	}
	w.follow <- files
}

// Close ends the watch.
func (w *Watcher) Close() {
	if w != nil {
		close(w.closed)
	}
}

const (
	// quiet is how long no file is touched before they are read: several changes at
	// once are one, and a file that is being written may hold the half of it.
	quiet = 200 * time.Millisecond
	// restless is how long that is waited for.
	restless = 2 * time.Second
	// absence is how long a file may be gone: to be replaced takes it a moment.
	absence = time.Second
)

func (w *Watcher) run() {
	notes, err := fsnotify.NewWatcher()
	if err != nil {
		w.tell(fmt.Errorf("inotify: %w", err))
		return
	}
	defer notes.Close()
	begin := time.Now()
	v := &view{watch: notes.Add, leave: notes.Remove}
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		select {
		case <-w.closed:
			return
		case files := <-w.follow:
			v.files = watched(files)
			timer.Reset(v.touched(time.Since(begin)))
		case e := <-notes.Events:
			if v.concerns(e.Name) {
				timer.Reset(v.touched(time.Since(begin)))
			}
		case <-notes.Errors: // events were lost
			timer.Reset(v.touched(time.Since(begin)))
		case <-timer.C:
			changed, again, err := v.look(time.Since(begin))
			if err != nil {
				w.tell(err)
				return
			}
			if changed {
				w.tell(nil)
			}
			if again > 0 {
				timer.Reset(again)
			}
		}
	}
}

// tell takes the place of what nobody has heard yet, which says the same or less.
func (w *Watcher) tell(err error) {
	select {
	case <-w.changes:
	default:
	}
	w.changes <- err
}
