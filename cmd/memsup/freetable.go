package main

import (
	"fmt"
	"strconv"
	"strings"
)

// table is what free of procps-ng 4 prints where /proc/meminfo has this text,
// byte for byte, in English.
func (o *freeOptions) table(meminfo string) string {
	m := meminfoNumbers(meminfo)
	cached := m["Cached"] + m["SReclaimable"]
	available := m["MemAvailable"]
	if available == 0 || available > m["MemTotal"] {
		available = m["MemFree"]
	}
	used := m["MemTotal"] - available
	swapUsed := max(0, m["SwapTotal"]-m["SwapFree"])
	if o.oneLine {
		return fmt.Sprintf("SwapUse %11s CachUse %11s  MemUse %11s MemFree %11s \n",
			o.scale(swapUsed), o.scale(m["Buffers"]+cached), o.scale(used), o.scale(m["MemFree"]))
	}
	if m["LowTotal"] == 0 {
		m["LowTotal"], m["LowFree"] = m["MemTotal"], m["MemFree"]
	}

	var t strings.Builder
	row := func(name string, cells ...string) {
		fmt.Fprintf(&t, "%-9s%11s", name, cells[0])
		for _, cell := range cells[1:] {
			fmt.Fprintf(&t, " %11s", cell)
		}
		t.WriteByte('\n')
	}
	numbers := func(name string, n ...int64) {
		cells := make([]string, len(n))
		for i := range n {
			cells[i] = o.scale(n[i])
		}
		row(name, cells...)
	}
	if o.wide {
		row("", "total", "used", "free", "shared", "buffers", "cache", "available")
		numbers("Mem:", m["MemTotal"], used, m["MemFree"], m["Shmem"], m["Buffers"], cached, available)
	} else {
		row("", "total", "used", "free", "shared", "buff/cache", "available")
		numbers("Mem:", m["MemTotal"], used, m["MemFree"], m["Shmem"], m["Buffers"]+cached, available)
	}
	if o.lohi {
		numbers("Low:", m["LowTotal"], max(0, m["LowTotal"]-m["LowFree"]), m["LowFree"])
		numbers("High:", m["HighTotal"], max(0, m["HighTotal"]-m["HighFree"]), m["HighFree"])
	}
	numbers("Swap:", m["SwapTotal"], swapUsed, m["SwapFree"])
	if o.total {
		numbers("Total:", m["MemTotal"]+m["SwapTotal"], used+swapUsed, m["MemFree"]+m["SwapFree"])
	}
	if o.committed {
		numbers("Comm:", m["CommitLimit"], m["Committed_AS"], m["CommitLimit"]-m["Committed_AS"])
	}
	return t.String()
}

// meminfoNumbers are the numbers of /proc/meminfo by name, in KiB.
func meminfoNumbers(text string) map[string]int64 {
	m := make(map[string]int64)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		m[name], _, _ = strtol(value)
	}
	return m
}

// scale prints a number of KiB in the unit that is asked for, rounded towards
// zero; for people in the first unit in which it is no longer than three digits
// and the unit, or one digit, a decimal and the unit.
func (o *freeOptions) scale(kib int64) string {
	bytes := kib * 1024
	base := 1024.0
	if o.si {
		base = 1000
	}
	if !o.human {
		switch o.exponent {
		case 0:
			return strconv.FormatInt(bytes/int64(base), 10)
		case 1:
			return strconv.FormatInt(bytes, 10)
		}
		return strconv.FormatInt(int64(float64(bytes)/power(base, o.exponent-1)), 10)
	}
	text := strconv.FormatInt(bytes, 10) + "B"
	if len(text) <= 4 {
		return text
	}
	suffix, longest := "i", 5
	if o.si {
		suffix, longest = "", 4
	}
	for i, unit := range []string{"K", "M", "G", "T", "P"} {
		n := float64(bytes) / power(base, i+1)
		// procps rounds to a float first.
		text = strconv.FormatFloat(float64(float32(n)), 'f', 1, 64) + unit + suffix
		if len(text) <= longest {
			break
		}
		text = strconv.FormatInt(int64(n), 10) + unit + suffix
		if len(text) <= longest {
			break
		}
	}
	return text
}

func power(base float64, exponent int) float64 {
	p := 1.0
	for range exponent {
		p *= base
	}
	return p
}
