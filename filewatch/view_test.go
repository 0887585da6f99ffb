package filewatch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// looked is a view of files as they are, which was looked at once.
func looked(t *testing.T, paths ...string) *view {
	t.Helper()
	var files []File
	for _, path := range paths {
		files = append(files, asRead(t, path))
	}
	v := &view{
		files: watched(files),
		watch: func(string) error { return nil },
		leave: func(string) error { return nil },
	}
	wantLook(t, v, 0, false, 0)
	return v
}

func wantLook(t *testing.T, v *view, now time.Duration, changed bool, again time.Duration) {
	t.Helper()
	gotChanged, gotAgain, err := v.look(now)
	must(t, err)
	if gotChanged != changed || gotAgain != again {
		t.Errorf("at %v: changed %v, again in %v; want %v, %v", now, gotChanged, gotAgain, changed, again)
	}
}

func TestSameContentsAreNoChange(t *testing.T) {
	path := t.TempDir() + "/Procfile"
	write(t, path, "one")
	v := looked(t, path)
	replace(t, path, "one")
	wantLook(t, v, time.Second, false, 0)
	replace(t, path, "two")
	wantLook(t, v, 2*time.Second, true, 0)
	wantLook(t, v, 3*time.Second, false, 0)
}

func TestGoneForAMoment(t *testing.T) {
	dir := t.TempDir()
	path, other := dir+"/Procfile", dir+"/.env"
	write(t, path, "one")
	v := looked(t, path, other)
	must(t, os.Remove(path))
	wantLook(t, v, 10*time.Second, false, absence)
	write(t, other, "A=b") // which is told when the first one is back
	wantLook(t, v, 10*time.Second+absence/4, false, absence*3/4)
	write(t, path, "one")
	wantLook(t, v, 10*time.Second+absence/2, true, 0)
	must(t, os.Remove(path))
	wantLook(t, v, 20*time.Second, false, absence) // counted anew
	wantLook(t, v, 20*time.Second+absence, true, 0)
	wantLook(t, v, 30*time.Second, false, 0)
	write(t, path, "one")
	wantLook(t, v, 40*time.Second, true, 0)
}

func TestWaitsUntilItIsQuiet(t *testing.T) {
	v := &view{}
	for _, event := range []struct{ at, wait time.Duration }{
		{time.Second, quiet},
		{time.Second + quiet/2, quiet},
		{time.Second + restless - quiet/4, quiet / 4},
		{time.Second + 2*restless, 0},
	} {
		if wait := v.touched(event.at); wait != event.wait {
			t.Errorf("at %v: waits %v, want %v", event.at, wait, event.wait)
		}
	}
}

func TestUnreadableIsToldOnce(t *testing.T) {
	path := t.TempDir() + "/Procfile"
	write(t, path, "one")
	v := looked(t, path)
	must(t, os.Remove(path))
	must(t, os.Symlink("Procfile", path)) // to itself
	wantLook(t, v, time.Second, true, 0)
	wantLook(t, v, 2*time.Second, false, 0)
}

// A pipe is not read again, and a directory in .env's place is no file.
func TestWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	pipe, env := dir+"/pipe", dir+"/.env"
	must(t, unix.Mkfifo(pipe, 0o600))
	v := &view{
		files: watched([]File{{pipe, SumOf([]byte("what it gave"))}, {Path: env}}),
		watch: func(string) error { return nil },
		leave: func(string) error { return nil },
	}
	wantLook(t, v, time.Second, false, 0)
	write(t, env, "A=b")
	wantLook(t, v, 2*time.Second, true, 0)
	must(t, os.Remove(env))
	must(t, os.Mkdir(env, 0o755))
	wantLook(t, v, 3*time.Second, false, absence)
	wantLook(t, v, 3*time.Second+absence, true, 0)
}

func TestCannotWatch(t *testing.T) {
	path := t.TempDir() + "/Procfile"
	write(t, path, "one")
	v := looked(t, path)
	v.watch = func(string) error { return unix.ENOSPC }
	if _, _, err := v.look(time.Second); err == nil || !strings.Contains(err.Error(), "max_user_watches") {
		t.Errorf("%v, want an error that names max_user_watches", err)
	}
	v.watch = func(string) error { return unix.EACCES }
	if _, _, err := v.look(time.Second); err == nil || !strings.Contains(err.Error(), unix.EACCES.Error()) {
		t.Errorf("%v, want %v", err, unix.EACCES)
	}
	v.watch = func(string) error { return unix.ENOENT } // in a moment
	wantLook(t, v, time.Second, false, quiet)
}

// What has to be watched follows the links.
func TestTrace(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	must(t, os.MkdirAll(dir+"/a/b", 0o755))
	write(t, dir+"/a/b/file", "")
	must(t, os.Symlink("a", dir+"/link"))
	must(t, os.Symlink(dir+"/link/b/../b/file", dir+"/far"))
	must(t, os.Symlink("round", dir+"/round"))
	for _, test := range []struct {
		path string
		want []string
	}{
		{"a/b/file", []string{"a/b/file"}},
		{"link/b/file", []string{"link", "a/b/file"}},
		{"far", []string{"far", "link", "a/b/file"}},
		{"a/none/file", []string{"a/none"}},
		{"a/b", []string{"a/b"}},
		{"a/b/file/under", []string{"a/b/file"}},
	} {
		var want []string
		for _, place := range test.want {
			want = append(want, filepath.Join(dir, place))
		}
		if got := trace(filepath.Join(dir, test.path)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", test.path, got, want)
		}
	}
	if got := trace(dir + "/round"); len(got) == 0 || len(got) > 50 {
		t.Errorf("a link to itself has %d places", len(got))
	}

	var left []string
	v := looked(t, dir+"/link/b/file")
	v.leave = func(path string) error { left = append(left, path); return nil }
	if !v.concerns(dir+"/link") || !v.concerns(dir+"/a/b/file") || v.concerns(dir+"/other") {
		t.Errorf("it is about %v", v.places)
	}
	must(t, os.MkdirAll(dir+"/c/b", 0o755))
	write(t, dir+"/c/b/file", "")
	relink(t, "c", dir+"/link")
	wantLook(t, v, time.Second, false, 0)
	slices.Sort(left)
	if want := []string{dir + "/a/b", dir + "/a/b/file"}; !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
}
