package sim

import "math/rand/v2"

// course is a life made ready for the simulation: from row to row memory goes in
// a straight line, and in each stretch one short-lived peak comes.
type course struct {
	rows []point
	// half is the row from which on the end of the life repeats: what is taken
	// after the last row follows its slope, and its peaks come again.
	half               int
	slope, sharedSlope float64 // bytes a request after the last row
}

type point struct {
	requests, bytes, shared float64
	extra                   float64 // above bytes, for the time of a request, since the row before
}

// least is the smallest peak that is worth an event, in bytes.
const least = 64 << 10

// courses takes over a profile's lives. Where no master shares its memory with
// the workers, what was shared is each worker's own.
func (p *Profile) courses(alone bool) []course {
	all := make([]course, len(p.Lives))
	for i, life := range p.Lives {
		c := course{rows: make([]point, len(life))}
		for j, r := range life {
			at := point{requests: float64(r.Requests), bytes: float64(r.Private), shared: float64(r.Shared)}
			if alone {
				at.bytes, at.shared = at.bytes+at.shared, 0
			}
			if extra := float64(r.Peak - r.Private); extra >= least {
				at.extra = extra
			}
			c.rows[j] = at
		}
		for c.half < len(life)-2 && 2*life[c.half+1].Requests <= life[len(life)-1].Requests {
			c.half++
		}
		first, last := &c.rows[c.half], &c.rows[len(c.rows)-1]
		if over := last.requests - first.requests; over > 0 {
			c.slope = max(0, (last.bytes-first.bytes)/over)
			c.sharedSlope = min(0, (last.shared-first.shared)/over)
		}
		all[i] = c
	}
	return all
}

// life is where one worker is in its course.
type life struct {
	*course
	served float64
	row    int     // the one passed last
	passed float64 // requests at which it was passed: after the last row it is no row's own
	peakAt float64 // requests at which the stretch's peak comes
}

func begin(c *course, r *rand.Rand) life {
	l := life{course: c}
	l.drawPeak(r)
	return l
}

// next is the row that ends the stretch, and how many requests it has.
func (l *life) next() (row int, span float64) {
	row = l.row + 1
	if row == len(l.rows) {
		row = l.half + 1
	}
	return row, l.rows[row].requests - l.rows[row-1].requests
}

func (l *life) drawPeak(r *rand.Rand) {
	_, span := l.next()
	l.peakAt = l.passed + r.Float64()*span
}

// serve goes on by a number of requests and calls peaked for each peak that comes,
// with its bytes and how far between the old and the new count it comes, from 0
// to 1.
func (l *life) serve(requests float64, r *rand.Rand, peaked func(extra, part float64)) {
	from := l.served
	l.served += requests
	for {
		row, span := l.next()
		if l.peakAt >= from && l.peakAt < l.served && l.rows[row].extra > 0 {
			peaked(l.rows[row].extra, (l.peakAt-from)/requests)
		}
		if l.passed+span > l.served {
			return
		}
		l.passed += span
		l.row = row
		l.drawPeak(r)
	}
}

// bytes is what the worker holds at its count of requests, peaks left out, and
// shared what it still shares with its master.
func (l *life) bytes() (own, shared float64) {
	last := &l.rows[len(l.rows)-1]
	if over := l.served - last.requests; over >= 0 {
		return last.bytes + over*l.slope, max(0, last.shared+over*l.sharedSlope)
	}
	a, b := &l.rows[l.row], &l.rows[l.row+1]
	part := (l.served - a.requests) / (b.requests - a.requests)
	return a.bytes + part*(b.bytes-a.bytes), a.shared + part*(b.shared-a.shared)
}
