package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

type process struct {
	pid, parent int
	state, name string
}

// list reads /proc/PID/stat of every process, zombies included.
func list() ([]process, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	var all []process
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		head, tail, _ := strings.Cut(string(b), " (")
		end := strings.LastIndex(tail, ") ")
		fields := strings.Fields(tail[end+2:])
		p := process{state: fields[0], name: tail[:end]}
		p.pid, _ = strconv.Atoi(head)
		p.parent, _ = strconv.Atoi(fields[1])
		all = append(all, p)
	}
	return all, err
}

// environment prints what this worker was told of its memory and, read at the
// same moment, what the cgroup's own files say: the limit, and how much could
// still be taken, file cache given back.
func environment([]string) (int, error) {
	for _, name := range []string{"MEM_LIMIT", "MEM_AVAILABLE", "CPU_LIMIT", "PS", "PORT"} {
		say("%s=%s", name, os.Getenv(name))
	}
	dir, limit, usage, prefix := "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"
	if _, err := os.Stat(dir); err != nil {
		dir, limit, usage, prefix = "/sys/fs/cgroup", "memory.max", "memory.current", ""
	}
	max, err := number(filepath.Join(dir, limit))
	if err != nil {
		return 0, err
	}
	used, err := number(filepath.Join(dir, usage))
	if err != nil {
		return 0, err
	}
	stat, err := os.ReadFile(filepath.Join(dir, "memory.stat"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(stat)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key == prefix+"active_file" || key == prefix+"inactive_file" {
			cache, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s/memory.stat: %w", dir, err)
			}
			used -= cache
		}
	}
	say("limit=%d", max)
	say("available=%d", max-used)
	return 0, nil
}

func number(path string) (int64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}
