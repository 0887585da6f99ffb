package policy

import "time"

// sample is what one look found.
type sample struct {
	at              time.Duration
	used, available int64
	// taken is what starting workers took, of what they had been promised,
	// since the sample before.
	taken int64
}

// history holds the last looks, oldest first.
type history struct {
	samples [64]sample
	n       int
	limit   int64 // that all of them were taken under
	// fastest is the fastest that memory was seen going, in bytes a second; it
	// halves every ten minutes.
	fastest float64
	halved  time.Duration
}

// closest is the least time between two samples: an event may cause many looks
// within a moment, and a rate over a moment says nothing.
const closest = 25 * time.Millisecond

func (h *history) add(now sample) {
	if h.n > 0 && now.at < h.samples[h.n-1].at {
		h.n = 0
	}
	if h.n > 1 && now.at-h.samples[h.n-2].at < closest || h.n > 0 && now.at == h.samples[h.n-1].at {
		now.taken = plus(now.taken, h.samples[h.n-1].taken)
		h.n--
	}
	if h.n == len(h.samples) {
		copy(h.samples[:], h.samples[1:])
		h.n--
	}
	h.samples[h.n] = now
	h.n++
	if now.at-h.halved >= decay {
		h.fastest, h.halved = h.fastest/2, now.at
	}
	h.fastest = max(h.fastest, h.step())
}

// step is how fast memory went between the last two samples, in bytes a second.
func (h *history) step() float64 {
	if h.n < 2 {
		return 0
	}
	a, b := &h.samples[h.n-2], &h.samples[h.n-1]
	if b.at-a.at < closest {
		return 0
	}
	return perSecond(a.available-b.available, b.at-a.at)
}

// under starts anew where the limit is another one: what is available moved with
// it, and nobody took that.
func (h *history) under(limit int64) {
	if limit != h.limit {
		h.n, h.limit = 0, limit
	}
}

// fall returns how fast memory has been going since an instant, in bytes a
// second; zero where the samples do not agree that it is. Net leaves out what
// starting workers took of what they had been promised.
//
// A rate needs three samples: the slower half of the span between the first and
// the last of them counts, and in its second half the most that was free, so
// that neither wrong readings nor one large allocation make a trend; for the
// same reason a half that is no quarter of the span tells nothing. The rate is
// believed for four times as long as it was seen, and only while memory still
// goes.
func (h *history) fall(net bool, since time.Duration) float64 {
	if h.n < 3 {
		return 0
	}
	last := h.n - 1
	var free [len(h.samples)]int64
	var taken int64
	for i := last; i >= 0; i-- {
		free[i] = h.samples[i].available - taken
		if net {
			taken += h.samples[i].taken
		}
	}
	if free[last-1] <= free[last] {
		return 0
	}
	at := func(i int) time.Duration { return h.samples[i].at }
	best, most := 0.0, free[last-1]
	for i, middle := last-2, last-1; i >= 0 && at(i) >= since; i-- {
		for half := (at(i) + at(last)) / 2; middle > i+1 && at(middle-1) >= half; {
			middle--
			most = max(most, free[middle])
		}
		first, second := at(middle)-at(i), at(last)-at(middle)
		if 3*first < second || 3*second < first {
			continue
		}
		rate := min(perSecond(free[i]-most, first), perSecond(free[middle]-free[last], second))
		seen := (at(last) - at(i)).Seconds()
		if rate > best && 4*rate*seen >= float64(free[last]) {
			best = rate
		}
	}
	return best
}

// highest is the largest use in bytes among the last eight samples and those of
// the last two seconds.
func (h *history) highest(now time.Duration) int64 {
	var used int64
	for i := h.n - 1; i >= 0 && (i >= h.n-8 || now-h.samples[i].at <= 2*time.Second); i-- {
		used = max(used, h.samples[i].used)
	}
	return used
}

func perSecond(n int64, d time.Duration) float64 { return float64(n) / d.Seconds() }
