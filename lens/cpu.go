package lens

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// readCPUs reads anew how many CPUs there are to be seen, and makes the texts of
// those: the first ones that may be run on, as many as the limit comes to when it is
// rounded up. Their numbers stay the kernel's.
func (v *View) readCPUs(now time.Time) {
	if age := now.Sub(v.cpusAt); age >= 0 && age < seldom {
		return
	}
	v.cpusAt = now
	info, err := os.ReadFile(v.cpuinfo.path)
	if err != nil {
		return
	}
	online, err := os.ReadFile(v.online.path)
	if err != nil {
		return
	}
	v.cpus = v.limitedCPUs()
	cpus := firstCPUs(v.cpus)
	limited := len(cpus) > 0
	if limited {
		info, online = only(info, cpus), append(cpuList(cpus), '\n')
	}
	v.cpuinfo.set(info, limited)
	v.online.set(online, limited)
}

// limitedCPUs is the limit rounded up, 0 where nothing limits.
func (v *View) limitedCPUs() int {
	c, err := v.budget.CPU()
	if err != nil || !c.Limited {
		return 0
	}
	return int((c.Limit + 999) / 1000)
}

// firstCPUs are the first n CPUs of the affinity, nil where it cannot be read.
func firstCPUs(n int) (cpus []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	for i := 0; len(cpus) < n && i < len(set)*64; i++ {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	return cpus
}

// only leaves those paragraphs of /proc/cpuinfo out that tell of another CPU.
func only(info []byte, cpus []int) (kept []byte) {
	for len(info) > 0 {
		paragraph, rest, _ := bytes.Cut(info, []byte("\n\n"))
		info = rest
		name, value, _ := bytes.Cut(bytes.SplitN(paragraph, []byte("\n"), 2)[0], []byte(":"))
		if string(bytes.TrimSpace(name)) == "processor" {
			number, err := strconv.Atoi(string(bytes.TrimSpace(value)))
			if err == nil && !slices.Contains(cpus, number) {
				continue
			}
		}
		kept = append(append(kept, bytes.TrimSuffix(paragraph, []byte("\n"))...), "\n\n"...)
	}
	return kept
}

// cpuList is a list of CPUs as the kernel prints it: 0-1,4 (cpuset(7), List format).
func cpuList(cpus []int) (text []byte) {
	for i := 0; i < len(cpus); {
		last := i
		for last+1 < len(cpus) && cpus[last+1] == cpus[last]+1 {
			last++
		}
		if len(text) > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, int64(cpus[i]), 10)
		if last > i {
			text = strconv.AppendInt(append(text, '-'), int64(cpus[last]), 10)
		}
		i = last + 1
	}
	return text
}
