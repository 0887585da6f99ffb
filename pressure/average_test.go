package pressure

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestAverage(t *testing.T) {
	type add struct{ at, some, full time.Duration }
	type want struct{ some, full int64 }
	const s, ms = time.Second, time.Millisecond
	for _, x := range []struct {
		name string
		adds []add
		want want // of the last
	}{
		{"one reading", []add{{5 * s, 90 * s, 40 * s}}, want{}},
		{"quiet", []add{{0, 7 * s, s}, {30 * s, 7 * s, s}}, want{}},
		{"a tenth", []add{{0, 0, 0}, {10 * s, 1 * s, 500 * ms}}, want{100, 50}},
		{"all of it", []add{{0, 0, 0}, {10 * s, 10 * s, 10 * s}}, want{1000, 1000}},
		{"never more than all of it", []add{{0, 0, 0}, {s, 30 * s, 20 * s}}, want{1000, 1000}},
		{"before the first reading it was quiet", []add{{0, 0, 0}, {100 * ms, 100 * ms, 0}}, want{10, 0}},
		{"spread evenly over a gap", []add{{0, 0, 0}, {60 * s, 6 * s, 3 * s}}, want{100, 50}},
		{"forgotten after ten seconds", []add{{0, 0, 0}, {2 * s, 2 * s, s}, {7 * s, 2 * s, s}, {12 * s, 2 * s, s}}, want{0, 0}},
		{"half of a stall is out of sight", []add{{0, 0, 0}, {2 * s, 2 * s, s}, {11 * s, 2 * s, s}}, want{100, 50}},
		{"readings closer than the grain", []add{{0, 0, 0}, {10 * ms, 5 * ms, 0}, {20 * ms, 10 * ms, 0}, {30 * ms, 20 * ms, 10 * ms}}, want{2, 1}},
		{"another cgroup", []add{{0, 90 * s, 90 * s}, {s, s, s}}, want{}},
		{"another cgroup, some more time", []add{{0, 90 * s, 90 * s}, {s, s, s}, {2 * s, 2 * s, s}}, want{100, 0}},
		{"a clock that went back", []add{{9 * s, 0, 0}, {8 * s, s, s}}, want{}},
		{"the same instant twice", []add{{s, 0, 0}, {s, 10 * ms, 10 * ms}}, want{1, 1}},
		{"the same instant twice, ten seconds on", []add{{0, 0, 0}, {0, 0, 0}, {10 * s, s, 0}, {10 * s, s, 0}}, want{100, 0}},
	} {
		var a Average
		var got want
		for _, r := range x.adds {
			got.some, got.full = a.Add(r.at, r.some, r.full)
		}
		if got != x.want {
			t.Errorf("%s: %v, want %v", x.name, got, x.want)
		}
	}
}

// TestAverageAgainstAll compares with a second version that remembers every
// reading: what the first one forgets makes a difference of a grain's worth at
// most.
func TestAverageAgainstAll(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var a Average
		var all []reading
		var r reading
		for range 300 {
			step := time.Duration(rng.Int64N(int64(time.Second))) >> rng.IntN(12)
			r.at += step
			if rng.IntN(3) == 0 {
				lost := time.Duration(rng.Int64N(int64(step) + 1))
				r.some += lost
				r.full += lost / 2
			}
			all = append(all, r)
			some, full := a.Add(r.at, r.some, r.full)
			wantSome, wantFull := shareOfAll(all)
			const most = int64(grain * 1000 / span)
			if d := some - wantSome; d < -most-1 || d > most+1 {
				t.Fatalf("some at %v: %d, want about %d", r.at, some, wantSome)
			}
			if d := full - wantFull; d < -most-1 || d > most+1 {
				t.Fatalf("full at %v: %d, want about %d", r.at, full, wantFull)
			}
		}
	}
}

func shareOfAll(all []reading) (some, full int64) {
	last := all[len(all)-1]
	from := all[0]
	for i := 1; i < len(all) && all[i-1].at <= last.at-span; i++ {
		a := Average{n: 2}
		a.readings[0], a.readings[1] = all[i-1], all[i]
		if all[i].at > last.at-span {
			from = a.before(last.at - span)
			break
		}
		from = all[i]
	}
	return share(last.some - from.some), share(last.full - from.full)
}
