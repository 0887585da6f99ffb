package sim

import (
	"math"
	"math/rand/v2"
)

// course is a life made ready for the simulation: memory goes in straight lines
// from point to point, and peaks come beside it.
type course struct {
	points []point
	slope  float64 // bytes a request after the last point
	end    float64 // requests at which what was measured ends
	wave   []point // beside what the points say, what the last half had, again and again
	peaks  []stretch
	half   int       // of the peaks, the first one of the last half
	later  []stretch // those that may come when these are over: of every life
}

type point struct{ requests, bytes, shared float64 }

// stretch is a number of requests in which one peak comes: so many bytes above what
// the worker holds, for the time of a request.
type stretch struct{ requests, extra float64 }

// least is the smallest peak that is worth an event, in bytes.
const least = 64 << 10

// courses takes over a profile's lives. Where no master shares its memory with
// the workers, what was shared is each worker's own. Peaks go on after the measured
// ones as they came in the last halves of all lives: which of the workers that were
// measured had the largest is no trait of it.
func (p *Profile) courses(alone bool) []course {
	all := make([]course, len(p.Lives))
	for i, life := range p.Lives {
		all[i] = life.course(alone)
	}
	var later []stretch
	for i := range all {
		later = append(later, all[i].peaks[all[i].half:]...)
	}
	for i := range all {
		all[i].later = later
	}
	continued(all)
	return all
}

// course parts what a worker holds from its peaks. A sample may have been taken in
// the midst of a peak: where one alone is above both its neighbours it is no more
// than that.
func (rows Life) course(alone bool) course {
	var c course
	passed := 0.0
	for i := range rows {
		r, before, after := &rows[i], &rows[max(i-1, 0)], &rows[min(i+1, len(rows)-1)]
		held := r.Private
		if over := max(before.Private, after.Private); i > 0 && held > over {
			held = over
		}
		at := point{float64(r.Requests), float64(held), float64(r.Shared)}
		if alone {
			at.bytes, at.shared = at.bytes+at.shared, 0
		}
		extra := float64(r.Peak - held)
		if extra < least {
			extra = 0
		}
		n := len(c.points)
		if n > 0 && c.points[n-1].requests == at.requests {
			c.points[n-1] = at
			c.peaks[n-1].extra = max(c.peaks[n-1].extra, extra)
			continue
		}
		c.points = append(c.points, at)
		c.peaks = append(c.peaks, stretch{at.requests - passed, extra})
		passed = at.requests
	}
	// What peaked at the start is no stretch of requests: see Container.step.
	c.half, c.end = 1, passed
	for c.half < len(c.peaks)-1 && 2*c.points[c.half].requests <= passed {
		c.half++
	}
	c.waves(c.points[c.half:])
	return c
}

// waves takes over how what is held goes up and down around a straight line, from
// the rows of the last half, and ends what was measured on that line: in what phase
// a worker was then is by chance.
func (c *course) waves(rows []point) {
	n := float64(len(rows))
	if n < 4 {
		return
	}
	var x, y, xx, xy float64
	for _, r := range rows {
		x, y = x+r.requests/n, y+r.bytes/n
	}
	for _, r := range rows {
		xx, xy = xx+(r.requests-x)*(r.requests-x), xy+(r.requests-x)*(r.bytes-y)
	}
	line := func(requests float64) float64 { return y + (requests-x)*xy/xx }
	first, last := rows[0], rows[len(rows)-1]
	for _, r := range rows {
		c.wave = append(c.wave, point{r.requests - first.requests, r.bytes - line(r.requests), 0})
	}
	c.points[len(c.points)-1].bytes = line(last.requests)
	each := (last.requests - first.requests) / (n - 1)
	c.wave = append(c.wave, point{last.requests + each - first.requests, c.wave[0].bytes, 0})
}

// at is what is held after a number of requests.
func (c *course) at(requests float64) float64 {
	l := life{course: c, served: requests}
	l.forward()
	own, _ := l.bytes()
	return own
}

// around is what is held up to a number of requests: the mean over the fifth of
// them before it, as single samples say little.
func (c *course) around(requests float64) float64 {
	const samples = 17
	sum := 0.0
	for i := range samples {
		sum += c.at(requests * (1 - 0.2*float64(i)/(samples-1)))
	}
	return sum / samples
}

// continued says how it goes on after the measured rows, by what all lives took in the
// last three doublings of their requests. Caches that fill and fragmentation take about
// as much again in each doubling, or less and less; a leak takes twice as much in each.
// Where both are there the last doubling takes more than the one before by half of
// what leaked in it: where that is much, memory goes on in the slope of the last half.
// Under a fiftieth of what is held is no growth at all, for garbage collectors come and
// go in waves.
func continued(all []course) {
	var held, last, before, earlier float64
	for i := range all {
		c := &all[i]
		n := c.end
		end, half, quarter, eighth := c.around(n), c.around(n/2), c.around(n/4), c.around(n/8)
		held += end / float64(len(all))
		last += (end - half) / float64(len(all))
		before += (half - quarter) / float64(len(all))
		earlier += (quarter - eighth) / float64(len(all))
	}
	leaks := before > max(earlier, 0) && 2*(last-before) >= held*leaked && last <= leapt*before
	grown := (last + max(before, 0)) / 2
	part := slowing
	if last < before {
		grown, part = last, min(part, last/before)
	}
	if grown < held/50 {
		return
	}
	for i := range all {
		c := &all[i]
		end := c.points[len(c.points)-1]
		if leaks {
			c.slope = last / (0.9 * end.requests / 2)
			continue
		}
		for more := grown * part; more > least && len(c.points) < 1<<10; more *= part {
			end.requests *= 2
			end.bytes += more
			c.points = append(c.points, end)
		}
	}
}

// Leaks says whether the workers grow without end.
func (p *Profile) Leaks() bool {
	for _, c := range p.courses(false) {
		if c.slope > 0 {
			return true
		}
	}
	return false
}

const (
	// leaked is how much of what is held leaked in the last doubling, at least, for a
	// worker that leaks: caches that fill, measured again and again over two thousand
	// requests, looked like up to 0.06.
	leaked = 0.1
	// leapt is what is too much for a leak: a collector's wave.
	leapt = 3
	// slowing is the growth in one doubling over that in the one before where the
	// rows do not tell that it slows down: it ends at last.
	slowing = 0.95
)

// life is where one worker is in its course.
type life struct {
	*course
	served float64
	row    int // the point passed last

	n       int // stretches that are over, the start's among them
	stretch stretch
	passed  float64 // requests at which the stretch began
	peakAt  float64 // requests at which its peak comes

	phase float64 // of the wave, in requests
	crest int     // the point of the wave passed last
}

func begin(c *course, r *rand.Rand) life {
	l := life{course: c}
	l.next(r)
	if n := len(c.wave); n > 0 {
		l.phase = r.Float64() * c.wave[n-1].requests
	}
	return l
}

// next draws the stretch that follows.
func (l *life) next(r *rand.Rand) {
	if l.n++; l.n < len(l.peaks) {
		l.stretch = l.peaks[l.n]
	} else {
		l.stretch = l.later[r.IntN(len(l.later))]
	}
	l.peakAt = l.passed + r.Float64()*l.stretch.requests
}

// serve goes on by a number of requests and calls peaked for each peak that comes,
// with its bytes and how far between the old and the new count it comes, from 0
// to 1.
func (l *life) serve(requests float64, r *rand.Rand, peaked func(extra, part float64)) {
	from := l.served
	l.served += requests
	l.forward()
	for {
		s := &l.stretch
		if s.extra > 0 && l.peakAt >= from && l.peakAt < l.served {
			peaked(s.extra, (l.peakAt-from)/requests)
		}
		if l.passed+s.requests > l.served {
			return
		}
		l.passed += s.requests
		l.next(r)
	}
}

// forward finds the point that was passed last.
func (l *life) forward() {
	for l.row+1 < len(l.points) && l.points[l.row+1].requests <= l.served {
		l.row++
	}
}

// bytes is what the worker holds at its count of requests, peaks left out, and
// shared what it still shares with its master.
func (l *life) bytes() (own, shared float64) {
	a := &l.points[l.row]
	wave := l.swell()
	if l.row+1 == len(l.points) {
		return a.bytes + (l.served-a.requests)*l.slope + wave, a.shared
	}
	b := &l.points[l.row+1]
	part := (l.served - a.requests) / (b.requests - a.requests)
	return a.bytes + part*(b.bytes-a.bytes) + wave, a.shared + part*(b.shared-a.shared)
}

// swell is what the wave adds where what was measured is over.
func (l *life) swell() float64 {
	n := len(l.wave)
	if n == 0 || l.served <= l.end {
		return 0
	}
	at := math.Mod(l.served-l.end+l.phase, l.wave[n-1].requests)
	if at < l.wave[l.crest].requests {
		l.crest = 0
	}
	for l.wave[l.crest+1].requests <= at {
		l.crest++
	}
	a, b := &l.wave[l.crest], &l.wave[l.crest+1]
	return a.bytes + (at-a.requests)/(b.requests-a.requests)*(b.bytes-a.bytes)
}
