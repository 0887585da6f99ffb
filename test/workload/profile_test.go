package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/memsup/memsup/sim"
)

// TestProfiles holds that each committed profile has the format that
// sim/profiles/README.md tells, and that there is one of every server.
func TestProfiles(t *testing.T) {
	const dir = "../../sim/profiles"
	for _, p := range profiles {
		text, err := os.ReadFile(filepath.Join(dir, p.name+".txt"))
		if err != nil {
			t.Error(err)
			continue
		}
		if err := check(p.name, text); err != nil {
			t.Error(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(files) != len(profiles) {
		t.Errorf("%d files for %d profiles (%v)", len(files), len(profiles), err)
	}
}

// check reads a profile as the simulator does, and holds what thin promises.
func check(name string, text []byte) error {
	p, err := sim.ParseProfile(name+".txt", bytes.NewReader(text))
	if err != nil {
		return err
	}
	if p.Name != name {
		return fmt.Errorf("%s.txt: the name in it is %s", name, p.Name)
	}
	if len(p.Lives) < 3 {
		return fmt.Errorf("%s.txt: %d lives, want 3 or more", name, len(p.Lives))
	}
	for i, life := range p.Lives {
		if len(life) > rows {
			return fmt.Errorf("%s.txt: life %d has %d rows, want %d at most", name, i+1, len(life), rows)
		}
		for j := range life[1:] {
			if life[j].Requests == life[j+1].Requests {
				return fmt.Errorf("%s.txt: life %d: two rows with %d requests", name, i+1, life[j].Requests)
			}
		}
	}
	return nil
}

// What is written is what check reads.
func TestText(t *testing.T) {
	m := measured{
		profile:  profiles[0],
		packages: []string{"gunicorn 1:20.1.0-6+deb12u1"},
		start:    []time.Duration{30, 10, 20},
		stop:     []time.Duration{time.Millisecond},
		service:  []time.Duration{time.Millisecond, 2 * time.Millisecond, 9 * time.Millisecond},
	}
	for range 3 {
		m.lives = append(m.lives, []row{{private: 5, peak: 5, shared: 2}, {requests: 1, seconds: 1, private: 6, peak: 8}, {requests: 2, seconds: 2, private: 6, peak: 6}})
	}
	text := m.text()
	if err := check(m.name, text); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	for _, want := range []string{"\nserver gunicorn 20.1.0\n", "\nservice_ms 4.0 2.0 9.0\n", "\nshared_bytes 2\n", "\n3 1 1.00 6 8 0\n"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// A thinned life keeps its ends, its steps and its highest peak, which came when no
// request ended.
func TestThin(t *testing.T) {
	var life []row
	for i := range 400 {
		r := row{requests: 10 * i, seconds: float64(i), private: 20 << 20}
		if i >= 200 {
			r.private = 40 << 20
		}
		r.peak = r.private
		idle := r
		idle.seconds += 0.5
		if i == 300 {
			idle.peak = 90 << 20
		}
		life = append(life, r, idle)
	}
	before := slices.Clone(life)
	thinned := thin(life, rows)
	if len(thinned) != rows || thinned[0] != life[0] || thinned[rows-1].seconds != 399 {
		t.Fatalf("%d rows from %v to %v", len(thinned), thinned[0], thinned[len(thinned)-1])
	}
	var peak int64
	for i, r := range thinned[1:] {
		peak = max(peak, r.peak)
		was := thinned[i]
		if r.requests <= was.requests || r.requests > was.requests+400 {
			t.Errorf("%d requests after %d", r.requests, was.requests)
		}
		if r.private != was.private && r.requests > was.requests+10 {
			t.Errorf("the step lies anywhere between %v and %v", was, r)
		}
	}
	if peak != 90<<20 {
		t.Errorf("the highest peak is %d", peak)
	}
	if !slices.Equal(life, before) {
		t.Error("thin changed what it was given")
	}
}

// A moment is a peak, and a step stays where it is.
func TestRest(t *testing.T) {
	var life, want []row
	for i, private := range []int64{10, 20, 20, 90, 20, 20, 20, 50, 50, 80, 80, 50, 50} {
		life = append(life, row{requests: i, private: private, peak: private + 1})
		want = append(want, life[i])
	}
	want[3].private, want[9].private, want[10].private = 20, 50, 50
	if got := rest(life); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestUpstream(t *testing.T) {
	for version, want := range map[string]string{
		"20.1.0-6+deb12u1": "20.1.0", "5:7.0.15-1~deb12u10": "7.0.15", "6.4.1+dfsg-1": "6.4.1", "18.20.4+dfsg-1~deb12u1": "18.20.4",
	} {
		if got := upstream(version); got != want {
			t.Errorf("upstream(%q) = %q, want %q", version, got, want)
		}
	}
}
