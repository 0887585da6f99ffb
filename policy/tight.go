package policy

import "time"

// Tight says whether the last look found memory running out: the moment for
// workers to drop what they only cache, before one of them is stopped. What is
// available, less what starting workers are owed, fell under the reserve (a
// worker is stopped at half of it), or it goes so fast that it ends within
// twice the time at which one would have to be told to stop.
//
// Steady is silent: under the reserve it is said again only when another eighth
// of the reserve has gone. Headroom is not asked, as it calls active page cache
// used and may be low for good.
func (s *State) Tight() bool { return s.tight }

// tighten finds that out, and keeps the most that was free since it was said.
func (s *State) tighten(l *look) {
	free := plus(l.available, -l.owed)
	if s.looks == 0 {
		s.crest = most
	}
	s.crest = max(s.crest, free)
	gone := free < l.reserve && s.crest-free >= l.reserve/8
	s.tight = l.limit > 0 && (gone || l.ends(l.rest(l.net), 2*s.longestWarning(l.o)))
	if s.tight {
		s.crest = free
	}
}

// longestWarning is the longest of all workers that can still be told to stop.
func (s *State) longestWarning(o *Observation) time.Duration {
	var longest time.Duration
	for i := range o.Workers {
		if w := &o.Workers[i]; s.has(w.Type) && w.Phase < Stopping {
			longest = max(longest, warning(w))
		}
	}
	return longest
}
