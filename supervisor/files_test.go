package supervisor

import (
	"errors"
	"testing"
	"time"

	"github.com/memsup/memsup/filewatch"
)

// A change while files are read is not lost: they may have been read before it.
func TestReloadIsNotLost(t *testing.T) {
	read := make(chan bool)
	s := &supervisor{reloads: make(chan reloaded, 1)}
	s.c = &Config{Reload: func() (*Config, error) { read <- true; return nil, errors.New("a mistake") }}
	for range 3 {
		s.filesChanged(nil)
	}
	for n := range 2 {
		select {
		case <-read:
		case <-time.After(time.Minute):
			t.Fatalf("files were read %d times, want 2", n)
		}
		r := <-s.reloads
		s.reloaded(r)
	}
	if s.reloading {
		t.Error("files are read a third time")
	}
}

// Where files cannot be watched nothing is reloaded, and HUP goes on working.
func TestCannotWatchFiles(t *testing.T) {
	n := 0
	s := &supervisor{reloads: make(chan reloaded, 1), watched: &filewatch.Watcher{}}
	s.c = &Config{Reload: func() (*Config, error) { n++; return nil, errors.New("a mistake") }}
	s.filesChanged(errors.New("no inotify"))
	if s.watched != nil || s.reloading {
		t.Errorf("watched %v, reloading %v; want neither", s.watched, s.reloading)
	}
	s.reload()
	<-s.reloads
	if n != 1 {
		t.Errorf("files were read %d times, want once", n)
	}
}
