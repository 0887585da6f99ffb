package policy

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

// source draws numbers from a fuzzer's bytes; at their end it draws zeros.
type source struct{ data []byte }

func (r *source) byte() int {
	if len(r.data) == 0 {
		return 0
	}
	b := r.data[0]
	r.data = r.data[1:]
	return int(b)
}

// size draws plausible sizes, and now and then a hostile one.
func (r *source) size() int64 {
	switch b := r.byte(); b {
	case 255:
		return math.MaxInt64
	case 254:
		return math.MinInt64
	case 253:
		return -1
	default:
		return int64(b) * mib
	}
}

func (r *source) config() Config {
	c := Config{Reserve: r.size()}
	if r.byte()%2 == 0 {
		c.ReservePercent = float64(r.byte() % 30)
	}
	for i := range r.byte() % 5 {
		low := r.byte() % 4
		c.Types = append(c.Types, Type{
			Name: fmt.Sprint("t", i), Min: low, Max: low + r.byte()%6, MaxFixed: r.byte()%2 == 0,
			Priority: r.byte() % 3, Memory: r.size() * int64(r.byte()%2), Recycle: r.size() * int64(r.byte()%2),
			Replacing: r.byte()%2 == 0, InPlace: r.byte()%2 == 0,
			Demand: Demand(r.byte() % 5), Uses: []int{r.byte() % 4, r.byte()%8 - 1}[:r.byte()%3],
		})
	}
	for i := range r.byte() % 3 {
		c.Limits = append(c.Limits, Limit{fmt.Sprint("l", i), r.byte() % 64})
	}
	return c
}

func (r *source) observe(now time.Duration) Observation {
	o := Observation{
		Now: now, Limit: r.size(), Limited: r.byte()%4 > 0, Used: r.size(), Available: r.size(), Headroom: r.size(),
		OOMKills: int64(r.byte() / 64), MaxEvents: int64(r.byte() / 128), OOMGroup: r.byte()%8 == 0,
		PressureSome: int64(r.byte()), PressureFull: int64(r.byte() / 2),
	}
	for range r.byte() % 10 {
		o.Workers = append(o.Workers, Worker{
			Type: r.byte()%6 - 1, Index: r.byte() % 8, Phase: Phase(r.byte() % 4),
			Since: now - time.Duration(r.size()), Cost: r.size(), Growth: r.size(), CPU: r.size(), StopTime: time.Duration(r.size()),
		})
	}
	for range max(0, r.byte()%8-5) {
		b := r.byte()
		o.Exits = append(o.Exits, Exit{r.byte()%6 - 1, r.byte() % 8, b&1 > 0, b&2 > 0, b&4 > 0, b&8 > 0, b&16 > 0})
	}
	o.CPULimit, o.CPUUsed = r.size()>>10, r.size()>>10
	for range r.byte() % 6 {
		o.Demand = append(o.Demand, Measure{
			Waiting: r.byte() - 100, Room: r.byte() - 1, Busy: r.size() >> 12, Number: r.byte() - 100, At: now - time.Duration(r.byte()-1)*time.Second,
		})
	}
	return o
}

func FuzzDecide(f *testing.F) {
	f.Add([]byte{})
	f.Add(noise(1))
	f.Fuzz(invariants)
}

// TestInvariants is a fuzzing of fixed length.
func TestInvariants(t *testing.T) {
	for seed := range uint64(500) {
		invariants(t, noise(seed))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func noise(seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 0))
	data := make([]byte, 4096)
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	return data
}

// invariants reads a configuration and observations from data, and checks what
// always holds.
func invariants(t *testing.T, data []byte) {
	t.Helper()
	r := &source{data}
	c := r.config()
	var s, twin State
	var o Observation
	now := time.Duration(0)
	for len(r.data) > 0 {
		now += time.Duration(r.byte()) * 50 * time.Millisecond
		if r.byte() == 255 {
			now += time.Duration(math.MaxInt64 / 4)
			now &= math.MaxInt64 >> 1
		}
		if r.byte() > 250 {
			c = r.config()
		}
		o = r.observe(now)
		before := make([]int, len(c.Types))
		for i := range before {
			before[i] = s.Wanted(i)
		}
		actions := s.Decide(&c, &o)
		check(t, &s, &c, &o, actions)
		if again := twin.Decide(&c, &o); !slices.Equal(actions, again) {
			t.Fatalf("same input, other output: %v and %v", actions, again)
		}
	}
	// What never changes leads to no action for ever after.
	o.Exits = nil
	last := 0
	for look := range 400 {
		o.Now += time.Minute
		if o.Now < 0 {
			return
		}
		if len(s.Decide(&c, &o)) > 0 {
			last = look
		}
	}
	if last > 200 {
		t.Fatalf("still acting after %d looks at the same: %v", last, o)
	}
}

func check(t *testing.T, s *State, c *Config, o *Observation, actions []Action) {
	t.Helper()
	limit, _, headroom := s.room(o)
	for _, a := range actions {
		if a.Reason == "" || a.Type < 0 || a.Type >= len(c.Types) {
			t.Fatalf("%+v", a)
		}
		if a.Kind != Up {
			i := slices.IndexFunc(o.Workers, func(w Worker) bool { return w.Type == a.Type && w.Index == a.Index })
			if i < 0 {
				t.Fatalf("no such worker: %+v", a)
			}
			continue
		}
		cost, known := s.Cost(a.Type)
		if !known || headroom-s.Debit(c, o) < cost+c.ReserveFor(limit) || len(actions) > 1 {
			t.Fatalf("no room for %+v: headroom %d, debit %d, cost %d", a, headroom, s.Debit(c, o), cost)
		}
		if slices.ContainsFunc(o.Workers, func(w Worker) bool { return w.Phase == Starting && s.has(w.Type) }) {
			t.Fatalf("up while something starts: %+v", a)
		}
		for j := range c.Limits {
			if used := s.used(c, j); used > int64(c.Limits[j].Most) && c.Types[a.Type].use(j) > 0 {
				t.Fatalf("%+v: %d of %v are used", a, used, c.Limits[j])
			}
		}
	}
	for i, k := range c.Types {
		if n := s.Wanted(i); n > k.Max || n < 0 || n < k.Min && !o.OOMGroup {
			t.Fatalf("%s wants %d of %d..%d", k.Name, n, k.Min, k.Max)
		}
		_, _ = s.Blocked(i).String(), s.Demanded(i)
		if v := s.Victim(c, o, i); v != 0 && !slices.ContainsFunc(o.Workers, func(w Worker) bool {
			return w.Type == i && w.Index == v && w.Phase < Stopping
		}) {
			t.Fatalf("victim %s.%d does not run", k.Name, v)
		}
		Share(c, i, o.Limit)
	}
	if d := s.NextLook(o); d < 50*time.Millisecond || d > 5*time.Second {
		t.Fatalf("next look in %v", d)
	}
	if s.Debit(c, o) < 0 && headroom >= 0 {
		t.Fatalf("debit %d", s.Debit(c, o))
	}
	s.Short()
}

func FuzzSettling(f *testing.F) {
	f.Add(int64(0), int64(0), int64(math.MaxInt64))
	f.Add(int64(100), int64(101), int64(103))
	f.Fuzz(func(t *testing.T, a, b, c int64) {
		var s Settling
		for i, n := range []int64{a, b, c, a, b, c, a} {
			ready := s.Look(time.Duration(i)*9*time.Second+time.Duration(i/6)*6*time.Second, n)
			if i == 0 && ready || i == 6 && !ready {
				t.Fatalf("look %d: %v", i, ready)
			}
		}
	})
}

func TestSettling(t *testing.T) {
	type at struct {
		seconds float64
		bytes   int64
		ready   bool
	}
	for name, looks := range map[string][]at{
		"steady":       {{0, 100, false}, {5, 100, false}, {9.9, 100, false}, {10, 100, true}},
		"under 2%":     {{0, 1000, false}, {5, 1019, false}, {10, 1019, true}},
		"2%":           {{0, 1000, false}, {5, 1020, false}, {10, 1020, false}, {15, 1020, true}},
		"start-up":     {{3, 0, false}, {4, 50, false}, {8, 100, false}, {17, 100, false}, {18, 100, true}},
		"dip":          {{0, 100, false}, {5, 50, false}, {9, 100, false}, {10, 100, true}},
		"spikes":       {{0, 100, false}, {5, 100, false}, {5.5, 300, false}, {10.2, 300, false}, {10.4, 100, true}},
		"a low second": {{0, 100, false}, {0.5, 300, false}, {10, 300, false}},
		"grows slowly": {{0, 1000, false}, {5, 1015, false}, {10, 1030, false}, {15, 1045, false}, {20, 1060, false}, {60, 1180, true}},
		"never steady": {{0, 10, false}, {9, 20, false}, {18, 40, false}, {27, 80, false}, {36, 160, false}, {45, 320, false}, {54, 640, false}, {60, 900, true}},
		"not measured": {{0, 0, false}, {10, 0, true}},
	} {
		var s Settling
		for _, l := range looks {
			if got := s.Look(time.Duration(l.seconds*float64(time.Second)), l.bytes); got != l.ready {
				t.Errorf("%s: at %v s: %v", name, l.seconds, got)
			}
		}
	}
}

func TestReserve(t *testing.T) {
	for _, x := range []struct {
		c     Config
		limit int64
		want  int64
	}{
		{Config{ReservePercent: 10}, 512 * mib, 512 * mib / 10},
		{Config{ReservePercent: 10}, 64 * mib, 16 * mib},
		{Config{ReservePercent: 10}, 64 * gib, gib},
		{Config{ReservePercent: 10, Reserve: 5}, gib, gib / 10},
		{Config{Reserve: 5 * mib}, 64 * gib, 5 * mib},
		{Config{}, gib, 0},
	} {
		if got := x.c.ReserveFor(x.limit); got != x.want {
			t.Errorf("%+v of %d: %d, want %d", x.c, x.limit, got, x.want)
		}
	}
}

func TestShare(t *testing.T) {
	c := Config{Reserve: 100 * mib, Types: []Type{
		{Name: "web", Min: 1, Max: 6, MaxFixed: true},
		{Name: "worker", Min: 2, Max: 3, MaxFixed: true, Recycle: 70 * mib},
	}}
	if got, ok := Share(&c, 0, gib); !ok || got != (gib-100*mib)/9 {
		t.Error(got, ok)
	}
	if got, ok := Share(&c, 1, gib); !ok || got != 70*mib {
		t.Error(got, ok)
	}
	if got, ok := Share(&c, 0, 100*mib); ok {
		t.Error("a share of nothing", got)
	}
	c.Types[1].MaxFixed = false
	if got, ok := Share(&c, 0, gib); ok {
		t.Error("a share though a maximum is open", got)
	}
	if got, ok := Share(&c, 1, gib); !ok || got != 70*mib {
		t.Error(got, ok)
	}
}

func TestDebit(t *testing.T) {
	c := Config{Types: []Type{{Name: "web", Min: 1, Max: 4, Memory: 50 * mib}, {Name: "worker", Min: 1, Max: 1}}}
	o := Observation{Limit: gib, Headroom: 300 * mib, Available: 300 * mib, Workers: []Worker{
		{Index: 1, Cost: 20 * mib}, {Index: 2, Cost: 60 * mib}, {Index: 3, Phase: Ready},
	}}
	var s State
	s.Decide(&c, &o)
	if got := s.Debit(&c, &o); got != 30*mib {
		t.Error("known:", got)
	}
	o.Workers = append(o.Workers, Worker{Type: 1, Index: 1, Cost: 5 * mib})
	if got := s.Debit(&c, &o); got != 300*mib {
		t.Error("unknown:", got)
	}
}

func TestNextLook(t *testing.T) {
	var s State
	c := Config{}
	for _, x := range []struct {
		available int64
		want      time.Duration
	}{{64 * mib, 500 * time.Millisecond}, {gib, 5 * time.Second}, {mib, 50 * time.Millisecond}, {-gib, 50 * time.Millisecond}} {
		o := Observation{Limit: gib, Available: x.available}
		if got := s.NextLook(&o); got != x.want {
			t.Errorf("available %d: %v, want %v", x.available, got, x.want)
		}
	}
	// 256 MiB a second were seen.
	s.Decide(&c, &Observation{Limit: 4 * gib, Headroom: 4 * gib, Available: 4 * gib})
	s.Decide(&c, &Observation{Limit: 4 * gib, Headroom: 4 * gib, Available: 3 * gib, Now: 4 * time.Second})
	s.Decide(&c, &Observation{Limit: 4 * gib, Headroom: 4 * gib, Available: 3 * gib, Now: 8 * time.Second})
	o := Observation{Limit: 4 * gib, Headroom: 0, Available: 512 * mib}
	if got := s.NextLook(&o); got != time.Second {
		t.Error("after fast growth:", got)
	}
	// An up waits for a worker that may load yet.
	c.Types, o = []Type{{Name: "web", Min: 1, Max: 4}}, Observation{Limit: 4 * gib, Headroom: 4 * gib, Available: 4 * gib}
	o.Now, o.Workers = 10*time.Second, []Worker{{Index: 1, Phase: Ready, Cost: mib, Since: 9 * time.Second}}
	s = State{}
	s.Decide(&c, &o)
	if got := s.NextLook(&o); got != 2*time.Second {
		t.Error("while a worker may load yet:", got)
	}
}

func TestResize(t *testing.T) {
	c := Config{Types: []Type{{Name: "web", Min: 1, Max: 4}, {Name: "worker", Min: 2, Max: 2, Memory: 9}}}
	o := Observation{Limit: gib, Headroom: gib, Available: gib, Workers: []Worker{{Index: 1, Phase: Ready, Cost: mib, Since: -loading}}}
	var s State
	s.Decide(&c, &o)
	s.Resize([]int{-1, 0, 7})
	c.Types = []Type{{Name: "mail", Min: 3, Max: 3}, {Name: "web", Min: 1, Max: 4}, {Name: "x", Min: 1, Max: 1}}
	o.Workers = nil
	s.Decide(&c, &o)
	if got := []int{s.Wanted(0), s.Wanted(1), s.Wanted(2), s.Wanted(3)}; !reflect.DeepEqual(got, []int{3, 2, 1, 0}) {
		t.Error(got)
	}
	if cost, known := s.Cost(1); !known || cost != mib {
		t.Error("web's cost is forgotten:", cost, known)
	}
}

func TestMiddle(t *testing.T) {
	for _, v := range [][]int64{{5}, {1, 2}, {3, 3, 3, 3}, {9, 1, 8, 2, 7, 3}, {1, 2, 3, 4, 5}, {5, 4, 3, 2, 1}} {
		sorted := slices.Sorted(slices.Values(v))
		if got := middle(slices.Clone(v)); got != sorted[len(v)/2] {
			t.Errorf("%v: %d", v, got)
		}
	}
}

func TestText(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 26843546: "25.6 MiB", 3 * gib: "3.0 GiB", -5 * mib: "-5.0 MiB",
	} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
	if got := fmt.Sprint(Starting, Ready, Stopping, Up, Down, Recycle, Kill); got != "starting ready stopping up down recycle kill" {
		t.Error(got)
	}
	for d, want := range map[time.Duration]string{
		300 * time.Millisecond: "300 ms", 3500 * time.Millisecond: "3.5 s", 40 * time.Second: "40 s",
		30 * time.Minute: "30 min", 3 * time.Hour: "3 h",
	} {
		if got := period(d); got != want {
			t.Errorf("period(%v) = %q, want %q", d, got, want)
		}
	}
}
