package pressure

import "time"

const (
	// span is what an Average looks back over: that of the kernel's avg10.
	span = 10 * time.Second
	// grain is the least distance of the readings that are remembered, from each to
	// the next but one; what comes sooner takes the place of the one before.
	grain = span / 16
	// kept readings reach back over span, with one beyond it to interpolate from.
	kept = 2*int(span/grain) + 3
)

// Average turns the running totals of PSI, read at irregular times, into the
// share of time lost over the last ten seconds. The kernel's own avg10 is a decaying
// average that it brings up to date every two seconds; this one forgets a stall
// ten seconds after it ended and knows of one at once. The zero value is ready.
type Average struct {
	readings [kept]reading // oldest first
	n        int
}

type reading struct {
	at         time.Duration
	some, full time.Duration
}

// Add takes a reading: the instant as a duration since an origin of the caller's,
// and the totals that Watcher.PSI told then. It returns the shares of the ten
// seconds before it that were lost, in thousandths. What was before the first reading
// counts as quiet, and between two readings time is taken to have been lost evenly.
// Totals that fell, as in another cgroup, start anew, and so does an instant
// before the last one. Add allocates nothing.
func (a *Average) Add(at, some, full time.Duration) (someShare, fullShare int64) {
	r := reading{at, some, full}
	if a.n > 0 {
		if last := a.readings[a.n-1]; at < last.at || some < last.some || full < last.full {
			a.n = 0
		}
	}
	a.keep(r)
	from := a.before(at - span)
	return share(some - from.some), share(full - from.full)
}

// keep adds r to the readings.
func (a *Average) keep(r reading) {
	if a.n > 1 && r.at-a.readings[a.n-2].at < grain {
		a.n-- // the last one is too near to the one before it
	}
	// Only the newest of those that are out of sight is of use.
	out := 0
	for out+1 < a.n && a.readings[out+1].at <= r.at-span {
		out++
	}
	a.n = copy(a.readings[:], a.readings[out:a.n])
	a.readings[a.n] = r
	a.n++
}

// before is what the totals were at an instant, between two readings by the rule
// of three. Before the first one they were as in it.
func (a *Average) before(at time.Duration) reading {
	first := a.readings[0]
	if a.n == 1 || at <= first.at {
		return first
	}
	next := a.readings[1] // keep saw to it that at lies before it
	part := float64(at-first.at) / float64(next.at-first.at)
	return reading{
		at:   at,
		some: first.some + time.Duration(part*float64(next.some-first.some)),
		full: first.full + time.Duration(part*float64(next.full-first.full)),
	}
}

// share is lost time in thousandths of span.
func share(lost time.Duration) int64 {
	return min(max(0, int64(lost/(span/1000))), 1000)
}
