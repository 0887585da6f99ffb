// Capture prints the files that package budget reads, as this process sees them, in
// one archive of the form that budget's tests unpack.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	print("/proc/self/mountinfo")
	print("/proc/self/cgroup")
	print("/proc/self/status")
	print("/proc/meminfo")
	print("/sys/devices/system/cpu/online")
	seen := make(map[string]bool)
	for _, line := range lines("/proc/self/mountinfo") {
		if fields := strings.Fields(line); strings.Contains(line, " - cgroup") {
			for _, dir := range dirs(fields[3], fields[4]) {
				if !seen[dir] {
					seen[dir] = true
					printAll(dir)
				}
			}
		}
	}
}

// dirs are the directories of a mount on the way to any cgroup of this process.
func dirs(root, point string) []string {
	dirs := []string{point}
	for _, line := range lines("/proc/self/cgroup") {
		path := line[strings.Index(line, ":/")+1:]
		if path != root && !strings.HasPrefix(path, strings.TrimSuffix(root, "/")+"/") {
			continue
		}
		for dir := strings.TrimPrefix(path, root); dir != "" && dir != "/" && dir != "."; dir = filepath.Dir(dir) {
			dirs = append(dirs, filepath.Join(point, dir))
		}
	}
	return dirs
}

var wanted = []string{
	"memory.max", "memory.high", "memory.current", "memory.stat", "memory.events", "memory.oom.group",
	"memory.swap.max", "memory.swap.current",
	"memory.limit_in_bytes", "memory.usage_in_bytes", "memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes",
	"memory.failcnt", "memory.memsw.failcnt", "memory.oom_control", "memory.use_hierarchy", "release_agent",
	"cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us",
	"cpuset.cpus", "cpuset.cpus.effective", "cpuset.effective_cpus", "cgroup.controllers",
}

func printAll(dir string) {
	for _, name := range wanted {
		print(filepath.Join(dir, name))
	}
}

func print(path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		return
	}
	fmt.Printf("-- %s --\n%s", strings.TrimPrefix(path, "/"), text)
	if !bytes.HasSuffix(text, []byte("\n")) {
		fmt.Println()
	}
}

func lines(path string) []string {
	text, _ := os.ReadFile(path)
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}
