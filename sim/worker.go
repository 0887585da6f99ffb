package sim

import "time"

// Worker is one process that serves requests of its type.
type Worker struct {
	Type  int // index in Scenario.Types
	Index int // as the controller numbers it, from 1
	Since time.Duration

	life     life
	serving  bool
	progress float64 // of its start, from 0 to 1
	ends     time.Duration
	end      End
	own      float64       // what the container would get back if it ended, in bytes, peaks left out
	shared   float64       // what it has in common with its master, in bytes
	extra    float64       // a peak of its memory, in bytes
	until    time.Duration // of the peak
	high     float64       // the most memory that it ever had, in bytes
	busy     float64       // its part of the time that it serves requests, from 0 to 1
	used     float64       // CPU time in seconds
}

// Serving says whether it takes requests: it has started and is not stopping.
func (w *Worker) Serving() bool { return w.serving }

// Stopping says whether it was told to stop, or killed.
func (w *Worker) Stopping() bool { return w.ends > 0 }

// Served is how many requests it has served.
func (w *Worker) Served() float64 { return w.life.served }

// Busy is the part of its places that are serving a request, from 0 to 1.
func (w *Worker) Busy() float64 { return w.busy }

// CPU is the CPU time that it has used.
func (w *Worker) CPU() time.Duration { return time.Duration(w.used * float64(time.Second)) }

// hold finds out what it holds now.
func (w *Worker) hold() {
	if w.progress < 1 {
		first := &w.life.points[0]
		w.own, w.shared = first.bytes*w.progress, first.shared
	} else {
		w.own, w.shared = w.life.bytes()
	}
	w.high = max(w.high, w.own+w.shared+w.extra)
}

// Private is what the container would get back if the worker ended, in bytes.
func (w *Worker) Private() int64 { return int64(w.own + w.extra) }

// RSS is its resident anonymous memory in bytes, what it shares with its master
// included.
func (w *Worker) RSS() int64 { return int64(w.own + w.shared + w.extra) }

// MaxRSS is the most that its RSS ever was, in bytes: getrusage's ru_maxrss.
func (w *Worker) MaxRSS() int64 { return int64(w.high) }
