package sim

import "time"

// flow lets requests arrive, wait and be served for a time. It is a fluid: rates,
// no single requests.
func (c *Container) flow(d time.Duration) {
	seconds := d.Seconds()
	starting := 0.0
	for i := range c.services {
		c.services[i].serving = 0
	}
	for _, w := range c.live {
		if w.serving {
			c.services[w.Type].serving++
		} else if w.progress < 1 && w.ends == 0 {
			starting++
		}
	}
	c.r.Alive += float64(len(c.live)) * seconds
	for i := range c.services {
		c.r.Serving += float64(c.services[i].serving) * seconds
	}
	demand := starting
	for i := range c.services {
		v := &c.services[i]
		v.arrive, _ = v.Load.at(c.now + d/2)
		v.desired = min(v.arrive+v.queue/seconds, float64(v.serving)*v.most)
		demand += v.desired * v.cpu
	}
	cpus := c.s.CPUs * (1 - c.Pressure())
	c.slowed = 1
	if demand > cpus {
		c.slowed = cpus / demand
	}
	for i := range c.services {
		v := &c.services[i]
		v.rate = v.desired
		if v.cpu > 0 {
			v.rate *= c.slowed
		}
		done := v.rate * seconds
		c.r.Served[i] += done
		c.r.Work += done * v.wall * v.weight
		c.r.Arrived += v.arrive * seconds
		c.enqueue(v, d, v.arrive*seconds-done)
	}
	for _, w := range c.live {
		v := &c.services[w.Type]
		switch {
		case !w.serving:
			if w.ends == 0 {
				w.busy = 0
			}
		case v.queue > 0:
			w.busy = 1
		default:
			wall := v.wall + v.cpu*(1/c.slowed-1)
			w.busy = min(1, v.rate*wall/(float64(v.serving)*v.threads))
		}
	}
}

// enqueue changes a type's queue by a number of requests. Those that find it full
// are lost, and those that would wait longer than a client does.
func (c *Container) enqueue(v *service, d time.Duration, more float64) {
	v.queue = max(0, v.queue+more)
	if v.queue < 1e-6 {
		v.queue = 0
	}
	if full := v.queue - float64(v.Queue); full > 0 {
		c.r.Lost.Full += full
		v.queue -= full
	}
	if v.Timeout <= 0 {
		return
	}
	longest := v.queue
	switch {
	case v.rate > 0:
		v.stalled = 0
		longest = v.rate * v.Timeout.Seconds()
	default:
		if v.stalled += d; v.stalled > v.Timeout {
			longest = v.arrive * v.Timeout.Seconds()
		}
	}
	if late := v.queue - longest; late > 0 {
		c.r.Lost.Waited += late
		v.queue -= late
	}
}
