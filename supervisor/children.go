package supervisor

import (
	"time"

	"github.com/memsup/memsup/reaper"
)

// children hears of children that have ended. A goroutine of its own waits in
// waitid(2) and collects nothing: that is the loop's, which also starts them,
// so that no end is missed. SIGCHLD would tell the same, but the Go runtime
// runs a handler and wakes two goroutines for each one.
type children struct {
	remain bool // there is one, ended or not
	heard  chan struct{}
	listen chan struct{}
	asked  bool
	rest   time.Duration // the last one
	until  time.Duration // its end
}

// Orphans are in no hurry. After some were collected nobody listens for a
// while, which doubles as long as they keep coming: thousands of them then cost
// some hundred looks.
const shortestRest, longestRest = time.Millisecond, 20 * time.Millisecond

// hearChildren begins with nothing asked for. Its goroutine ends with the
// process: nothing calls it back from waitid.
func (s *supervisor) hearChildren() {
	reaper.Silence()
	c := &s.children
	c.heard, c.listen = make(chan struct{}), make(chan struct{}, 1)
	go func() {
		for range c.listen {
			if err := reaper.Await(s.tty); err != nil {
				time.Sleep(time.Second) // waitid is refused here: look now and then
			}
			c.heard <- struct{}{}
		}
	}()
}

// await has the next end of a child told, that of one which has ended already
// included.
func (c *children) await(now time.Duration) {
	if c.remain && !c.asked && now >= c.until {
		c.asked = true
		c.listen <- struct{}{}
	}
}

// reap collects every process that has ended.
func (s *supervisor) reap() {
	c := &s.children
	c.asked = false
	orphans := s.orphans
	remain, err := s.sys.reap(s.beforeReap(), s.ended)
	if err != nil {
		s.log.error("cannot wait for children", "error", err)
	}
	c.remain = remain
	if s.orphans != orphans {
		now := s.now()
		if now-c.until > longestRest {
			c.rest = 0
		}
		c.rest = min(max(2*c.rest, shortestRest), longestRest)
		c.until = now + c.rest
	}
	if s.tty {
		s.stoppedByTerminal()
	}
}
