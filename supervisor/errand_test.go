package supervisor

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestErrandIsCut(t *testing.T) {
	var killed []int
	var failure error
	s := &supervisor{c: &Config{}}
	s.sys.kill = func(pid int, sig unix.Signal) error {
		if sig != unix.SIGKILL {
			t.Errorf("%v to %d", sig, pid)
		}
		killed = append(killed, pid)
		return nil
	}
	e := &errand{until: 10 * time.Second, done: func(_ string, err error) { failure = err }}
	s.errands.byPID = map[int]*errand{42: e}
	if s.cutErrands(9 * time.Second); len(killed) > 0 || s.nextDemand(never) != e.until {
		t.Errorf("killed %v before its time, next at %v", killed, s.nextDemand(never))
	}
	for range 2 {
		s.cutErrands(10 * time.Second)
	}
	if !slices.Equal(killed, []int{-42, 42}) || s.nextDemand(never) != never {
		t.Errorf("killed %v, next at %v", killed, s.nextDemand(never))
	}
	s.answered(printed{by: e, text: [2]string{"3\n"}})
	if failure != nil {
		t.Error("it was taken as ended before it was reaped")
	}
	s.errandEnded(42, e, unix.WaitStatus(unix.SIGKILL))
	if failure == nil || len(s.errands.byPID) > 0 {
		t.Errorf("failure %v, left %v", failure, s.errands.byPID)
	}
}

func TestErrandsEndWithMemsup(t *testing.T) {
	var killed []int
	s := &supervisor{c: &Config{}}
	s.sys.kill = func(pid int, _ unix.Signal) error { killed = append(killed, pid); return nil }
	s.errands.byPID = map[int]*errand{42: {until: 10 * time.Second}}
	if s.end(0); !slices.Equal(killed, []int{-42, 42}) {
		t.Errorf("killed %v", killed)
	}
}

func TestErrandAnswers(t *testing.T) {
	for _, test := range []struct {
		status unix.WaitStatus
		said   [2]string
		answer string
		err    string
	}{
		{0, [2]string{"3\n", "a warning\n"}, "3\n", ""},
		{2 << 8, [2]string{"3\n", "first\nno \x1b[1mhost\n\n"}, "", `it exited with status 2: no \x1b[1mhost`},
		{unix.WaitStatus(unix.SIGSEGV), [2]string{}, "", "it was ended by SIGSEGV"},
	} {
		var answer, problem string
		e := &errand{ended: true, heard: true, status: test.status, said: test.said, done: func(a string, err error) {
			if answer = a; err != nil {
				problem = err.Error()
			}
		}}
		if e.conclude(); answer != test.answer || problem != test.err {
			t.Errorf("%v: %q, %q", test.status, answer, problem)
		}
	}
}
