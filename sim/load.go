package sim

import (
	"math"
	"time"
)

// Load is how many requests arrive a second, as a function of time: straight
// lines between its points, over and over where Period is set. Before the first
// point and after the last one it stays as it is there.
type Load struct {
	Points []Point
	Period time.Duration
}

// Point is the rate of arrivals at an instant. Two points at one instant are a
// step.
type Point struct {
	At   time.Duration
	Rate float64 // requests a second
}

// Steady is a load that never changes.
func Steady(rate float64) Load { return Load{Points: []Point{{0, rate}}} }

// Step goes from one rate to another at an instant.
func Step(before, after float64, at time.Duration) Load {
	return Load{Points: []Point{{0, before}, {at, before}, {at, after}}}
}

// Day is a curve between a low and a high rate over a period, low at its start.
func Day(low, high float64, period time.Duration) Load {
	const parts = 24
	l := Load{Period: period}
	for i := range parts + 1 {
		wave := (1 - math.Cos(2*math.Pi*float64(i)/parts)) / 2
		l.Points = append(l.Points, Point{period * time.Duration(i) / parts, low + (high-low)*wave})
	}
	return l
}

// Bursts is a low rate that jumps to a high one for a while in each period.
func Bursts(low, high float64, every, last time.Duration) Load {
	return Load{Period: every, Points: []Point{{0, low}, {every - last, low}, {every - last, high}, {every, high}}}
}

// at is the rate at an instant, and when it next changes its course.
func (l *Load) at(now time.Duration) (rate float64, until time.Duration) {
	if len(l.Points) == 0 {
		return 0, never
	}
	turn := time.Duration(0)
	if l.Period > 0 {
		turn = now / l.Period * l.Period
	}
	at := now - turn
	last := len(l.Points) - 1
	for i := range l.Points {
		p := &l.Points[i]
		if p.At <= at && (i == last || l.Points[i+1].At <= at) {
			continue
		}
		if at < p.At {
			return p.Rate, turn + p.At
		}
		q := &l.Points[i+1]
		part := float64(at-p.At) / float64(q.At-p.At)
		return p.Rate + part*(q.Rate-p.Rate), turn + q.At
	}
	if l.Period > 0 {
		return l.Points[last].Rate, turn + l.Period
	}
	return l.Points[last].Rate, never
}

const never = time.Duration(math.MaxInt64)
