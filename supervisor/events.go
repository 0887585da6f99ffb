package supervisor

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"
)

// listeners is how many clients may hear of decisions at once; the other seats
// stay free for questions.
const listeners = 8

var errTooManyListeners = errors.New("too many clients listen to events")

// hear adds or takes away a client that hears of each decision.
func (s *supervisor) hear(c chan Decision, leave bool) error {
	if leave {
		s.hearing = slices.DeleteFunc(s.hearing, func(other chan Decision) bool { return other == c })
		return nil
	}
	if len(s.hearing) == listeners {
		return errTooManyListeners
	}
	s.hearing = append(s.hearing, c)
	return nil
}

// tell passes a decision on to every client that listens. One that does not
// keep up misses some.
func (s *supervisor) tell(d Decision) {
	for _, c := range s.hearing {
		select {
		case c <- d:
		default:
		}
	}
}

// streamEvents writes one decision a line, as JSON, from now on until the
// client leaves or memsup ends.
func streamEvents(pass func(request) reply, ended <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		decisions := make(chan Decision, keptDecisions)
		if answer := pass(request{events: decisions}); answer.err != nil {
			answerWith(w, answer)
			return
		}
		defer pass(request{events: decisions, leave: true})
		deadline := http.NewResponseController(w)
		w.Header().Set("Content-Type", "application/jsonl")
		w.WriteHeader(http.StatusOK)
		_ = deadline.Flush()
		lines := json.NewEncoder(w)
		for {
			select {
			case d := <-decisions:
				_ = deadline.SetWriteDeadline(time.Now().Add(10 * time.Second))
				if lines.Encode(d) != nil || deadline.Flush() != nil {
					return
				}
			case <-r.Context().Done():
				return
			case <-ended:
				return
			}
		}
	}
}
