package supervisor

import (
	"errors"
	"testing"
	"time"

	"github.com/memsup/memsup/budget"
)

// A memsup that cannot read memory says so in the first line of status, and is well
// again when it can.
func TestBlind(t *testing.T) {
	s := &supervisor{c: &Config{}} // its nil logger is silent
	problem := errors.New(`/cg/memory.current:1: "x" is not a decimal number`)
	s.sys.memory = func() (budget.Memory, error) { return budget.Memory{}, problem }
	if s.look(time.Second) || s.health() != "blind: "+problem.Error() {
		t.Errorf("health %q", s.health())
	}
	s.sys.memory = func() (budget.Memory, error) { return budget.Memory{Limit: 1 << 30}, nil }
	if !s.look(2*time.Second) || s.health() != "ok" {
		t.Errorf("health %q", s.health())
	}
}
