package policy

import "time"

// doubt is whether what old workers of a type proved, that it leaks fast, is held of
// young ones as well. Where these are replaced before they are old, none shows that
// what grew was a cache which takes minutes to fill: now and then they are left until
// one is so old that it tells the two apart.
type doubt struct {
	held   bool
	open   bool    // they are left, where memory is not low
	next   backoff // until it opens
	until  time.Duration
	denied backoff // what is not held, as one was old and did not go on growing
	denies bool
}

// look opens and closes it. What is held is that the type leaks fast.
func (d *doubt) look(held bool, now time.Duration) {
	opens := held && d.held && d.next.left(now) == 0
	switch {
	case held && !d.held, d.open && now >= d.until:
		d.wait(now)
	case !d.open && opens:
		d.open, d.until = true, now+2*proof+time.Minute
	}
	d.held, d.open = held, d.open && held
	d.denies = d.denied.left(now) > 0
}

func (d *doubt) wait(now time.Duration) {
	d.open = false
	d.next.raise(now, 10*time.Minute, 24*time.Hour)
}

// answer takes what a worker shows that was left until it was twice as old as a proof
// asks: whether it goes on growing.
func (d *doubt) answer(leaks bool, now time.Duration) {
	if !d.open {
		return
	}
	d.wait(now)
	if !leaks {
		d.denied.raise(now, time.Hour, 24*time.Hour)
	}
}
