package policy

import "time"

// spikes is what a type's workers have for a moment, beside what they keep, as a
// distribution over the looks at them.
type spikes struct {
	size   int64 // the largest
	since  time.Duration
	unit   int64 // bytes that a bin is wide; the first begins above 0
	bins   [16]float64
	looks  float64
	at     time.Duration // of the last look
	surged [2]surged     // for an even and an odd number: as many as run, and one more
}

// surged is the last answer of surge.
type surged struct {
	n     int
	at    time.Duration
	size  int64
	bytes int64
}

// add takes one look at a worker that is ready: what it has beside what it keeps,
// and what it had for a moment since the look before.
func (p *spikes) add(now time.Duration, has, had int64) {
	if now-p.since >= 24*time.Hour {
		p.size, p.since = p.size-p.size/8, now
	}
	p.size, p.at = max(p.size, had), now
	if p.looks++; p.looks >= 1<<12 {
		p.looks /= 2
		for i := range p.bins {
			p.bins[i] /= 2
		}
	}
	has = min(has, p.size)
	if has < 256*kib {
		return
	}
	p.unit = max(p.unit, mib)
	for has > int64(len(p.bins))*p.unit {
		for i := range len(p.bins) / 2 {
			p.bins[i] = p.bins[2*i] + p.bins[2*i+1]
			p.bins[len(p.bins)/2+i] = 0
		}
		p.unit *= 2
	}
	p.bins[(has-1)/p.unit]++
}

// rare is how seldom workers may have more at once than what is left for it. A
// spike lasts some tenths of a second, so that a day has a million of them at most.
const rare = 1e-6

// again is how long an answer is good for.
const again = 10 * time.Second

// many bounds the numbers of workers that surge is worked out for.
const many = 64

// surge is what n workers have for a moment at once, at most but for a rare one.
// They are taken to know nothing of each other.
func (p *spikes) surge(n int) int64 {
	if p.size < mib || n <= 0 {
		return 0
	}
	if n > many {
		return bytes(p.surge(many) / many * int64(n))
	}
	s := &p.surged[n%2]
	if s.n != n || s.size != p.size || p.at-s.at >= again {
		*s = surged{n, p.at, p.size, bytes(max(p.size, min(p.quantile(n), int64(n)*p.size)))}
	}
	return s.bytes
}

// quantile adds n of the distribution up.
func (p *spikes) quantile(n int) int64 {
	const bins = len(p.bins)
	var one [bins + 1]float64
	for i, seen := range p.bins {
		one[i+1] = seen / p.looks
	}
	if p.unit > 0 {
		one[min((p.size-1)/p.unit+1, int64(bins))] += 1e-4 // no look meets the largest
	}
	one[0] = 1
	for _, part := range one[1:] {
		one[0] -= part
	}
	var sum, next [bins*many + 1]float64
	sum[0] = 1
	for k := range n {
		top := bins * k
		clear(next[:top+bins+1])
		for i, a := range sum[:top+1] {
			if a > 1e-12 {
				for j, b := range one {
					next[i+j] += a * b
				}
			}
		}
		sum, next = next, sum
	}
	above := 0.0
	for i := bins * n; i > 0; i-- {
		if above += sum[i]; above > rare {
			return bytes(int64(i) * p.unit)
		}
	}
	return 0
}

// surge is what all workers may have for a moment at once, with one more of type
// kind.
func (s *State) surge(kind int) (sum int64) {
	for i := range s.types {
		n := s.types[i].wanted
		if i == kind {
			n++
		}
		sum = plus(sum, s.types[i].spikes.surge(n))
	}
	return sum
}

// passing is what a worker has for a moment just now: part of a surge.
func (s *State) passing(w *Worker, k *track) int64 {
	if !k.begun || w.Phase != Ready {
		return 0
	}
	return max(0, min(bytes(w.Cost)-k.keeps(), s.types[w.Type].spikes.size))
}

// cramped says whether what workers are known to take for a moment at once has had
// no room for half a minute, or since the limit was lowered.
func (s *State) cramped(l *look) bool {
	if l.surge = s.surge(-1); plus(l.available, l.passing) >= l.surge {
		s.fitted = l.now
		return false
	}
	return l.now-s.fitted >= 30*time.Second || s.lowered > s.fitted
}
