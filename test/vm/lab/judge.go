package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A judge follows one container from outside: what its processes print, and its
// memory.events.
type judge struct {
	*cage
	within time.Duration
	steps  []step
	values map[string]any // counts by name, and what the container told
	events chan struct{}  // memory.events changed
}

// A step is one thing that the judge does while the container runs.
type step struct {
	text  string
	begin func() error
	done  func() bool   // nil: when its time is over
	time  time.Duration // 0: at most judge.within
	end   func() error
}

// counted is which lines count, and under which name.
var counted = []struct {
	line *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`^([a-z]+)\.\d+: (started|done|stopped)\b`), "${1}_$2"},
	{regexp.MustCompile(`memsup: ready: worker=([a-z]+)\.`), "${1}_ready"},
	{regexp.MustCompile(`memsup: (up|down|recycle|kill) [a-z]+\.\d+: reason=`), "$1"},
	{regexp.MustCompile(`memsup: .*(?:was killed by the kernel for memory|the kernel killed a process (?:of \S+ )?for memory)`), "attributed"},
	{regexp.MustCompile(`^TRUTH `), "measured"},
	{regexp.MustCompile(`memsup: workers have no cgroups of their own: one`), "undivided"},
	{regexp.MustCompile(`memsup: workers have no cgroups of their own: because="memsup gives up root`), "given_up"},
	{regexp.MustCompile(`memsup: brake has no effect`), "toothless"},
	{regexp.MustCompile(`memsup: had the kernel reclaim`), "reclaimed"},
	{regexp.MustCompile(`memsup: the limit changed`), "limit_changed"},
}

// hear counts a line and passes it on. `VALUE {…}` adds to the result.
func (j *judge) hear(line string) {
	fmt.Printf("%s| %s\n", j.name, line)
	if text, ok := strings.CutPrefix(line, "VALUE "); ok {
		var told map[string]any
		if err := json.Unmarshal([]byte(text), &told); err != nil {
			fmt.Printf("%s: not JSON: %v\n", j.name, err)
		}
		maps.Copy(j.values, told)
	}
	for _, c := range counted {
		if m := c.line.FindStringSubmatchIndex(line); m != nil {
			name := string(c.line.ExpandString(nil, c.name, line, m))
			n, _ := j.values[name].(int)
			j.values[name] = n + 1
		}
	}
}

// until waits until one of several counts is reached.
func (j *judge) until(text string) error {
	type goal struct {
		name string
		n    int
	}
	var goals []goal
	for part := range strings.SplitSeq(text, "|") {
		name, number, _ := strings.Cut(part, "=")
		n, err := strconv.Atoi(number)
		if err != nil {
			return err
		}
		goals = append(goals, goal{name, n})
	}
	j.steps = append(j.steps, step{text: text, done: func() bool {
		for _, g := range goals {
			if n, _ := j.values[g.name].(int); n >= g.n {
				return true
			}
		}
		return false
	}})
	return nil
}

// set writes a file of the container's cgroup. The kernel may kill within the
// write, which then takes its time.
func (j *judge) set(text string) error {
	name, value, _ := strings.Cut(text, "=")
	j.steps = append(j.steps, step{text: text, begin: func() error {
		return put(j.group, name, value)
	}, done: func() bool { return true }})
	return nil
}

func (j *judge) lasting(text string) error {
	d, err := time.ParseDuration(text)
	j.steps = append(j.steps, step{text: text, time: d})
	return err
}

// idle counts how often the threads of the container's first process were
// switched to and away from: context_switches, in so much time by the median of
// five parts of it. What else the machine does adds to some of them.
func (j *judge) idle(text string) error {
	d, err := time.ParseDuration(text)
	const n = 5
	before, parts := 0, []int{}
	for range n {
		j.steps = append(j.steps, step{text: text, time: d / n, begin: func() (err error) {
			before, err = switches(j.cmd.Process.Pid)
			return err
		}, end: func() error {
			after, err := switches(j.cmd.Process.Pid)
			parts = append(parts, after-before)
			in, _ := j.values["switches_in_all"].(int)
			j.values["switches_in_all"] = in + after - before
			j.values["context_switches"] = n * slices.Sorted(slices.Values(parts))[len(parts)/2]
			return err
		}})
	}
	return err
}

// watch goes through the steps, stops the container and prints its result.
func (j *judge) watch() error {
	events, err := os.Open(filepath.Join(j.group, "memory.events"))
	if err != nil {
		return err
	}
	defer events.Close()
	j.events = make(chan struct{}, 1)
	go j.pollEvents(events)
	begun := time.Now()
	for _, s := range j.steps {
		over, err := j.do(&s)
		if err != nil {
			return fmt.Errorf("step %s: %w", s.text, err)
		}
		if over {
			break
		}
	}
	j.values["seconds"] = time.Since(begun).Round(100 * time.Millisecond).Seconds()
	if err := j.stop(); err != nil {
		return err
	}
	j.count()
	left, err := filepath.Glob(filepath.Join(j.group, "*", "cgroup.procs"))
	if err != nil {
		return err
	}
	j.values["groups_left"] = len(left)
	printResult(j.name, j.values)
	return nil
}

// do does one step. The last one it is where it takes too long, which is noted
// as late, or the container ends, noted as ended: the test fails for either.
func (j *judge) do(s *step) (last bool, err error) {
	if s.begin != nil {
		if err := s.begin(); err != nil {
			return false, err
		}
	}
	limit := j.within
	if s.done == nil {
		limit = s.time
	}
	over := time.After(limit)
	for {
		j.count()
		if s.done != nil && s.done() {
			break
		}
		select {
		case line, more := <-j.lines:
			if !more {
				j.values["ended"] = s.text
				return true, nil
			}
			j.hear(line)
			continue
		case <-j.events:
			continue
		case <-over:
			if s.done != nil {
				j.values["late"] = s.text
				return true, nil
			}
		}
		break
	}
	if s.end != nil {
		return false, s.end()
	}
	return false, nil
}

// stop asks the container to end, and kills it where it does not.
func (j *judge) stop() error {
	_ = j.cmd.Process.Signal(unix.SIGTERM)
	over := time.After(30 * time.Second)
	for open := true; open; {
		select {
		case line, more := <-j.lines:
			if open = more; more {
				j.hear(line)
			}
		case <-over:
			j.values["late"] = "stop"
			if err := j.cmd.Process.Kill(); err != nil {
				return err
			}
		}
	}
	_ = j.cmd.Wait() // its status is one of the values
	j.values["exit"] = j.cmd.ProcessState.ExitCode()
	return nil
}

// count reads memory.events and memory.peak; a parent's go by parent_….
func (j *judge) count() {
	for key, n := range eventsOf(j.group) {
		j.values[key] = n
	}
	if j.parent != "" {
		for key, n := range eventsOf(filepath.Dir(j.group)) {
			j.values["parent_"+key] = n
		}
	}
	if b, err := os.ReadFile(filepath.Join(j.group, "memory.peak")); err == nil {
		j.values["peak"], _ = strconv.Atoi(strings.TrimSpace(string(b)))
	}
}

func eventsOf(group string) map[string]int {
	f, err := os.Open(filepath.Join(group, "memory.events"))
	if err != nil {
		return nil
	}
	defer f.Close()
	counts := map[string]int{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), " ")
		counts[key], _ = strconv.Atoi(value)
	}
	return counts
}

// pollEvents tells whenever the kernel counts in memory.events. Reading the
// file arms the next notice.
func (j *judge) pollEvents(f *os.File) {
	buf := make([]byte, 4096)
	fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLPRI}}
	for {
		_, _ = f.ReadAt(buf, 0)
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			return
		}
		select {
		case j.events <- struct{}{}:
		default:
		}
	}
}

// switches sums the context switches of all threads of a process, from
// /proc/PID/task/*/status.
func switches(pid int) (int, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		for line := range strings.Lines(string(b)) {
			if key, value, _ := strings.Cut(line, ":"); strings.HasSuffix(key, "voluntary_ctxt_switches") {
				n, err := strconv.Atoi(strings.TrimSpace(value))
				if err != nil {
					return 0, err
				}
				sum += n
			}
		}
	}
	return sum, nil
}
