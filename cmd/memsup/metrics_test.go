package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// started is a memsup whose standard error is read line by line.
type started struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func start(t *testing.T, args ...string) *started {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Procfile"), []byte("web: sleep 1000\nclock: sleep 1000\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := &started{t: t, cmd: exec.Command("memsup", args...)}
	s.cmd.Dir = dir
	s.cmd.Env = append(os.Environ(), "MEMSUP_CONTROL="+filepath.Join(dir, "c"), "GORACE=atexit_sleep_ms=0")
	out, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.lines = bufio.NewScanner(out)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hung := time.AfterFunc(time.Minute, func() { _ = s.cmd.Process.Kill() })
	t.Cleanup(func() {
		hung.Stop()
		_ = s.cmd.Process.Signal(unix.SIGTERM)
		_ = s.cmd.Wait()
	})
	return s
}

// until reads lines until one matches, and returns it.
func (s *started) until(pattern string) string {
	s.t.Helper()
	for re := regexp.MustCompile(pattern); s.lines.Scan(); {
		if line := s.lines.Text(); re.MatchString(line) {
			return line
		}
	}
	s.t.Fatalf("no line matches %s", pattern)
	return ""
}

const (
	loadSamples   = ` dyno=[^ ]+ sample#load_avg_1m=[0-9.]+ sample#load_avg_5m=[0-9.]+ sample#load_avg_15m=[0-9.]+$`
	memorySamples = ` dyno=[^ ]+ sample#memory_total=[0-9.]+MB sample#memory_rss=[0-9.]+MB.* sample#memory_swap=[0-9.]+MB`
)

// Two intervals' lines of each worker and of the container, between memsup's own.
func TestRuntimeMetrics(t *testing.T) {
	for name, c := range map[string]struct {
		args    []string
		sources []string
	}{
		"a Procfile": {[]string{"--runtime-metrics", "100ms"}, []string{"web.1", "clock.1", "container"}},
		"a command":  {[]string{"--runtime-metrics", "100ms", "--", "sleep", "1000"}, []string{"main.1", "container"}},
		"no log":     {[]string{"--runtime-metrics", "100ms", "--log-level", "off"}, []string{"web.1", "clock.1", "container"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, c.args...)
			for range 2 {
				for _, source := range c.sources {
					s.until("^source=" + regexp.QuoteMeta(source) + loadSamples)
					s.until("^source=" + regexp.QuoteMeta(source) + memorySamples)
				}
			}
			s.until("^source=container .* sample#memory_cache=.* sample#memory_quota=[0-9.]+MB$")
		})
	}
}

// With --log-format json each line is the message of an object.
func TestRuntimeMetricsInJSON(t *testing.T) {
	s := start(t, "--runtime-metrics", "100ms", "--log-format", "json", "--log-level", "error")
	var object struct {
		Message string `json:"@message"`
	}
	if err := json.Unmarshal([]byte(s.until(`source=web\.1 .*sample#memory_total`)), &object); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(object.Message, "source=web.1 dyno=") {
		t.Errorf("the message is %q", object.Message)
	}
}

// SIGHUP turns the lines on where memsup.toml now has the key.
func TestRuntimeMetricsByReload(t *testing.T) {
	s := start(t)
	s.until("started: worker=clock.1")
	if err := os.WriteFile(filepath.Join(s.cmd.Dir, "memsup.toml"), []byte("runtime_metrics = \"100ms\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Process.Signal(unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.until("^source=clock.1" + loadSamples)
	s.until("^source=container" + memorySamples)
}
