package budget

import (
	"testing"
	"time"
)

// slowSource answers when it is told to.
type slowSource chan answer

func (s slowSource) ask(time.Time) (answer, error) { return <-s, nil }
func (s slowSource) close()                        {}

// TestFeedDoesNotWaitForTheSlow: an answer that took longer than Read waits is
// taken by the next one, which does not wait for its own either, until one was fast.
func TestFeedDoesNotWaitForTheSlow(t *testing.T) {
	s := make(slowSource, 4)
	f := newFeed(s)
	defer f.close()
	numbered := func(n int) answer { return answer{notes: make([]Source, n)} }
	f.wait = 0
	if _, ok := f.ask(); ok {
		t.Error("an answer to the first question, which is not answered yet")
	}
	s <- numbered(1)
	f.answers <- <-f.answers
	f.wait = time.Hour
	f.when = f.when.Add(-2 * time.Hour) // it took so long
	if a, ok := f.ask(); !ok || len(a.notes) != 1 || !f.asked {
		t.Errorf("after the slow answer: got %d, %v", len(a.notes), ok)
	}
	s <- numbered(2)
	s <- numbered(3)
	f.answers <- <-f.answers
	if a, ok := f.ask(); !ok || len(a.notes) != 3 || f.asked {
		t.Errorf("after a fast one: got %d, %v", len(a.notes), ok)
	}
}

// TestFeedThatIsReadSeldom has a source of 40 ms that is asked every 11 s, so that each
// answer is too old when it is taken.
func TestFeedThatIsReadSeldom(t *testing.T) {
	s := make(slowSource, 4)
	f := newFeed(s)
	f.wait, f.most = 0, time.Hour
	if _, ok := f.ask(); ok {
		t.Error("an answer to the first question, which is not answered yet")
	}
	seldom := func(n int) {
		s <- answer{notes: make([]Source, n)}
		got := <-f.answers
		got.at = got.at.Add(-11 * time.Second)
		f.when = got.at.Add(-time.Hour) // it took long
		f.answers <- got
	}
	seldom(1)
	s <- answer{notes: make([]Source, 2)}
	if a, ok := f.ask(); !ok || len(a.notes) != 2 || f.err() != nil {
		t.Fatalf("got %d, %v, %v", len(a.notes), ok, f.err())
	}
	f.question()
	seldom(3)
	f.most = 0
	if a, ok := f.ask(); ok || f.err() == nil {
		t.Fatalf("where none comes in time: got %d, which is too old", len(a.notes))
	}
	s <- answer{}
	f.answers <- <-f.answers
	f.close()
}
