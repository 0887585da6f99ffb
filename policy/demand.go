package policy

import (
	"fmt"
	"time"
)

// Demand is what tells how many workers of a type are wanted. Memory stays the
// ceiling.
type Demand uint8

const (
	NoDemand Demand = iota // as many as memory holds
	Backlog                // connections that wait to be accepted
	Busyness               // how much of a processor the workers use
	Number                 // somebody names the number
)

// String is the word of memsup.toml.
func (d Demand) String() string {
	switch d {
	case Backlog:
		return "backlog"
	case Busyness:
		return "cpu"
	case Number:
		return "command"
	default:
		return "none"
	}
}

// MarshalText is String.
func (d Demand) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText takes what String gives.
func (d *Demand) UnmarshalText(text []byte) error {
	return word(d, text, NoDemand, Backlog, Busyness, Number)
}

// Measure is what was measured of the demand for one type.
type Measure struct {
	// Waiting is how many connections wait in the accept queues of the type's
	// sockets, and Room how many these hold: tcpi_unacked and tcpi_sacked of a
	// listening TCP socket. A Room of zero is not measured.
	Waiting, Room int
	// Busy is the mean share of one processor that the type's ready workers
	// used over some seconds, in thousandths; for Backlog and Busyness.
	Busy int64
	// Number is how many workers are wanted.
	Number int
	// At is when Busy or Number was measured; zero is not measured.
	At time.Duration
}

const (
	// From a mean of busy on, in thousandths of what one worker can use, one
	// more is wanted. With one fewer it must be under relaxed: at any load two
	// numbers of workers are at rest.
	busy, relaxed = 800, 600
	// spareCPU is what must be left of the CPUs for one more worker to help, in
	// thousandths of what one can use.
	spareCPU = 250
	// queues is how long connections must wait without becoming fewer.
	queues = time.Second
	// patience is how long fewer workers must have sufficed before one goes, and
	// step how long after that until the next one does.
	patience, step = 5 * time.Minute, time.Minute
	// regret is how soon after one went an up says that this was wrong.
	regret = 30 * time.Minute
	// stale is how long a measurement is believed.
	stale = time.Minute
)

// demand is what is remembered of the demand for one type.
type demand struct {
	asked
	at    time.Duration // of the measurement that was last taken in
	load  int64         // thousandths of a processor; less than zero is not known
	over  int           // measurements in a row that asked for more
	first int           // connections that waited when these began to
	since time.Duration // and when that was; zero is none waits

	more bool // one more is wanted
	need int  // so many suffice

	low      bool // fewer have sufficed
	lowSince time.Duration
	most     int // of them, at most

	went bool // the last thing that demand did was to stop one
	last time.Duration
	hold backoff // before the next one is stopped
}

// asked is the demand of one look, to be put in words.
type asked struct {
	by      Demand
	known   bool
	workers int // ready ones
	Measure
	waited           time.Duration
	cpuUsed, cpuFull int64 // cpuFull is above zero where more workers would not help
}

// weigh finds out for each type what its demand asks for.
func (s *State) weigh(l *look) {
	for i := range s.types {
		t := &s.types[i]
		d := &t.demand
		if by := l.c.Types[i].Demand; d.by != by {
			*d = demand{asked: asked{by: by}, load: -1}
		}
		if d.by == NoDemand {
			continue
		}
		d.Measure = Measure{}
		if i < len(l.o.Demand) {
			d.Measure = l.o.Demand[i]
		}
		if d.workers != t.ready {
			// What was seen of another number of workers says little of these.
			d.workers, d.over, d.since = t.ready, 0, 0
		}
		d.known, d.more, d.need, d.waited = d.At > 0 && l.now-d.At <= stale, false, 0, 0
		switch d.by {
		case Backlog:
			d.suffice(l, t)
			d.queue(l, t)
		case Busyness:
			d.suffice(l, t)
			d.more = d.known && d.over >= 2 && d.cpuFull == 0
		case Number:
			d.need = d.Measure.Number
			d.more = d.known && d.need > t.wanted
		}
		switch {
		case !d.known || d.need >= t.wanted:
			d.low = false
		case !d.low:
			d.low, d.lowSince, d.most = true, l.now, d.need
		default:
			d.most = max(d.most, d.need)
		}
	}
}

// suffice finds how many workers are needed for each to be under relaxed.
func (d *demand) suffice(l *look, t *typeState) {
	one := int64(1000)
	d.cpuFull = 0
	if limit := l.o.CPULimit; limit > 0 {
		one = min(one, limit)
		if d.cpuUsed = l.o.CPUUsed; limit-d.cpuUsed < one*spareCPU/1000 {
			d.cpuFull = limit
		}
	}
	if d.At != d.at {
		d.at, d.load = d.At, min(bytes(d.Busy), 1<<20)*int64(t.ready)
		d.over++
		if d.Busy < one*busy/1000 {
			d.over = 0
		}
	}
	switch {
	case !d.known || d.load < 0:
	case d.cpuFull > 0:
		d.need = t.wanted
	default:
		d.need = int(d.load/max(1, one*relaxed/1000)) + 1
	}
}

// queue judges the accept queue: one more worker is wanted when connections wait
// for some looks in a row, and do not become fewer by a quarter. Where none
// waits, nothing tells how many workers that takes but trying one fewer; how busy
// they are tells when not to try.
func (d *demand) queue(l *look, t *typeState) {
	d.known = d.Room > 0
	if d.Waiting <= 0 || !d.known {
		d.over, d.since = 0, 0
		return
	}
	d.need = max(d.need, t.wanted)
	if d.since == 0 || d.Waiting < d.first-d.first/4 {
		d.over, d.first, d.since = 0, d.Waiting, max(1, l.now)
	}
	d.over++
	d.waited = max(0, l.now-d.since)
	d.more = d.over >= 3 && d.waited >= queues
}

// giveBack stops a worker of a type for which fewer have sufficed for long, one
// at a time, the lowest priority first. What that gives back is nobody's fault:
// it makes no up wait.
func (s *State) giveBack(l *look) {
	if len(s.actions) > 0 || l.starting > 0 || l.stopping > 0 {
		return
	}
	best := s.yields(l.c, func(i int) bool {
		t := &s.types[i]
		d := &t.demand
		return d.low && t.wanted > t.low && t.live >= t.wanted && l.now-d.lowSince >= patience && d.hold.left(l.now) == 0
	})
	if best < 0 {
		return
	}
	t := &s.types[best]
	d := &t.demand
	i, because := s.pick(l.o, best, nil)
	w := &l.o.Workers[i]
	s.chosen = s.chosen[:0]
	s.drop(l, i, fmt.Sprintf("demand: %s; %s", d.little(period(l.now-d.lowSince)), s.goes(l, w, because)))
	d.went, d.last = true, l.now
	if d.lowSince = l.now - patience + step; d.most >= t.wanted {
		d.low = false
	}
}

// follow notes an up of the type: where demand took one away not long before,
// that was wrong, and it is not tried again so soon. A number that is named is
// another matter.
func (d *demand) follow(now time.Duration) {
	if d.went && d.by != Number && now-d.last < regret {
		d.hold.raise(now, 2*patience, time.Hour)
	}
	d.went = false
}

// undemanded is that demand asks for no more workers of the type. What is below
// its minimum is not asked.
func (t *typeState) undemanded() Block {
	if t.demand.by == NoDemand || t.demand.more || t.wanted < t.low {
		return Block{}
	}
	return Block{why: noDemand, asked: t.demand.asked}
}

// because is the first part of an up's reason.
func (d *demand) because() string {
	if !d.more {
		return ""
	}
	return "demand: " + d.asked.String() + "; "
}

// little is a down's reason, after a time of little demand.
func (d *demand) little(time string) string {
	switch d.by {
	case Backlog:
		return "no connection waited in " + time
	case Busyness:
		return fmt.Sprintf("%s, and %d would have done for %s", d.asked, d.most, time)
	default:
		return fmt.Sprintf("at most %d wanted for %s", d.most, time)
	}
}

// String says it in words and numbers.
func (a asked) String() string {
	switch {
	case a.by == NoDemand:
		return ""
	case !a.known:
		return "not known"
	case a.by == Number:
		return fmt.Sprintf("%d wanted", a.Number)
	case a.by == Backlog && a.Waiting <= 0:
		return "no connection waits"
	case a.by == Backlog:
		text := count(a.Waiting, "connection") + " waiting"
		if a.waited > 0 {
			text += " for " + period(a.waited)
		}
		return text + fmt.Sprintf(", the queue holds %d", a.Room)
	}
	text := fmt.Sprintf("%s busy %d%%", count(a.workers, "worker"), a.Busy/10)
	if a.cpuFull > 0 {
		text += fmt.Sprintf(", and %.1f of %.1f CPUs are used", float64(a.cpuUsed)/1000, float64(a.cpuFull)/1000)
	}
	return text
}

// Demanded is in words what is known of the demand for type t; empty where
// memory alone decides.
func (s *State) Demanded(t int) string {
	if !s.has(t) {
		return ""
	}
	return s.types[t].demand.asked.String()
}

// latest is how long the next look may be away for demand: a queue that forms is
// to be seen forming.
func (s *State) latest(otherwise time.Duration) time.Duration {
	for i := range s.types {
		t := &s.types[i]
		if t.demand.by != Backlog || t.low >= t.high {
			continue
		}
		otherwise = min(otherwise, queues)
		if t.demand.since > 0 && !t.demand.more {
			otherwise = min(otherwise, queues/4)
		}
	}
	return otherwise
}
