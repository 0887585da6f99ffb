package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// look is what the container's cgroup says at a moment.
type look struct {
	Second float64 `json:"second"` // since the first look
	Bytes  int64   `json:"bytes"`  // what the kernel cannot take back: anonymous and shared memory
	Kills  int64   `json:"kills"`  // the kernel's, so far
}

// cgroup is where a container's memory is told, seen from the host.
type cgroup struct {
	dir    string
	keys   []string // of memory.stat, whose sum cannot be taken back
	events string   // the file with oom_kill
}

// memory finds the cgroup of a process in /proc/PID/cgroup: v1's memory
// controller where it is mounted, else v2.
func memory(pid string) (cgroup, error) {
	file := filepath.Join("/proc", pid, "cgroup")
	text, err := os.ReadFile(file)
	if err != nil {
		return cgroup{}, err
	}
	return memoryOf(string(text), "/sys/fs/cgroup", file)
}

func memoryOf(text, mounted, file string) (cgroup, error) {
	var found cgroup
	for line := range strings.Lines(text) {
		words := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(words) < 3:
		case words[1] == "memory":
			return cgroup{
				dir:    filepath.Join(mounted, "memory", words[2]),
				keys:   []string{"total_rss", "total_shmem"},
				events: "memory.oom_control",
			}, nil
		case words[1] == "":
			found = cgroup{dir: filepath.Join(mounted, words[2]), keys: []string{"anon", "shmem"}, events: "memory.events"}
		}
	}
	if found.dir == "" {
		return found, fmt.Errorf("%s: no cgroup of memory in %q", file, text)
	}
	return found, nil
}

// watch looks once a second until it is told to stop. A container that ends takes
// its cgroup with it; what was read before counts.
func (c cgroup) watch(ctx context.Context) (looks []look) {
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	start := time.Now()
	for {
		if l, err := c.look(); err == nil {
			l.Second = time.Since(start).Round(10 * time.Millisecond).Seconds()
			looks = append(looks, l)
		}
		if ctx.Err() != nil {
			return looks
		}
		select {
		case <-ctx.Done(): // look once more
		case <-ticks.C:
		}
	}
}

func (c cgroup) look() (l look, err error) {
	stat, err := fields(filepath.Join(c.dir, "memory.stat"))
	if err != nil {
		return l, err
	}
	events, err := fields(filepath.Join(c.dir, c.events))
	if err != nil {
		return l, err
	}
	for _, key := range c.keys {
		l.Bytes += stat[key]
	}
	l.Kills = events["oom_kill"]
	return l, nil
}

// fields reads the lines `name number` of a file.
func fields(path string) (map[string]int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	found := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			found[name] = n
		}
	}
	return found, nil
}
