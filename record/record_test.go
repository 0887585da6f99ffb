package record

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/policy"
)

const mib = 1 << 20

// play has a policy decide n looks at a container that fills up, and records
// them.
func play(w *Writer, n int) (actions int) {
	c := policy.Config{ReservePercent: 10, Types: []policy.Type{{Name: "web", Min: 1, Max: 4}}}
	var s policy.State
	o := policy.Observation{Limit: 256 * mib, Limited: true}
	for i := range n {
		o.Now = time.Duration(i) * time.Second
		o.Used = int64(20+i%200) * mib
		o.Available = o.Limit - o.Used
		o.Headroom = o.Available
		o.Workers = append(o.Workers[:0], policy.Worker{Type: 0, Index: 1, Phase: policy.Ready, Cost: 20 * mib})
		did := s.Decide(&c, &o)
		actions += len(did)
		w.Look(&c, &o, did)
	}
	return actions
}

func finish(t *testing.T, w *Writer) {
	t.Helper()
	w.Close()
	if err := <-w.Failed(); err != nil {
		t.Fatal(err)
	}
}

func replay(t *testing.T, path string) (steps []Step) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for step, err := range Replay(path, f) {
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	return steps
}

// TestReplay: what was recorded is decided the same again.
func TestReplay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r")
	w, err := Create(path, "v1")
	if err != nil {
		t.Fatal(err)
	}
	did := play(w, 200)
	finish(t, w)
	steps := replay(t, path)
	if len(steps) != 200 || did == 0 {
		t.Fatalf("%d looks with %d actions", len(steps), did)
	}
	for _, s := range steps {
		did -= len(s.Did)
		if !s.Same() || s.Version != "v1" {
			t.Errorf("%v: %v was decided, now %v", s.Look.Now, s.Did, s.Would)
		}
	}
	if did != 0 {
		t.Errorf("%d actions are missing", did)
	}
}

// TestReplayResized: what was remembered of a type goes with it to its new place.
func TestReplayResized(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r")
	w, err := Create(path, "v1")
	if err != nil {
		t.Fatal(err)
	}
	var s policy.State
	look := func(c *policy.Config, now, free int64, workers ...policy.Worker) []policy.Action {
		o := policy.Observation{
			Now: time.Duration(now) * time.Second, Limit: 256 * mib, Limited: true,
			Used: 256*mib - free, Available: free, Headroom: free, Workers: workers,
		}
		did := s.Decide(c, &o)
		w.Look(c, &o, did)
		return did
	}
	one := func(kind, index int) policy.Worker {
		return policy.Worker{Type: kind, Index: index, Phase: policy.Ready, Cost: 20 * mib, Since: -time.Minute}
	}
	web, jobs := policy.Type{Name: "web", Min: 1, Max: 4}, policy.Type{Name: "jobs", Min: 1, Max: 1}
	before := &policy.Config{ReservePercent: 10, Types: []policy.Type{web, jobs}}
	look(before, 0, 200*mib, one(0, 1), one(1, 1))
	from := []int{1, 0}
	s.Resize(from)
	w.Resize(from)
	after := &policy.Config{ReservePercent: 10, Types: []policy.Type{jobs, web}}
	look(after, 1, 5*mib, one(0, 1), one(1, 1), one(1, 2))
	if did := look(after, 2, 5*mib, one(0, 1), one(1, 1), one(1, 2)); len(did) == 0 || did[0].Kind != policy.Down {
		t.Fatalf("the second web was not taken back: %v", did)
	}
	finish(t, w)
	for _, step := range replay(t, path) {
		if !step.Same() {
			t.Errorf("%v: %v was decided, now %v", step.Look.Now, step.Did, step.Would)
		}
	}
}

// TestTurn: a recording takes no more than twice its bound, and each file can
// be replayed by itself.
func TestTurn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r")
	w, err := Create(path, "v1")
	if err != nil {
		t.Fatal(err)
	}
	w.max = 8 << 10
	for range 4 {
		play(w, 100)
	}
	finish(t, w)
	for _, path := range []string{path, path + ".1"} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > w.max {
			t.Errorf("%s has %d bytes", path, info.Size())
		}
		replay(t, path)
	}
}

// TestTurnInPlace: a link stays a link, and a pipe keeps its name.
func TestTurnInPlace(t *testing.T) {
	dir := t.TempDir()
	link, target := filepath.Join(dir, "link"), filepath.Join(dir, "target")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(pipe, os.O_RDWR, 0) // takes 64 KiB
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for _, path := range []string{link, pipe} {
		w, err := Create(path, "v1")
		if err != nil {
			t.Fatal(err)
		}
		w.max = 8 << 10
		play(w, 60)
		finish(t, w)
	}
	var names []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"link", "pipe", "target", "target.1"}; !slices.Equal(names, want) {
		t.Errorf("there are %v, want %v", names, want)
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode().Type() != os.ModeNamedPipe {
		t.Errorf("the pipe is %v now (%v)", info.Mode(), err)
	}
}

// TestStuckDisk: a disk that takes nothing loses lines, and the next ones tell
// how many; nobody waits.
func TestStuckDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path, "v1"); !errors.Is(err, unix.ENXIO) {
		t.Fatalf("a pipe that nobody reads: %v", err)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	reader := os.NewFile(uintptr(fd), path)
	defer reader.Close()
	w, err := Create(path, "v1")
	if err != nil {
		t.Fatal(err)
	}
	play(w, 5000)
	if w.missed == 0 {
		t.Fatal("a full pipe took 5000 lines")
	}
	seen, missed := 0, 0
	for step, err := range Replay(path, reader) {
		if err != nil {
			t.Fatal(err)
		}
		missed += step.Missed
		if seen++; seen == behind {
			play(w, 1)
			w.Close()
		}
	}
	if missed == 0 || seen+missed < 5000 {
		t.Errorf("%d looks are there, %d are said to be missing", seen, missed)
	}
}

// TestRefused: a disk that refuses ends the recording with its error.
func TestRefused(t *testing.T) {
	w, err := Create("/dev/full", "v1")
	if err != nil {
		t.Skip("no /dev/full:", err)
	}
	play(w, 10)
	if err := <-w.Failed(); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("got %v", err)
	}
	play(w, 10)
	w.Close()
}

func TestReplayErrors(t *testing.T) {
	config := `{"memsup":"v1","config":{"Types":[{"Name":"web","Min":1,"Max":1}]}}` + "\n"
	for text, want := range map[string]string{
		"":                   "f:1: no look in it; a recording is what memsup run --record f writes",
		config:               "f:2: no look in it; a recording is what memsup run --record f writes",
		"web: sleep 1\n":     "f:1: no line of a recording: ",
		`{"look":{}}` + "\n": `f:1: a look before any configuration; a recording begins with a line that has "config"`,
		config + `{"look":{"Workers":[{"Type":1}]}}` + "\n":                                "f:2: a worker of type 1 of 1",
		config + `{"look":{},"actions":[{"Kind":"up","Type":-1}]}` + "\n":                  "f:2: an action on type -1 of 1",
		config + `{"look":{"Workers":[{"Phase":"dead"}]}}` + "\n":                          `f:2: no line of a recording: "dead" is none of [starting ready stopping]`,
		config + `{"look":{},"actions":[{"Kind":"sideways"}]}` + "\n":                      `f:2: no line of a recording: "sideways" is none of [up down recycle kill]`,
		config + `{"look":{"Exits":[{"Type":7}],"Workers":[]}}` + "\n" + `{"look":` + "\n": "f:3: no line of a recording: ",
	} {
		var got string
		for _, err := range Replay("f", strings.NewReader(text)) {
			if err != nil {
				got = err.Error()
			}
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q gives %q", text, got)
		}
	}
}

// TestCutOff: what a full disk or a power failure cut off is left out.
func TestCutOff(t *testing.T) {
	text := `{"memsup":"v1","config":{}}` + "\n" + `{"look":{"Now":1}}` + "\n" + `{"look":{"No`
	n := 0
	for _, err := range Replay("f", strings.NewReader(text)) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("%d looks", n)
	}
}

func FuzzReplay(f *testing.F) {
	f.Add([]byte(`{"memsup":"v1","config":{"Types":[{"Name":"web","Min":1,"Max":3}]}}` + "\n" +
		`{"look":{"Now":5,"Limit":1000,"Workers":[{"Type":0,"Index":1,"Phase":"ready","Cost":7}]},"actions":[{"Kind":"up","Type":0}]}` + "\n" +
		`{"resized":true,"from":[-1,0]}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, err := range Replay("f", strings.NewReader(string(data))) {
			_ = err
		}
	})
}

var update = flag.Bool("update", false, "write into the recordings of testdata what is decided now")

// TestRecordings: what once surprised somebody is decided as the recordings in
// testdata have it.
func TestRecordings(t *testing.T) {
	files, err := filepath.Glob("testdata/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatal("no recordings", err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			steps := replay(t, path)
			if *update {
				rewrite(t, path, steps)
				return
			}
			for _, s := range steps {
				if !s.Same() {
					t.Errorf("%v: %v is recorded, now it is %v", s.Look.Now, s.Did, s.Would)
				}
			}
		})
	}
}

func rewrite(t *testing.T, path string, steps []Step) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for line := range strings.Lines(string(text)) {
		var l Line
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.Look != nil {
			l.Actions, steps = steps[0].Would, steps[1:]
		}
		line, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		out = append(append(out, line...), '\n')
	}
	if err := os.WriteFile(path, out, 0o644); err != nil {
		t.Fatal(err)
	}
}
