package policy

import "time"

// backoff is a wait that doubles each time it is raised, and halves for each
// ten minutes, or as much as it was itself, that pass after its end.
type backoff struct {
	wait  time.Duration
	until time.Duration
}

const decay = 10 * time.Minute

// raise starts the next wait: first, then twice the one before, at most limit.
func (b *backoff) raise(now, first, limit time.Duration) {
	wait := b.wait
	if idle := now - b.until; idle > 0 {
		wait >>= min(idle/max(decay, b.wait), 62)
	}
	b.wait = max(first, min(2*wait, limit))
	b.until = now + b.wait
}

// left is what remains of the wait.
func (b *backoff) left(now time.Duration) time.Duration { return max(0, b.until-now) }
