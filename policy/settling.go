package policy

import "time"

// Settling tells when a worker without a readiness of its own is ready: when
// its memory grew by less than 2% over 10 s, at the latest 60 s after the first
// look. What a worker that serves has for a moment is no growth: the least of a
// second is held beside the least of the second 10 s before. The zero value is a
// worker that was just started.
type Settling struct {
	begun bool
	start time.Duration
	last  int       // seconds from start to the last look
	least [11]int64 // in each of the last seconds
}

// Look takes the worker's memory in bytes at an instant and says whether it is
// ready. Instants do not go back.
func (s *Settling) Look(now time.Duration, bytes int64) bool {
	const n = len(s.least)
	if !s.begun {
		*s = Settling{begun: true, start: now}
		s.least[0] = bytes
		return false
	}
	second := int((now - s.start) / time.Second)
	if second >= 60 {
		return true
	}
	for s.last < second {
		// Where nobody looked it is taken to be as before.
		s.least[(s.last+1)%n] = s.least[s.last%n]
		if s.last++; s.last == second {
			s.least[second%n] = bytes
		}
	}
	s.least[second%n] = min(s.least[second%n], bytes)
	if second < n-1 {
		return false
	}
	before := s.least[(second+1)%n]
	grown := s.least[second%n] - before
	return grown <= 0 || grown < before/50
}
