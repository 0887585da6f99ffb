package supervisor

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/policy"
	"github.com/memsup/memsup/procfile"
)

// demand is what was measured of the demand for one type.
type demand struct {
	policy.Measure
	due     time.Duration // when the command is run next
	running bool
	failing bool
}

// demands is what is measured for all types together.
type demands struct {
	any, busy bool          // something is; how busy the workers are is
	from      time.Duration // the window of busyness began; zero is not yet
}

const (
	// busyWindow is over how long the workers' use of the CPUs is averaged: a
	// clock tick is 10 ms, and a request may take many of them.
	busyWindow = 5 * time.Second
	// A command that names the number is run so often, and may take so long.
	demandPause, demandTimeout = 10 * time.Second, 10 * time.Second
)

// mark is where a worker was when the window of busyness began.
type mark struct {
	at, cpu time.Duration
	ready   bool
}

// ranged says whether there is anything to decide of a type.
func (s *supervisor) ranged(t *processType) bool {
	lo, hi := s.rangeOf(t)
	return lo < hi
}

// fillDemand writes the observation's part about demand.
func (s *supervisor) fillDemand() {
	o := &s.obs
	o.Demand, o.CPULimit = o.Demand[:0], s.cpu.Limit
	if !s.demand.any {
		return
	}
	for _, t := range s.types {
		m := t.demand.Measure
		if t.Demand == policy.Backlog {
			var err error
			if m.Waiting, m.Room, err = t.backlog(); err != nil {
				s.once("backlog", "cannot tell how many connections wait", "type", t.Name, "error", err)
			}
		}
		o.Demand = append(o.Demand, m)
	}
}

// backlog is how many connections wait on a listening TCP socket and how many
// may: TCP_INFO tells it as tcpi_unacked and tcpi_sacked.
func backlog(fd int) (waiting, room int, err error) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, 0, os.NewSyscallError("getsockopt(TCP_INFO)", err)
	}
	return int(info.Unacked), int(info.Sacked), nil
}

// measureBusy ends the window of busyness where it has lasted, and begins the
// next one. All workers were measured at an instant.
func (s *supervisor) measureBusy(at time.Duration) {
	dt := at - s.demand.from
	if !s.demand.busy || s.demand.from > 0 && dt < busyWindow {
		return
	}
	var all time.Duration
	for _, t := range s.types {
		var used time.Duration
		n := 0
		for w := range t.all() {
			if w.keeps() || !w.alive() || !w.measured || w.sampledAt != at {
				continue
			}
			if w.mark.at == s.demand.from && s.demand.from > 0 {
				cpu := max(0, w.cpuTime-w.mark.cpu)
				all += cpu
				if w.mark.ready && w.state == ready {
					used += cpu
					n++
				}
			}
			w.mark = mark{at, w.cpuTime, w.state == ready}
		}
		if n > 0 && (t.Demand == policy.Backlog || t.Demand == policy.Busyness) {
			t.demand.Busy, t.demand.At = int64(used)*1000/int64(dt)/int64(n), at
		}
	}
	if s.demand.from > 0 {
		s.obs.CPUUsed = int64(all) * 1000 / int64(dt)
	}
	s.demand.from = at
}

// inquire runs the commands that name how many workers are wanted.
func (s *supervisor) inquire(now time.Duration) {
	if s.ending || !s.watches() || !s.demand.any {
		return
	}
	for _, t := range s.types {
		d := t.demand
		if t.Demand != policy.Number || d.running || now < d.due || !s.ranged(t) {
			continue
		}
		d.due = now + demandPause
		name, command := t.Name, t.DemandCommand
		env, err := s.errandEnvironment(t)
		if err == nil {
			d.running = true
			err = s.send(t, command, env, demandTimeout, func(answer string, err error) { s.demanded(name, command, d, answer, err) })
		}
		if err != nil {
			s.demanded(name, command, d, "", err)
		}
	}
}

// errandEnvironment is what a worker of the type would be given, but for what
// speaks to one process alone.
func (s *supervisor) errandEnvironment(t *processType) ([]string, error) {
	return s.environmentBeside(&worker{typ: t, index: 1, name: t.Name})
}

// demanded takes in a command's answer. An error is said once until it is well
// again; the number from before is believed for a while yet.
func (s *supervisor) demanded(name, command string, d *demand, answer string, err error) {
	d.running = false
	if s.ending {
		return
	}
	n := 0
	if err == nil {
		n, err = parseDemand(answer)
	}
	switch {
	case err != nil && !d.failing:
		s.log.warn("cannot tell how many workers are wanted of "+name, "command", command, "error", err)
	case err == nil && d.failing:
		s.log.info("can tell again how many workers are wanted of "+name, "wanted", n)
	}
	if d.failing = err != nil; d.failing {
		return
	}
	d.Number, d.At = n, s.now()
	s.decide = true
}

func parseDemand(answer string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(answer))
	switch {
	case err != nil:
		return 0, fmt.Errorf(`it printed "%s"; it is to print one whole number`, lastLine(answer))
	case n < 0:
		return 0, fmt.Errorf("it printed %d; it is to print 0 or more", n)
	}
	return n, nil
}

// nextDemand is when the loop has to wake for a command: to run it, or to kill it.
func (s *supervisor) nextDemand(next time.Duration) time.Duration {
	for _, e := range s.errands.byPID {
		if !e.killed {
			next = min(next, e.until)
		}
	}
	if s.ending || !s.watches() || !s.demand.any {
		return next
	}
	for _, t := range s.types {
		if t.Demand == policy.Number && !t.demand.running && s.ranged(t) {
			next = min(next, t.demand.due)
		}
	}
	return next
}

// crowded says whether one more process of the type would pass a limit beside
// those that count: the policy counts who is wanted, and who is stopping may stay
// for as long as its drain.
func (s *supervisor) crowded(t *processType, counts func(*worker) bool) bool {
	for j := range s.c.Limits {
		if j >= len(t.Uses) || t.Uses[j] == 0 {
			continue
		}
		used := t.Uses[j]
		for _, other := range s.types {
			for w := range other.all() {
				if counts(w) && !w.keeps() && j < len(other.Uses) {
					used += other.Uses[j]
				}
			}
		}
		if used > s.c.Limits[j].Most {
			return true
		}
	}
	return false
}

// exceeds says whether the types' minima would pass a limit together if some were
// pinned, or their pins taken away (nil).
func (s *supervisor) exceeds(pins map[*processType]*procfile.Range) error {
	c := policy.Config{Limits: s.c.Limits}
	for _, t := range s.types {
		pin, given := pins[t]
		if !given {
			pin = t.pin
		}
		low := t.Range.Min
		if pin != nil {
			low = pin.Min
		}
		if t.stopped {
			low = 0
		}
		c.Types = append(c.Types, policy.Type{Name: t.Name, Min: low, Uses: t.Uses})
	}
	if j, uses, exceeded := c.Exceeded(); exceeded {
		return fmt.Errorf("%s is limited to %d, and the fewest workers would use %d", c.Limits[j].Name, c.Limits[j].Most, uses)
	}
	return nil
}
