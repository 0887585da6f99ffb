//go:build vm

package vm

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	keep     = flag.String("keep", "", "directory that keeps what each guest printed")
	unusable string // why these tests cannot run here
	scratch  string // removed at the end
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	for _, name := range []string{program, "apt-get", "dpkg", "mke2fs"} {
		if _, err := exec.LookPath(name); err != nil {
			unusable = "needs " + name
		}
	}
	if unusable != "" && os.Getenv("CI") == "true" {
		fmt.Fprintln(os.Stderr, unusable)
		return 1
	}
	var err error
	if scratch, err = os.MkdirTemp("", "memsup-vm"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(scratch)
	return m.Run()
}

// TestScenario boots a guest for each file of testdata, two at once: a guest
// keeps a CPU busy.
func TestScenario(t *testing.T) {
	if unusable != "" {
		t.Skip(unusable)
	}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	seats := make(chan struct{}, 2)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seats <- struct{}{}
			defer func() { <-seats }()
			play(t, name, file)
		})
	}
}

// play boots one scenario and judges it. What a noisy one expects in vain is asked
// of two guests more, and has to be true in both.
func play(t *testing.T, name, file string) {
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := parseScenario(src)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	wrong := once(t, name, s)
	if s.noisy && len(wrong) > 0 {
		t.Logf("twice more, because of %q", wrong)
		for _, again := range [][]string{once(t, name, s), once(t, name, s)} {
			for _, w := range again {
				if slices.Contains(wrong, w) {
					t.Error(w)
				}
			}
		}
		return
	}
	for _, w := range wrong {
		t.Error(w)
	}
}

// once boots a scenario and says what is wrong.
func once(t *testing.T, name string, s *scenario) (wrong []string) {
	begun := time.Now()
	g, err := boot(t.TempDir(), s)
	if err != nil && g == nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the kernel's console:\n%s", g.console)
			t.Logf("the guest printed:\n%s", g.printed)
		}
	})
	if *keep != "" {
		text := slices.Concat(g.printed, []byte("\n-- console --\n"), g.console)
		if err := os.WriteFile(filepath.Join(*keep, name+".log"), text, 0o644); err != nil {
			t.Error(err)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := parseResults(g.printed)
	if err != nil {
		t.Fatal(err)
	}
	if r["guest"] == nil {
		code, err := g.exit()
		if err != nil {
			t.Fatal(err)
		}
		r["guest"] = map[string]any{"exit": code}
	}
	t.Logf("%.1f s%v", time.Since(begun).Seconds(), r)
	for _, e := range s.report {
		holds, err := r.eval(e)
		t.Logf("%s: %v, %v", e, holds, err)
	}
	return s.judge(r)
}
