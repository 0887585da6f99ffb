package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// sample is what /proc tells of one process, in bytes.
type sample struct {
	private int64 // smaps_rollup: Private_Dirty + Swap
	shared  int64 // smaps_rollup: Anonymous beyond what is private
	excess  int64 // status: VmHWM beyond VmRSS: the most since the sample before
	pss     int64 // smaps_rollup: Pss_Anon + Pss_Shmem + SwapPss
}

// read takes a sample of the process and, with reset, lets the kernel forget its
// high-water mark (proc(5), clear_refs).
func read(pid int, reset bool) (sample, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := fields(filepath.Join(dir, "status"))
	if err != nil {
		return sample{}, err
	}
	rollup, err := fields(filepath.Join(dir, "smaps_rollup"))
	if err != nil {
		return sample{}, err
	}
	if reset {
		if err := os.WriteFile(filepath.Join(dir, "clear_refs"), []byte("5"), 0); err != nil {
			return sample{}, err
		}
	}
	return sample{
		private: rollup["Private_Dirty"] + rollup["Swap"],
		shared:  max(0, rollup["Anonymous"]-rollup["Private_Dirty"]),
		excess:  max(0, status["VmHWM"]-status["VmRSS"]),
		pss:     rollup["Pss_Anon"] + rollup["Pss_Shmem"] + rollup["SwapPss"],
	}, nil
}

// fields reads the lines `Name: N kB` of a file, in bytes. A file of numbers
// without one is that of a process which has ended.
func fields(file string) (map[string]int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	found := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) != 3 || words[2] != "kB" {
			continue
		}
		if n, err := strconv.ParseInt(words[1], 10, 64); err == nil {
			found[strings.TrimSuffix(words[0], ":")] = n << 10
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: %w", file, fs.ErrNotExist)
	}
	return found, nil
}

// tree returns the processes whose chain of parents leads to pid, by the pid that
// they have in their own pid namespace.
func tree(pid int) (map[int]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	inner := map[int]int{}
	for _, e := range entries {
		p, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		status, err := os.ReadFile(filepath.Join("/proc", e.Name(), "status"))
		if err != nil {
			continue // it has ended
		}
		for s := bufio.NewScanner(bytes.NewReader(status)); s.Scan(); {
			words := strings.Fields(s.Text())
			switch {
			case len(words) < 2:
			case words[0] == "PPid:":
				parent, _ := strconv.Atoi(words[1])
				children[parent] = append(children[parent], p)
			case words[0] == "NSpid:":
				inner[p], _ = strconv.Atoi(words[len(words)-1])
			}
		}
	}
	found := map[int]int{}
	for todo := []int{pid}; len(todo) > 0; {
		p := todo[0]
		found[inner[p]] = p
		todo = append(todo[1:], children[p]...)
	}
	return found, nil
}

// clockTick is USER_HZ, the unit of times in /proc/PID/stat.
const clockTick = 10 * time.Millisecond

// times reads fields 14, 15 (utime, stime) and 22 (starttime) of
// /proc/PID/stat: the CPU time it used, and when it was forked, since boot.
func times(pid int) (cpu, forked time.Duration, err error) {
	file := filepath.Join("/proc", strconv.Itoa(pid), "stat")
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	words := strings.Fields(rest)
	if len(words) < 20 {
		return 0, 0, fmt.Errorf("%s: %q", file, text)
	}
	var ticks [3]int64
	for i, field := range []int{14, 15, 22} {
		if ticks[i], err = strconv.ParseInt(words[field-3], 10, 64); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", file, err)
		}
	}
	return time.Duration(ticks[0]+ticks[1]) * clockTick, time.Duration(ticks[2]) * clockTick, nil
}

// end sends a signal to a process and returns how long it took to end.
func end(pid int, sig unix.Signal) (time.Duration, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	start := time.Now()
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil {
		return 0, err
	}
	for left := patience; left > 0; left = patience - time.Since(start) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds()))
		if n > 0 {
			return time.Since(start), nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return 0, err
		}
	}
	return 0, fmt.Errorf("process %d did not end within %s of %s", pid, patience, unix.SignalName(sig))
}

// sinceBoot is the clock of starttime in /proc/PID/stat.
func sinceBoot() (time.Duration, error) {
	var now unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now)
	return time.Duration(now.Nano()), err
}
