package main

import (
	"math"
	"time"

	"github.com/memsup/memsup/sim"
)

// pool is a master that keeps a number of workers: where one ends, it starts
// another.
type pool struct {
	want int
}

func (p *pool) Begin(*sim.Container) {}

func (p *pool) Ended(*sim.Container, *sim.Worker, sim.End) {}

func (p *pool) Look(c *sim.Container) time.Duration {
	p.fill(c)
	return time.Hour
}

// fill starts who is missing. One that is stopping still has its place.
func (p *pool) fill(c *sim.Container) {
	for len(c.Workers()) < p.want {
		c.Start(0, 0)
	}
}

// heart beats every so often, however often somebody looks.
type heart struct{ next time.Duration }

func (h *heart) beats(c *sim.Container, every time.Duration) bool {
	if c.Now() < h.next {
		return false
	}
	h.next = c.Now() + every
	return true
}

func (h *heart) wait(c *sim.Container) time.Duration { return h.next - c.Now() }

// running are the workers that are not stopping.
func running(c *sim.Container) int {
	n := 0
	for _, w := range c.Workers() {
		if !w.Stopping() {
			n++
		}
	}
	return n
}

// oldest is the worker that has run longest and is not stopping.
func oldest(c *sim.Container) *sim.Worker {
	for _, w := range c.Workers() {
		if !w.Stopping() {
			return w
		}
	}
	return nil
}

// fixed keeps a number of each type.
type fixed struct{ counts []int }

func (f *fixed) Begin(*sim.Container) {}

func (f *fixed) Ended(*sim.Container, *sim.Worker, sim.End) {}

func (f *fixed) Look(c *sim.Container) time.Duration {
	for kind, want := range f.counts {
		n := 0
		for _, w := range c.Workers() {
			if w.Type == kind {
				n++
			}
		}
		for ; n < want; n++ {
			c.Start(kind, 0)
		}
	}
	return time.Hour
}

// maxRequests is gunicorn's --max-requests with --max-requests-jitter: a worker
// ends when it has served that many, and a random number up to the jitter more,
// and the arbiter starts another.
// https://docs.gunicorn.org/en/stable/settings.html#max-requests
type maxRequests struct {
	pool
	requests, jitter int
	limits           map[*sim.Worker]float64
}

func (m *maxRequests) Begin(*sim.Container) { m.limits = map[*sim.Worker]float64{} }

func (m *maxRequests) Ended(_ *sim.Container, w *sim.Worker, _ sim.End) { delete(m.limits, w) }

func (m *maxRequests) Look(c *sim.Container) time.Duration {
	m.fill(c)
	for _, w := range c.Workers() {
		limit, known := m.limits[w]
		if !known {
			limit = float64(m.requests + c.Rand().IntN(m.jitter+1))
			m.limits[w] = limit
		}
		if w.Served() >= limit && !w.Stopping() {
			c.Stop(w)
		}
	}
	return time.Second
}

// maxMemory is Celery's worker_max_memory_per_child: a child is replaced after the
// task with which it came to that much resident memory. billiard asks getrusage,
// so that the highest that it ever had counts.
// https://docs.celeryq.dev/en/stable/userguide/configuration.html#worker-max-memory-per-child
type maxMemory struct {
	pool
	bytes int64
}

func (m *maxMemory) Look(c *sim.Container) time.Duration {
	m.fill(c)
	for _, w := range c.Workers() {
		if w.Serving() && w.MaxRSS() >= m.bytes {
			c.Stop(w)
		}
	}
	return time.Second
}

// workerKiller is puma_worker_killer: every frequency seconds, where all processes
// together use more than a part of the RAM, the largest worker gets SIGTERM; and
// in a rolling restart all of them do, a minute apart.
// https://www.rubydoc.info/gems/puma_worker_killer
type workerKiller struct {
	pool
	percent   float64
	frequency time.Duration
	rolling   time.Duration

	next, roll time.Duration
	before     time.Duration // the workers that are older than it are restarted
}

func (k *workerKiller) Begin(c *sim.Container) { k.next, k.roll, k.before = 0, c.Now()+k.rolling, 0 }

func (k *workerKiller) Look(c *sim.Container) time.Duration {
	k.fill(c)
	now := c.Now()
	if now >= k.next {
		k.next = now + k.frequency
		if float64(c.Anon()) > k.percent*float64(c.Limit()) {
			var largest *sim.Worker
			for _, w := range c.Workers() {
				if !w.Stopping() && (largest == nil || w.RSS() > largest.RSS()) {
					largest = w
				}
			}
			if largest != nil {
				c.Stop(largest)
			}
		}
	}
	if now >= k.roll {
		if k.before == 0 {
			k.before = now
		}
		w := oldest(c)
		if w != nil && w.Since < k.before {
			c.Stop(w)
			k.roll = now + time.Minute
		} else {
			k.before, k.roll = 0, now+k.rolling
		}
	}
	return min(k.next, k.roll) - now
}

// autoTune is puma_auto_tune, its rules for RAM: it adds a worker while another
// one as small as the smallest would fit; above the RAM it restarts the largest,
// and for reap_duration after either it removes a worker each time that memory is
// above it, and never has as many again. What processes share counts once here,
// which is more than get_process_mem knows.
// https://github.com/schneems/puma_auto_tune
type autoTune struct {
	ram             float64 // part of the limit
	frequency, reap time.Duration

	heart
	want, most int
	until      time.Duration // the reap cycle's end
}

func (a *autoTune) Begin(*sim.Container) {
	a.heart, a.want, a.most, a.until = heart{}, 1, math.MaxInt, 0
}

func (a *autoTune) Ended(*sim.Container, *sim.Worker, sim.End) {}

func (a *autoTune) Look(c *sim.Container) time.Duration {
	if a.beats(c, time.Second) {
		a.next = c.Now() + a.cycle(c)
	}
	for len(c.Workers()) < a.want {
		c.Start(0, 0)
	}
	return a.wait(c)
}

// cycle looks once and says how long the next look is away.
func (a *autoTune) cycle(c *sim.Container) time.Duration {
	memory, ram := float64(c.Anon()), a.ram*float64(c.Limit())
	var smallest, largest *sim.Worker
	for _, w := range c.Workers() {
		if w.Stopping() {
			memory -= float64(w.Private()) // it reports none once it was told
			continue
		}
		if smallest == nil || w.Private() < smallest.Private() {
			smallest = w
		}
		if largest == nil || w.Private() > largest.Private() {
			largest = w
		}
	}
	switch n := running(c); {
	case smallest == nil:
	case c.Now() < a.until:
		if memory > ram && n > 1 {
			a.most, a.want = n, n-1
			c.Stop(largest)
			a.until = c.Now() + a.reap
		}
		return time.Second
	case memory > ram && n > 1:
		c.Stop(largest)
		a.until = c.Now() + a.reap
		return time.Second
	case memory <= ram && memory+float64(smallest.Private()) < ram && n+1 < min(a.most, c.Types()[0].Max+1):
		a.want = n + 1
		a.until = c.Now() + a.reap
		return time.Second
	}
	return a.frequency
}

// dynamic is php-fpm's pm = dynamic: once a second, where fewer are idle than
// min_spare_servers, it starts as many as are missing, at first one, then twice as
// many each second up to 32; where more than max_spare_servers are, it stops the
// one that has run longest. And pm.max_requests.
// https://www.php.net/manual/en/install.fpm.configuration.php
type dynamic struct {
	children, start, least, most int
	requests                     float64

	heart
	rate    int
	surplus map[*sim.Worker]bool // stopped for being idle: it is not replaced
}

func (d *dynamic) Begin(c *sim.Container) {
	d.heart, d.rate, d.surplus = heart{}, 1, map[*sim.Worker]bool{}
	for range d.start {
		c.Start(0, 0)
	}
}

func (d *dynamic) Ended(c *sim.Container, w *sim.Worker, _ sim.End) {
	if !d.surplus[w] {
		c.Start(0, 0)
	}
	delete(d.surplus, w)
}

func (d *dynamic) Look(c *sim.Container) time.Duration {
	if !d.beats(c, time.Second) {
		return d.wait(c)
	}
	idle := 0
	for _, w := range c.Workers() {
		if w.Serving() && d.requests > 0 && w.Served() >= d.requests {
			c.Stop(w)
		} else if w.Serving() && c.Rand().Float64() >= w.Busy() {
			idle++
		}
	}
	n := len(c.Workers())
	switch {
	case idle > d.most:
		if w := oldest(c); w != nil {
			d.surplus[w] = true
			c.Stop(w)
		}
		d.rate = 1
	case idle < d.least && n < d.children:
		for range min(d.rate, d.least-idle, d.children-n) {
			c.Start(0, 0)
		}
		d.rate = min(2*d.rate, 32)
	default:
		d.rate = 1
	}
	return d.wait(c)
}
