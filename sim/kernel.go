package sim

import "fmt"

// killWhereFull is the kernel: while what is held passes the limit, at the end of
// the step or at the highest of the peaks in it, it kills the largest.
func (c *Container) killWhereFull() {
	for {
		all := 0.0
		for i := range c.peaks {
			all += c.peaks[i].size
		}
		if c.anon+all <= float64(c.limit) {
			return
		}
		top := 0.0
		for i := range c.peaks {
			at, sum := c.peaks[i].from, 0.0
			for j := range c.peaks {
				if p := &c.peaks[j]; p.from <= at && at < p.to {
					sum += p.size
				}
			}
			top = max(top, sum)
		}
		if c.anon+top <= float64(c.limit) {
			return
		}
		var victim *Worker
		size := 0.0
		for _, w := range c.live {
			if rss := w.own + w.shared + w.extra; victim == nil || rss > size {
				victim, size = w, rss
			}
		}
		if victim == nil {
			return
		}
		c.kills++
		c.r.Kills++
		if c.Recording() {
			c.Note("oom", fmt.Sprintf("%s.%d", c.s.Types[victim.Type].Name, victim.Index), fmt.Sprintf(
				"%d MiB and peaks of %d MiB: the kernel kills the largest, of %d MiB",
				int64(c.anon)>>20, int64(top)>>20, int64(size)>>20))
		}
		if c.s.OOMGroup {
			c.killAll()
			return
		}
		c.remove(victim, OOM)
		kept := c.peaks[:0]
		for _, p := range c.peaks {
			if p.w != victim {
				kept = append(kept, p)
			}
		}
		c.peaks = kept
		c.measure()
	}
}

// killAll is one kill with memory.oom.group: nothing is left.
func (c *Container) killAll() {
	for len(c.live) > 0 {
		w := c.live[len(c.live)-1]
		c.lose(w)
		c.live = c.live[:len(c.live)-1]
		c.spare = append(c.spare, w)
		c.stopped(w)
	}
	for i := range c.services {
		v := &c.services[i]
		c.r.Lost.Killed += v.queue
		v.queue, v.stalled = 0, 0
	}
	c.peaks = c.peaks[:0]
	c.down = c.now + anew
	c.measure()
}

// lose counts the requests that a worker dies with.
func (c *Container) lose(w *Worker) {
	if w.progress >= 1 {
		c.r.Lost.Killed += w.busy * c.services[w.Type].threads
	}
}
