//go:build container

package container

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what should happen at once; only a
// failing test ever waits so long.
const patience = 3 * time.Minute

var (
	unusable string // why these tests cannot run here
	scratch  string // removed at the end
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if _, err := docker("version"); err != nil {
		unusable = "needs Docker: " + err.Error()
	} else if os.Getuid() != 0 {
		unusable = "needs root, to read the containers' cgroups from outside"
	}
	if unusable != "" {
		if os.Getenv("CI") == "true" {
			fmt.Fprintln(os.Stderr, unusable)
			return 1
		}
		return m.Run()
	}
	var err error
	if scratch, err = os.MkdirTemp("", "memsup-container"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(scratch)
	removeAbandoned()
	return m.Run()
}

// owner labels each container with the process id of the run that made it.
const owner = "memsup-test.run"

// removeAbandoned removes what a run that was killed left behind.
func removeAbandoned() {
	all, _ := docker("ps", "--all", "--filter", "label="+owner, "--format", `{{.ID}} {{.Label "`+owner+`"}}`)
	for line := range strings.Lines(all) {
		id, pid, _ := strings.Cut(strings.TrimSpace(line), " ")
		if _, err := os.Stat("/proc/" + pid); os.IsNotExist(err) {
			_, _ = docker("rm", "--force", "--volumes", id)
		}
	}
}

// docker runs one command of the docker client and returns what it printed.
func docker(args ...string) (string, error) {
	var out, problems bytes.Buffer
	cmd := exec.Command("docker", args...)
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("docker %s: %w\n%s%s", strings.Join(args, " "), err, out.String(), problems.String())
	}
	return strings.TrimSpace(out.String()), nil
}

// container is one running or ended container of a test.
type container struct {
	t   *testing.T
	id  string
	pid int // of its first process, as this machine sees it

	ended chan struct{} // closed when all its output was read

	mu             sync.Mutex
	stdout, stderr []string
	more           chan struct{} // closed and made anew at each line
}

// start runs a container of the image; flags are `docker run`'s, words are
// what follows the image. Swap is off, so that the limit is the limit.
func start(t *testing.T, i *image, flags []string, words ...string) *container {
	t.Helper()
	args := []string{"create", "--label", owner + "=" + strconv.Itoa(os.Getpid())}
	args = append(append(append(args, flags...), i.tag(t)), words...)
	id, err := docker(args...)
	if err != nil {
		t.Fatal(err)
	}
	c := &container{t: t, id: id, ended: make(chan struct{}), more: make(chan struct{})}
	t.Cleanup(c.remove)
	if _, err := docker("start", id); err != nil {
		close(c.ended)
		t.Fatal(err)
	}
	c.pid, _ = strconv.Atoi(c.inspect("{{.State.Pid}}"))
	c.follow()
	return c
}

// memory limits a container to size, without swap.
func memory(size string) []string {
	return []string{"--memory", size, "--memory-swap", size}
}

// files mounts a directory of testdata as the working directory.
func files(t *testing.T, dir string) []string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", dir))
	if err != nil {
		t.Fatal(err)
	}
	return []string{"--volume", path + ":/app:ro", "--workdir", "/app"}
}

func (c *container) remove() {
	if _, err := docker("rm", "--force", "--volumes", c.id); err != nil {
		c.t.Error(err)
	}
	<-c.ended
	if c.t.Failed() {
		c.t.Logf("stdout of %.12s:\n%s", c.id, strings.Join(c.out(), "\n"))
		c.t.Logf("stderr of %.12s:\n%s", c.id, strings.Join(c.err(), "\n"))
	}
}

// follow collects the container's output, line by line, until it ends.
func (c *container) follow() {
	logs := exec.Command("docker", "logs", "--follow", c.id)
	stdout, stdoutTo := io.Pipe()
	stderr, stderrTo := io.Pipe()
	logs.Stdout, logs.Stderr = stdoutTo, stderrTo
	var readers sync.WaitGroup
	for _, s := range []struct {
		from io.Reader
		to   *[]string
	}{{stdout, &c.stdout}, {stderr, &c.stderr}} {
		readers.Go(func() {
			for r := bufio.NewReader(s.from); ; {
				line, err := r.ReadString('\n')
				c.mu.Lock()
				if line != "" {
					*s.to = append(*s.to, strings.TrimRight(line, "\r\n"))
				}
				close(c.more)
				c.more = make(chan struct{})
				c.mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	go func() {
		defer close(c.ended)
		if err := logs.Run(); err != nil {
			c.t.Errorf("docker logs: %v", err)
		}
		stdoutTo.Close()
		stderrTo.Close()
		readers.Wait()
	}()
}

// out is what the container has printed on stdout so far, err on stderr.
func (c *container) out() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stdout[:len(c.stdout):len(c.stdout)]
}

func (c *container) err() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stderr[:len(c.stderr):len(c.stderr)]
}

// lines are the lines of stdout that match.
func (c *container) lines(pattern string) []string {
	re := regexp.MustCompile(pattern)
	var found []string
	for _, line := range c.out() {
		if re.MatchString(line) {
			found = append(found, line)
		}
	}
	return found
}

// await waits for n lines on stdout that match, and returns the last.
func (c *container) await(n int, pattern string) string {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		more := c.more
		c.mu.Unlock()
		if found := c.lines(pattern); len(found) >= n {
			return found[n-1]
		}
		select {
		case <-more:
		case <-c.ended:
			if len(c.lines(pattern)) < n {
				c.t.Fatalf("ended (%s) before %d lines with %q", c.inspect("{{.State.ExitCode}}"), n, pattern)
			}
		case <-deadline:
			c.t.Fatalf("still not %d lines with %q after %s", n, pattern, patience)
		}
	}
}

// wait waits for the end and returns the exit status.
func (c *container) wait() int {
	c.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(patience):
		c.t.Fatalf("still running after %s", patience)
	}
	code, err := docker("wait", c.id)
	if err != nil {
		c.t.Fatal(err)
	}
	n, err := strconv.Atoi(code)
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// eventually asks for a condition that no event announces, until it holds.
func (c *container) eventually(within time.Duration, what string, holds func() bool) {
	c.t.Helper()
	deadline := time.After(within)
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-c.ended: // with its last words, which may be the ones awaited
			if !holds() {
				c.t.Fatalf("ended (%s) before %s", c.inspect("{{.State.ExitCode}}"), what)
			}
			return
		case <-deadline:
			c.t.Fatalf("still not %s after %s", what, within)
		}
	}
}

func (c *container) inspect(format string) string {
	c.t.Helper()
	out, err := docker("inspect", "--format", format, c.id)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

func (c *container) exec(words ...string) string {
	c.t.Helper()
	out, err := docker(append([]string{"exec", c.id}, words...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// stop is `docker stop` with more time than any worker here needs; the exit
// status must be code.
func (c *container) stop(code int) {
	c.t.Helper()
	if _, err := docker("stop", "-t", "120", c.id); err != nil {
		c.t.Fatal(err)
	}
	if got := c.wait(); got != code {
		c.t.Errorf("exit status %d after docker stop, want %d", got, code)
	}
}

// setLimit changes the memory limit while the container runs.
func (c *container) setLimit(bytes int64) {
	c.t.Helper()
	limit := strconv.FormatInt(bytes, 10)
	if _, err := docker("update", "--memory", limit, "--memory-swap", limit, c.id); err != nil {
		c.t.Fatal(err)
	}
}
