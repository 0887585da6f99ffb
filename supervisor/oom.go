package supervisor

import (
	"fmt"
	"time"

	"github.com/memsup/memsup/cost"
)

// noteOOM tells of kills that no worker's end explains. The kernel counts a kill
// before the process has ended, so a worker has a moment to be reaped first, and its
// descendants to be missed: of those the kernel says nothing to memsup.
func (s *supervisor) noteOOM(now time.Duration) {
	kills := s.mem.OOMKills - s.oomSeen
	if kills <= 0 {
		s.oomClear, s.oomSince = now, 0
		return
	}
	if s.oomSince == 0 {
		s.oomSince = now
	}
	waited := now - s.oomSince
	if waited < oomPatience {
		return
	}
	if m := s.meter; m != nil && waited < 2*oomPatience {
		if !m.busy && m.last < s.oomSince+oomPatience {
			s.ask(now)
		}
		if m.busy {
			return
		}
	}
	s.tellOOM(now, kills)
}

// lastOOM tells of kills that memsup had no time to explain before its end. As its own
// process may be gone with the container's in a moment, it waits no longer than that.
func (s *supervisor) lastOOM() {
	if !s.memOK || s.c.Command != nil && s.code == 0 {
		return
	}
	m, err := s.sys.memory()
	if err != nil || m.OOMKills <= s.oomSeen {
		return
	}
	if s.oomSince == 0 {
		s.oomThen = s.memoryFields()
	}
	s.mem = m
	if s.meter != nil {
		if !s.meter.busy {
			s.ask(s.now())
		}
		select {
		case a := <-s.meter.results():
			s.sampled(a)
		case <-time.After(moment):
		}
	}
	s.tellOOM(s.now(), m.OOMKills-s.oomSeen)
}

// tellOOM tells of kills that no worker's end explains, and whose processes they took
// as far as that can be known.
func (s *supervisor) tellOOM(now time.Duration, kills int64) {
	text := "the kernel killed a process for memory: no worker itself, but a descendant of one or a process from outside"
	var fields []any
	if w := s.loser(); w != nil {
		text = "the kernel killed a process of " + w.name + " for memory"
		fields = append(fields, "pid", w.lost.PID, "its size", mib(w.lost.Bytes))
		said := fmt.Sprintf("the kernel killed its process %d (%s) for memory", w.lost.PID, mib(w.lost.Bytes))
		if w.lost.Target == w.before {
			said = w.lastExit + "; " + said
		}
		w.lastExit = said
	}
	fields = append(append(fields, s.oomThen...), "kills", kills)
	s.log.error(text, fields...)
	s.testify(text, fields)
	s.oomSeen, s.oomSince, s.oomClear = s.mem.OOMKills, 0, now
}

const oomPatience = time.Second

// oomDue is when noteOOM has to be asked again while a kill is unexplained.
func (s *supervisor) oomDue(now time.Duration) time.Duration {
	due := s.oomSince + oomPatience
	if now >= due {
		due += oomPatience // for a meter that hangs
	}
	return due
}

// missed notes a process that a worker's tree has lost.
func (s *supervisor) missed(l cost.Loss, at time.Duration) {
	for t := range s.everyType() {
		for w := range t.all() {
			if l.Target != w.pid && l.Target != w.before {
				continue
			}
			if w.lostAt <= s.oomClear || l.Bytes > w.lost.Bytes {
				w.lost, w.lostAt = l, at
			}
			return
		}
	}
}

// loser is the worker that lost the largest process while the kernel killed one, nil
// where none lost any. One that ended by itself meanwhile comes after those that did not: its
// end takes its other processes along.
func (s *supervisor) loser() (loser *worker) {
	for t := range s.everyType() {
		for w := range t.all() {
			lives := w.alive() && w.lost.Target == w.pid
			switch {
			case w.lostAt <= s.oomClear || w.state == stopping || !lives && w.lost.Target != w.before:
			case loser == nil, lives && loser.lost.Target != loser.pid,
				lives == (loser.lost.Target == loser.pid) && w.lost.Bytes > loser.lost.Bytes:
				loser = w
			}
		}
	}
	return loser
}
