package filewatch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// view is what is known of the files. Instants are since an origin that the caller
// keeps.
type view struct {
	watch, leave func(path string) error

	files   []*file
	places  map[string]bool // see trace
	watches map[string]bool // what is watched: directories, and the files themselves
	since   time.Duration   // the first event that was not looked after yet; zero is none
}

// file is a file by its contents.
type file struct {
	path string        // absolute
	told Sum           // as it was read, or told last
	gone time.Duration // since when it is not there and was before; zero is not
}

func watched(files []File) (list []*file) {
	for _, f := range files {
		path, err := filepath.Abs(f.Path)
		if err != nil {
			path = f.Path
		}
		list = append(list, &file{path: path, told: f.Sum})
	}
	return list
}

// concerns says whether an event may be about one of the files. A directory that a
// file is in may be busy with others.
func (v *view) concerns(name string) bool {
	name = filepath.Clean(name) // of "/" it is //Procfile
	return v.places[name] || v.watches[name]
}

// touched notes an event and says when to look.
func (v *view) touched(now time.Duration) time.Duration {
	if v.since == 0 {
		v.since = now
	}
	return max(0, min(quiet, v.since+restless-now))
}

// look reads the files and says whether one of them is another than was told, and when
// to look again though nothing has been heard; zero is never. An error is that they
// cannot be watched.
func (v *view) look(now time.Duration) (changed bool, again time.Duration, err error) {
	v.since = 0
	// What changes after this is heard of.
	if again, err = v.rewatch(); err != nil {
		return false, 0, err
	}
	sums := make([]Sum, len(v.files))
	for i, f := range v.files {
		sums[i] = f.sum()
		if sums[i] != (Sum{}) || f.told == (Sum{}) {
			f.gone = 0
			continue
		}
		if f.gone == 0 {
			f.gone = max(1, now)
		}
		if left := f.gone + absence - now; left > 0 {
			again = max(again, left)
		}
	}
	if again > 0 {
		return false, again, nil // one of them is on its way
	}
	for i, f := range v.files {
		changed = changed || sums[i] != f.told
		f.told, f.gone = sums[i], 0
	}
	return changed, 0, nil
}

// rewatch watches what has to be, where links may lead elsewhere by now.
func (v *view) rewatch() (again time.Duration, err error) {
	places, want := map[string]bool{}, map[string]bool{}
	for _, f := range v.files {
		for _, place := range trace(f.path) {
			places[place] = true
			want[filepath.Dir(place)] = true
			// A file that is mounted by itself, as docker run -v FILE:FILE does, is
			// written where its directory does not hear of it.
			if info, err := os.Lstat(place); err == nil && info.Mode().IsRegular() {
				want[place] = true
			}
		}
	}
	for path := range want {
		// Again also where it was watched: another file may have taken its place.
		switch err := v.watch(path); {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
			again = quiet // it went just now
		case errors.Is(err, unix.ENOSPC):
			return 0, fmt.Errorf("watch %s: no inotify watch is left: /proc/sys/fs/inotify/max_user_watches", path)
		case err != nil:
			return 0, fmt.Errorf("watch %s: %w", path, err)
		}
	}
	for path := range v.watches {
		if !want[path] {
			_ = v.leave(path) // which it may have done by itself
		}
	}
	v.places, v.watches = places, want
	return again, nil
}

// sum is that of the file as it is now. What is no file on a disk, as a pipe, can be
// read once only and counts as what it was; a directory counts as none.
func (f *file) sum() Sum {
	info, err := os.Stat(f.path)
	switch {
	case err != nil && !missing(err):
		return SumOf([]byte(err.Error())) // so that it is told
	case err != nil, info.IsDir():
		return Sum{}
	case !info.Mode().IsRegular():
		return f.told
	}
	contents, err := os.ReadFile(f.path)
	switch {
	case err == nil:
		return SumOf(contents)
	case missing(err):
		return Sum{}
	}
	return SumOf([]byte(err.Error()))
}

func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
}

// trace follows a path as open(2) does and gives each name on the way whose meaning
// can be changed: those of links, and that of the file or of the first directory that
// is not there.
func trace(path string) (places []string) {
	const most = 40 // as the kernel does
	at, rest := "/", strings.Split(path, "/")
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == "" || name == "." {
			continue
		}
		at = filepath.Join(at, name) // ".." of a directory without links is its parent
		info, err := os.Lstat(at)
		switch {
		case err != nil:
			return append(places, at)
		case info.Mode()&fs.ModeSymlink != 0:
			places = append(places, at)
			target, err := os.Readlink(at)
			if links++; err != nil || links > most {
				return places
			}
			at = filepath.Dir(at)
			if filepath.IsAbs(target) {
				at = "/"
			}
			rest = append(strings.Split(target, "/"), rest...)
		case !info.IsDir() || len(rest) == 0:
			return append(places, at)
		}
	}
	return places
}
