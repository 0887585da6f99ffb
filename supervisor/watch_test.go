package supervisor

import (
	"errors"
	"testing"
	"time"

	"github.com/memsup/memsup/budget"
	"github.com/memsup/memsup/pressure"
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

// The loop listens to the kernel: what it says has memory looked at at once.
func TestKernelWakesTheLoop(t *testing.T) {
	kernel := make(chan pressure.Wake)
	s := &supervisor{c: &Config{}, heard: kernel, nextLook: time.Hour}
	over := make(chan struct{})
	go func() { s.await(); close(over) }()
	at := time.Now()
	select {
	case kernel <- pressure.Wake{At: at, Source: pressure.Events}:
	case <-time.After(time.Minute):
		t.Fatal("nobody listens")
	}
	<-over
	if s.nextLook != 0 || !s.spoke.Equal(at) {
		t.Errorf("next look in %s, the kernel spoke at %v, want now and %v", s.nextLook, s.spoke, at)
	}
}
