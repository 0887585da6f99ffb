package policy

import "time"

// Settling tells when a worker without a readiness of its own is ready: when
// its memory grew by less than 2% over 10 s, at the latest 60 s after the first
// look. The zero value is a worker that was just started.
type Settling struct {
	begun bool
	start time.Duration
	since time.Duration // when base was set
	base  int64
}

// Look takes the worker's memory in bytes at an instant and says whether it is
// ready. Instants do not go back.
func (s *Settling) Look(now time.Duration, bytes int64) bool {
	if !s.begun {
		*s = Settling{begun: true, start: now, since: now, base: bytes}
		return false
	}
	switch grown := bytes - s.base; {
	case grown < 0:
		s.base = bytes
	case grown > 0 && grown >= s.base/50:
		s.since, s.base = now, bytes
	}
	return now-s.since >= 10*time.Second || now-s.start >= 60*time.Second
}
