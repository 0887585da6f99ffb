package supervisor

import (
	"strings"
	"testing"
	"time"

	"github.com/memsup/memsup/budget"
	"github.com/memsup/memsup/policy"
)

// One more in the foreground has to fit beside the reserve and what starting workers
// were promised.
func TestHoldsOneMore(t *testing.T) {
	const mb = 1 << 20
	for _, test := range []struct {
		typ      int
		headroom int64
		starting bool // of web, which has 10 MiB of its 30
		err      string
	}{
		{0, 40 * mb, false, ""},
		{0, 39 * mb, false, "headroom of 39.0 MiB does not hold web's cost of 30.0 MiB and the reserve of 10.0 MiB; --force"},
		{0, 60 * mb, true, ""},
		{0, 59 * mb, true, "headroom of 39.0 MiB does not hold web's cost"},
		{1, 10 * mb, false, ""},
		{1, 9 * mb, false, "headroom of 9.0 MiB does not hold the reserve of 10.0 MiB; --force"},
	} {
		s := &supervisor{c: &Config{}, begin: time.Now(), budget: &budget.Budget{}}
		s.sys.memory = func() (budget.Memory, error) {
			return budget.Memory{Limit: 100 * mb, Limited: true, Headroom: test.headroom}, nil
		}
		s.pcfg = policy.Config{Reserve: 10 * mb, Types: []policy.Type{{Name: "web", Max: 4, Memory: 30 * mb}, {Name: "job"}}}
		s.policy.Decide(&s.pcfg, &policy.Observation{Limit: 100 * mb, Limited: true, Headroom: test.headroom})
		s.types = []*processType{{Type: Type{Name: "web"}}, {index: 1, Type: Type{Name: "job"}}}
		if test.starting {
			w := s.types[0].add()
			w.pid, w.state, w.bytes = 10, starting, 10*mb
		}
		err := s.holdsOneMore(s.types[test.typ])
		if (err == nil) != (test.err == "") || err != nil && !strings.HasPrefix(err.Error(), test.err) {
			t.Errorf("type %d with %d MiB: %v, want %q", test.typ, test.headroom/mb, err, test.err)
		}
	}
}
