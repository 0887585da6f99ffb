package supervisor

import (
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/memsup/memsup/budget"
)

// The lines of fixed facts, as Heroku documents them.
func TestSampleLines(t *testing.T) {
	n := func(n int64) *int64 { return &n }
	const mb = 1 << 20
	for _, test := range []struct {
		name   string
		sample sample
		want   []string
	}{
		{
			"all is known",
			sample{
				source: "web.1", load: &loadAverage{2.46, 1.06, 0.99},
				rss: n(22250783), cache: n(1572864), swap: n(0), pgpgin: n(348836), pgpgout: n(343403), quota: n(512 * mb),
			},
			[]string{
				"source=web.1 dyno=3f4e1b7c9a2d sample#load_avg_1m=2.46 sample#load_avg_5m=1.06 sample#load_avg_15m=0.99",
				"source=web.1 dyno=3f4e1b7c9a2d sample#memory_total=22.72MB sample#memory_rss=21.22MB sample#memory_cache=1.50MB" +
					" sample#memory_swap=0.00MB sample#memory_pgpgin=348836pages sample#memory_pgpgout=343403pages sample#memory_quota=512.00MB",
			},
		},
		{
			"a worker without a cgroup",
			sample{source: "web.2", load: &loadAverage{}, rss: n(30 * mb), swap: n(2 * mb)},
			[]string{
				"source=web.2 dyno=3f4e1b7c9a2d sample#load_avg_1m=0.00 sample#load_avg_5m=0.00 sample#load_avg_15m=0.00",
				"source=web.2 dyno=3f4e1b7c9a2d sample#memory_total=32.00MB sample#memory_rss=30.00MB sample#memory_swap=2.00MB",
			},
		},
		{"not yet measured", sample{source: "web.3", quota: n(mb)}, nil},
	} {
		if got := test.sample.lines("3f4e1b7c9a2d"); !slices.Equal(got, test.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", test.name, got, test.want)
		}
	}
}

// Where the parts are not known, as by systemd, the usage and the quota are told.
func TestContainerSample(t *testing.T) {
	const mb = 1 << 20
	m := budget.Memory{Limit: 512 * mb, Used: 100 * mb, SwapUsed: 3 * mb}
	for want, err := range map[string]error{
		"memory_total=103.00MB sample#memory_swap=3.00MB sample#memory_quota=512.00MB": os.ErrNotExist,
		"memory_total=33.00MB sample#memory_rss=12.00MB sample#memory_cache=18.00MB" +
			" sample#memory_swap=3.00MB sample#memory_quota=512.00MB": nil,
	} {
		x := sample{source: "container"}
		x.container(m, budget.Parts{Anon: 10 * mb, File: 20 * mb, Shmem: 2 * mb}, err)
		if got := x.lines("d"); len(got) != 1 || got[0] != "source=container dyno=d sample#"+want {
			t.Errorf("%v:\ngot  %q\nwant %q", err, got, want)
		}
	}
}

// Looked at every five seconds, the average is the kernel's, whose numbers have
// eleven bits behind the point.
func TestLoadAverageIsTheKernels(t *testing.T) {
	const one = 1 << 11
	factors := [3]int64{1884, 2014, 2037}
	var kernel [3]int64
	var l *loadAverage
	for i := range 500 {
		n := i % 7
		if i > 300 {
			n = 0
		}
		l = l.add(n, 5*time.Second)
		for j, factor := range factors {
			active := int64(n) * one
			load := kernel[j]*factor + active*(one-factor)
			if active >= kernel[j] {
				load += one - 1
			}
			kernel[j] = load / one
			if want := float64(kernel[j]) / one; math.Abs(l[j]-want) > 0.05 {
				t.Fatalf("look %d, average %d: %.3f, the kernel's is %.3f", i, j, l[j], want)
			}
		}
	}
}

// A longer interval weighs as much as the looks that it stands for.
func TestLoadAverageOverAnyInterval(t *testing.T) {
	var short, long *loadAverage
	for range 12 {
		short = short.add(3, 5*time.Second)
	}
	long = long.add(3, time.Minute)
	for i := range short {
		if math.Abs(short[i]-long[i]) > 1e-9 {
			t.Errorf("average %d: %v over twelve intervals, %v over one", i, short[i], long[i])
		}
	}
}
