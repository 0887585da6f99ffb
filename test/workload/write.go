package main

import (
	"bytes"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// rows is how many rows a life has at most in the file.
const rows = 60

// measured is what was found out about one profile.
type measured struct {
	profile
	packages    []string // with their versions
	start, stop []time.Duration
	service     []time.Duration
	cpu         time.Duration
	base        int64
	lives       [][]row
}

// versions are the profile's packages with Debian's versions.
func (s *server) versions() ([]string, error) {
	args := append([]string{"exec", s.id, "dpkg-query", "--show", "--showformat", "${Package} ${Version}\n"}, s.packages...)
	out, err := docker(args...)
	found := strings.Split(out, "\n")
	for _, name := range s.packages {
		if !slices.ContainsFunc(found, func(line string) bool { return strings.HasPrefix(line, name+" ") }) && err == nil {
			err = fmt.Errorf("dpkg-query does not tell the version of %s: %q", name, out)
		}
	}
	return found, err
}

// upstream is a Debian version without its epoch and Debian's part.
func upstream(version string) string {
	if _, after, ok := strings.Cut(version, ":"); ok {
		version = after
	}
	if i := strings.LastIndexByte(version, '-'); i >= 0 {
		version = version[:i]
	}
	version, _, _ = strings.Cut(version, "+")
	return version
}

// text is the profile's file.
func (m *measured) text() []byte {
	var out bytes.Buffer
	var version string
	for _, line := range m.packages {
		if name, v, _ := strings.Cut(line, " "); name == m.profile.packages[0] {
			version = upstream(v)
		}
	}
	fmt.Fprintf(&out, "# What %d workers of %s needed, measured; README.md tells what the columns mean.\n", len(m.lives), m.server)
	fmt.Fprintf(&out, "# packages: Debian bookworm, %s\n", strings.Join(m.packages, ", "))
	fmt.Fprintf(&out, "# app: test/workload/apps/%s\n", m.app)
	fmt.Fprintf(&out, "# command: %s\n", m.command)
	fmt.Fprintf(&out, "# load: %d requests, %d a second, %d%% of them reports of %d to %d MiB, which take that or more for a moment; a database that takes %.0f ms at the mean\n",
		m.requests, m.rate, m.mix.percent, m.mix.least, m.mix.most, m.mix.wait)
	fmt.Fprintf(&out, "# taken: %s, %s, %d CPUs\n", time.Now().UTC().Format(time.DateOnly), kernel(), runtime.NumCPU())
	fmt.Fprintf(&out, "# anew: go run ./test/workload %s\n", m.name)
	fmt.Fprintf(&out, "name %s\nserver %s %s\nthreads %d\n", m.name, m.server, version, m.threads)
	fmt.Fprintf(&out, "start_ms %.0f\nstop_ms %.0f\n", ms(quantile(m.start, 0.5)), ms(quantile(m.stop, 0.5)))
	fmt.Fprintf(&out, "service_ms %.1f %.1f %.1f\n", ms(mean(m.service)), ms(quantile(m.service, 0.5)), ms(quantile(m.service, 0.99)))
	fmt.Fprintf(&out, "cpu_ms %.1f\nbase_bytes %d\nshared_bytes %d\n", ms(m.cpu), m.base, m.shared())
	fmt.Fprintf(&out, "\nlife requests seconds private peak shared\n")
	for i, life := range m.lives {
		for _, r := range thin(rest(life), rows) {
			fmt.Fprintf(&out, "%d %d %.2f %d %d %d\n", i+1, r.requests, r.seconds, r.private, r.peak, r.shared)
		}
	}
	return out.Bytes()
}

// shared is what a worker shared with its master before its first request, the
// mean over the lives.
func (m *measured) shared() int64 {
	var sum int64
	for _, life := range m.lives {
		sum += life[0].shared
	}
	return sum / int64(len(m.lives))
}

// rest returns a life whose private memory is the median of the five samples around
// each, but for the first one: what a request in between took for a moment is peak.
func rest(life []row) []row {
	rested := slices.Clone(life)
	for i := 1; i < len(life); i++ {
		var around []int64
		for _, r := range life[max(0, i-2):min(len(life), i+3)] {
			around = append(around, r.private)
		}
		slices.Sort(around)
		r := &rested[i]
		r.private = around[(len(around)-1)/2]
		r.peak = max(r.peak, r.private)
	}
	return rested
}

// thin leaves at most n rows of a life, and one for each number of requests: while
// there are more, that one goes whose neighbours tell best what it told. The row
// after it takes over its peak.
func thin(all []row, n int) []row {
	life := all[:1:1]
	var peak int64
	for _, r := range all[1:] {
		peak = max(peak, r.peak)
		if r.requests > life[len(life)-1].requests {
			r.peak, peak = peak, 0
			life = append(life, r)
		}
	}
	for len(life) > n {
		least, which := math.Inf(1), 0
		for i := 1; i < len(life)-1; i++ {
			if off := deviation(life[i-1], life[i], life[i+1]); off < least {
				least, which = off, i
			}
		}
		life[which+1].peak = max(life[which+1].peak, life[which].peak)
		life = slices.Delete(life, which, which+1)
	}
	return life
}

// deviation is how much the area under the private memory changes without b,
// in byte seconds.
func deviation(a, b, c row) float64 {
	span := c.seconds - a.seconds
	if span <= 0 {
		return 0
	}
	line := float64(a.private) + float64(c.private-a.private)*(b.seconds-a.seconds)/span
	// Half a MiB stands for a row's worth where nothing moves: rows go evenly there.
	return (math.Abs(float64(b.private)-line) + 1<<19) * span
}

func mean(all []time.Duration) time.Duration {
	var sum time.Duration
	for _, d := range all {
		sum += d
	}
	return sum / time.Duration(len(all))
}

func quantile(all []time.Duration, q float64) time.Duration {
	all = slices.Sorted(slices.Values(all))
	return all[min(len(all)-1, int(q*float64(len(all))))]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// kernel is this machine's operating system and its version's first two numbers.
func kernel() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "an unknown kernel"
	}
	release := strings.SplitN(unix.ByteSliceToString(name.Release[:]), ".", 3)
	return unix.ByteSliceToString(name.Sysname[:]) + " " + strings.Join(release[:min(2, len(release))], ".")
}
