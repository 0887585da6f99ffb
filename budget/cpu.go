package budget

import (
	"bytes"
	"errors"
	"math/bits"
	"os"
	"runtime"
	"strconv"
)

// CPU is one reading of how much CPU this process may use.
type CPU struct {
	// Limit, in thousandths of a CPU, is the lowest of Quota and Allowed, at least 1.
	// Limited is false where only the CPUs that are online limit.
	Limit   int64
	Limited bool

	// Quota, in thousandths of a CPU, is the lowest quota/period of all visible
	// levels (cpu.max on cgroup v2, cpu.cfs_quota_us and cpu.cfs_period_us on v1);
	// HasQuota is false where none is set.
	Quota    int64
	HasQuota bool

	// Allowed is the number of online CPUs that are both in the process's cpuset
	// (cpuset.cpus.effective; cpuset.effective_cpus on v1) and in its affinity
	// (Cpus_allowed_list of /proc/self/status). Online is how many the host has
	// online (/sys/devices/system/cpu/online).
	Allowed int
	Online  int

	// LimitFrom names the file that decided Limit.
	LimitFrom string
}

// String is the limit in CPUs, as short as it is exact: "2", "0.5".
func (c CPU) String() string {
	return strconv.FormatFloat(float64(c.Limit)/1000, 'f', -1, 64)
}

// CPU reads the CPU limits anew. Nothing is kept open for it. Where no file tells
// which CPUs there are, the affinity that the process was started with serves.
// Below a root given to OpenAt it does not, and that is an error; so is a
// *FormatError.
func (b *Budget) CPU() (CPU, error) {
	b.mu.Lock()
	p, told := b.places, b.quotas
	b.mu.Unlock()
	var in input
	var c CPU
	for _, s := range b.cpuSets(&in, p) {
		if s.err != nil {
			continue
		}
		if c.LimitFrom == "" || s.common < c.Allowed {
			c.Allowed, c.LimitFrom = s.common, s.file
		}
		if c.Online == 0 {
			c.Online = s.common
		}
	}
	if c.LimitFrom == "" {
		if b.root != "" {
			return CPU{}, &os.PathError{Op: "read", Path: b.root + onlineFile, Err: errNoCPUs}
		}
		c.Allowed, c.LimitFrom = runtime.NumCPU(), "sched_getaffinity(2)"
		c.Online = c.Allowed
	}
	c.Limit = int64(c.Allowed) * 1000
	c.Limited = c.Allowed < c.Online
	for _, q := range cpuQuotas(&in, p, told) {
		if !q.limited || c.HasQuota && q.milli >= c.Quota {
			continue
		}
		c.Quota, c.HasQuota = q.milli, true
		if q.milli < c.Limit || !c.Limited && q.milli == c.Limit {
			c.Limit, c.Limited, c.LimitFrom = q.milli, true, q.file
		}
	}
	if in.err != nil {
		return CPU{}, in.err
	}
	return c, nil
}

var errNoCPUs = errors.New("no CPU in it")

const onlineFile = "/sys/devices/system/cpu/online"

// cpuList is one list of CPUs and how many of it are also in the lists before it.
type cpuList struct {
	name, file string
	text       string
	common     int
	err        error
}

// cpuSets reads the CPUs that are online, in the cpuset and in the affinity. The
// mask in /proc/self/status may name CPUs that are not online, so they are
// intersected.
func (b *Budget) cpuSets(in *input, p places) []cpuList {
	lists := []cpuList{
		{name: "online", file: b.root + onlineFile},
		{name: "cpuset", file: cpusetFile(p)},
		{name: "affinity", file: b.root + "/proc/self/status"},
	}
	var common cpuMask
	first := true
	for i := range lists {
		l := &lists[i]
		if l.file == "" {
			l.err = os.ErrNotExist
			continue
		}
		text, err := in.all(l.file)
		if l.name == "affinity" {
			text = statusField(text, "Cpus_allowed_list:")
		}
		text = bytes.TrimSpace(text)
		mask, ok := parseCPUs(text)
		switch {
		case err != nil:
			l.err = err
		case !ok:
			in.reject(l.file, flaw{1, text, `a list of CPUs like "0-3,7"`})
			l.err = in.err
		case mask.count() == 0:
			l.err = errNoCPUs
		default:
			if first {
				common, first = mask, false
			}
			if both := common.and(mask); both.count() > 0 {
				common = both
			}
			l.text, l.common = string(text), common.count()
		}
	}
	return lists
}

// cpusetFile is the file that tells the CPUs of the innermost cgroup with a cpuset.
func cpusetFile(p places) string {
	for _, dir := range p.find("cpuset", false) {
		for _, name := range []string{"/cpuset.effective_cpus", "/cpuset.cpus"} {
			if exists(dir + name) {
				return dir + name
			}
		}
	}
	for _, dir := range p.find("cpuset", true) {
		if exists(dir + "/cpuset.cpus.effective") {
			return dir + "/cpuset.cpus.effective"
		}
	}
	return ""
}

// statusField is the rest of the line of /proc/self/status that begins with key.
func statusField(text []byte, key string) []byte {
	for len(text) > 0 {
		var line []byte
		line, text = nextLine(text)
		if value, ok := bytes.CutPrefix(line, []byte(key)); ok {
			return value
		}
	}
	return nil
}

// quota is the quota of one level.
type quota struct {
	file    string
	text    string
	milli   int64
	limited bool
}

// cpuQuotas reads the quota of every visible level that has one to read, the
// process's own level first; else those that a source told.
func cpuQuotas(in *input, p places, told []quota) []quota {
	var quotas []quota
	for _, dir := range p.find("cpu", false) {
		file := dir + "/cpu.cfs_quota_us"
		us, err := in.all(file)
		if err != nil {
			continue
		}
		period, err := in.all(dir + "/cpu.cfs_period_us")
		if err != nil {
			continue
		}
		if string(us) != "-1\n" {
			_, f := parseValue(us)
			in.reject(file, f)
		}
		_, f := parseValue(period)
		in.reject(dir+"/cpu.cfs_period_us", f)
		quotas = append(quotas, in.quota(file, append(append(bytes.TrimSpace(us), ' '), period...)))
	}
	if len(quotas) > 0 {
		return quotas
	}
	for _, dir := range p.find("cpu", true) {
		file := dir + "/cpu.max"
		if text, err := in.all(file); err == nil {
			quotas = append(quotas, in.quota(file, text))
		}
	}
	if len(quotas) == 0 {
		return told
	}
	return quotas
}

func (in *input) quota(file string, text []byte) quota {
	milli, limited, ok := parseCPUMax(text)
	text = bytes.TrimSuffix(text, newline)
	if !ok {
		in.reject(file, flaw{1, text, `a quota or "max" and a period, in microseconds`})
	}
	return quota{file: file, text: string(text), milli: milli, limited: limited}
}

// parseCPUMax parses cpu.max, "QUOTA PERIOD" in microseconds, to thousandths of a
// CPU. "max", like v1's -1, is no limit.
func parseCPUMax(text []byte) (milli int64, limited, ok bool) {
	text, whole := bytes.CutSuffix(text, newline)
	us, period, _ := bytes.Cut(text, []byte(" "))
	p, okPeriod := parseNumber(period)
	if !whole || !okPeriod || p == 0 || p > maxQuota {
		return 0, false, false
	}
	if string(us) == "max" || string(us) == "-1" {
		return 0, false, true
	}
	q, okQuota := parseNumber(us)
	if !okQuota || q > maxQuota {
		return 0, false, false
	}
	return max(1, q*1000/p), true, true
}

// maxQuota is above any quota that the kernel takes, and a thousandth of int64.
const maxQuota = 1 << 53

// cpuMask is a set of CPUs, as many as the kernel can be built for.
type cpuMask [8192 / 64]uint64

// parseCPUs parses the kernel's list format, "0-3,7". The empty list is a list.
func parseCPUs(text []byte) (cpuMask, bool) {
	var m cpuMask
	text = bytes.TrimSuffix(text, newline)
	for len(text) > 0 {
		var item []byte
		item, text, _ = bytes.Cut(text, []byte(","))
		from, to, isRange := bytes.Cut(item, []byte("-"))
		first, ok := parseNumber(from)
		last := first
		if ok && isRange {
			last, ok = parseNumber(to)
		}
		if !ok || first > last || last >= int64(len(m)*64) {
			return cpuMask{}, false
		}
		for i := first; i <= last; i++ {
			m[i/64] |= 1 << (i % 64)
		}
	}
	return m, true
}

func (m cpuMask) and(other cpuMask) cpuMask {
	for i := range m {
		m[i] &= other[i]
	}
	return m
}

func (m cpuMask) count() int {
	n := 0
	for _, word := range m {
		n += bits.OnesCount64(word)
	}
	return n
}
