package budget

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
)

func BenchmarkRead(b *testing.B) {
	budget := openHere(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := budget.Read(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkContainerdStat reads the same cgroup with containerd/cgroups.
func BenchmarkContainerdStat(b *testing.B) {
	stat := containerdStat(b, openHere(b))
	b.ReportAllocs()
	for b.Loop() {
		if err := stat(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadVersusContainerd times the two in turns, 31 pairs of 20 calls each,
// and reports the median of the pairs' ratios and their lowest and highest.
func BenchmarkReadVersusContainerd(b *testing.B) {
	budget := openHere(b)
	stat := containerdStat(b, budget)
	read := func() error {
		_, err := budget.Read()
		return err
	}
	var ratios []float64
	for b.Loop() {
		ratios = ratios[:0]
		for range 31 {
			ours := elapsed(b, read)
			ratios = append(ratios, float64(elapsed(b, stat))/float64(ours))
		}
		slices.Sort(ratios)
	}
	b.ReportMetric(ratios[len(ratios)/2], "x-faster")
	b.ReportMetric(ratios[0], "x-lowest")
	b.ReportMetric(ratios[len(ratios)-1], "x-highest")
	b.ReportMetric(float64(len(ratios)), "pairs")
}

func BenchmarkOpenAndRead(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		budget, err := Open()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := budget.Read(); err != nil {
			b.Fatal(err)
		}
		if err := budget.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func elapsed(b *testing.B, call func() error) time.Duration {
	start := time.Now()
	for range 20 {
		if err := call(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start)
}

// openHere opens this process's Budget. A limit is set on the process's own cgroup,
// so that Read also reads usage and statistics where nothing limits.
func openHere(b *testing.B) *Budget {
	b.Helper()
	budget, err := Open()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { budget.Close() })
	budget.SetLimit(1 << 30)
	return budget
}

// containerdStat is containerd/cgroups' Stat of the process's own level.
func containerdStat(b *testing.B, budget *Budget) func() error {
	b.Helper()
	if len(budget.levels) == 0 {
		b.Skip("no memory cgroup here")
	}
	dir := budget.levels[0].dir
	if budget.rung == rungCgroup2 {
		m, err := cgroup2.Load(strings.TrimPrefix(dir, "/sys/fs/cgroup") + "/")
		if err != nil {
			b.Fatal(err)
		}
		return func() error {
			_, err := m.Stat()
			return err
		}
	}
	path := strings.TrimPrefix(dir, "/sys/fs/cgroup/memory") + "/"
	memoryOnly := func() ([]cgroup1.Subsystem, error) {
		return []cgroup1.Subsystem{cgroup1.NewMemory("/sys/fs/cgroup")}, nil
	}
	c, err := cgroup1.Load(cgroup1.StaticPath(path), cgroup1.WithHierarchy(memoryOnly))
	if err != nil {
		b.Fatal(err)
	}
	return func() error {
		_, err := c.Stat()
		return err
	}
}
