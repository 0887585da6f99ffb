package budget

import (
	"fmt"
	"time"
)

// source tells levels where there is no cgroup file system. Asking it may take
// time, and it is asked by one goroutine.
type source interface {
	// ask answers by the deadline or soon after, by an error if need be, and does
	// what it can to be ready for the next question.
	ask(deadline time.Time) (answer, error)
	close()
}

// answer is what a source tells: levels in place of those of a cgroup, the
// process's own first, with the texts that the files would have.
type answer struct {
	levels []level
	quotas []quota
	notes  []Source
}

const (
	// patience is how long a source may take for an answer.
	patience = 2 * time.Second
	// moment is how long Read waits for one.
	moment = 20 * time.Millisecond
	// pause is how long Read waits for a source that takes longer, where the answer
	// before is too old to go by: it is read less often than that.
	pause = 250 * time.Millisecond
	// oldest is how old an answer Read goes by when none comes any more, and after
	// how long a source that did not answer is asked again.
	oldest = 10 * time.Second
)

// feed asks a source in a goroutine of its own. One question is under way at a
// time, and nothing is asked that nobody wants to know.
type feed struct {
	questions chan struct{}
	answers   chan answered
	ended     chan struct{}
	timer     *time.Timer
	wait      time.Duration // how long ask waits
	most      time.Duration // how long where answers take longer, and the last is too old
	asked     bool          // an answer is to come
	took      time.Duration // the last answer
	when      time.Time     // of the last question
	at        time.Time     // of the last good answer
	problem   error         // why there was none since
}

type answered struct {
	answer
	err error
	at  time.Time
}

func newFeed(s source) *feed {
	f := &feed{questions: make(chan struct{}, 1), answers: make(chan answered, 1), ended: make(chan struct{}), timer: time.NewTimer(0), wait: moment, most: pause}
	go func() {
		defer close(f.ended)
		defer s.close()
		for range f.questions {
			a, err := s.ask(time.Now().Add(patience))
			f.answers <- answered{a, err, time.Now()}
		}
	}()
	return f
}

// ask waits for a new answer and returns the newest one that came since
// the last call, if it is not too old. It is false where none did. Where the question
// before is still not answered it does not wait. Where that took longer than the wait
// it does not either, unless the last answer is too old: then it waits longer.
func (f *feed) ask() (a answer, ok bool) {
	if f.asked {
		select {
		case got := <-f.answers:
			a, ok = f.take(&got)
		default:
			return answer{}, false
		}
	}
	stale := time.Since(f.at) >= oldest
	ok = ok && !stale
	wait, slow := f.wait, f.took > f.wait
	if slow {
		wait = min(2*f.took, f.most)
	}
	f.question()
	if slow && !stale {
		return a, ok
	}
	if newer, good := f.await(wait); good {
		return newer, true
	}
	return a, ok
}

// await waits for the answer to the question that was asked. It is false where none comes,
// or one that is an error.
func (f *feed) await(wait time.Duration) (answer, bool) {
	f.timer.Reset(max(wait, 0))
	select {
	case got := <-f.answers:
		f.timer.Stop()
		return f.take(&got)
	case <-f.timer.C:
	}
	select {
	case got := <-f.answers: // it was there as well
		return f.take(&got)
	default:
		return answer{}, false
	}
}

func (f *feed) question() {
	f.questions <- struct{}{}
	f.asked, f.when = true, time.Now()
}

// poll returns a late answer, if there is one, and asks now and then for another.
// It does not wait.
func (f *feed) poll() (answer, bool) {
	if !f.asked && time.Since(f.when) >= oldest {
		f.question()
	}
	if f.asked {
		select {
		case got := <-f.answers:
			return f.take(&got)
		default:
		}
	}
	return answer{}, false
}

func (f *feed) take(got *answered) (answer, bool) {
	f.asked, f.took = false, got.at.Sub(f.when)
	if f.problem = got.err; got.err != nil {
		return answer{}, false
	}
	f.at = got.at
	return got.answer, true
}

// err is why there is no answer that is new enough to go by.
func (f *feed) err() error {
	switch age := time.Since(f.at); {
	case !f.at.IsZero() && age < oldest:
		return nil
	case f.problem != nil:
		return f.problem
	case f.at.IsZero():
		return fmt.Errorf("no answer within %s", patience)
	default:
		return fmt.Errorf("no answer for %s", age.Round(time.Second))
	}
}

// close ends the goroutine and waits for it. Where a question is under way it
// ends by itself when that is answered or patience is over.
func (f *feed) close() {
	close(f.questions)
	if !f.asked {
		<-f.ended
	}
}
