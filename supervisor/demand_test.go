package supervisor

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/policy"
)

// The kernel tells how many connections wait on a socket that memsup holds.
func TestBacklog(t *testing.T) {
	for _, address := range []string{"tcp://127.0.0.1:0", "tcp://:0"} {
		opened, err := openSocket(Socket{Address: address})
		if err != nil {
			t.Fatal(err)
		}
		defer opened.close()
		fd := opened.fd
		if n, room, err := backlog(fd); n != 0 || room == 0 || err != nil {
			t.Fatalf("%s: %d of %d, %v, before anybody connects", address, n, room, err)
		}
		name, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		port := 0
		switch name := name.(type) {
		case *unix.SockaddrInet4:
			port = name.Port
		case *unix.SockaddrInet6:
			port = name.Port
		}
		for want := 1; want <= 3; want++ {
			fill(t, port)
			n := 0
			for deadline := time.Now().Add(time.Minute); n != want && time.Now().Before(deadline); {
				n, _, _ = backlog(fd)
			}
			if n != want {
				t.Fatalf("%s: %d connections wait, want %d", address, n, want)
			}
		}
		taken, _, err := unix.Accept(fd)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(taken)
		if n, _, _ := backlog(fd); n != 2 {
			t.Errorf("%s: %d wait after one was accepted, want 2", address, n)
		}
	}
	if _, _, err := backlog(0); err == nil {
		t.Error("what is no socket has a backlog")
	}
}

// fill has one more connection wait.
func fill(t *testing.T, port int) {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
}

// sharedPort is the port of the socket that a worker inherited.
func sharedPort(t *testing.T, pid int) (port int) {
	t.Helper()
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/3", pid))
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 9 && "socket:["+f[9]+"]" == link {
			if _, err := fmt.Sscanf(f[1], "0100007F:%X", &port); err != nil {
				t.Fatal(err)
			}
		}
	}
	return port
}

// Workers that accept nothing get company, up to what the range allows.
func TestBacklogAsksForWorkers(t *testing.T) {
	r := launch(t, "procfile", "listen ready-now to-four backlog", `web=echo $PS; exec sleep 1000`)
	r.want("web.1")
	st := r.status()
	if why := st.Types[0].BlockedReason; why == nil || *why != "demand: no connection waits" {
		t.Errorf("it does not grow because %v", why)
	}
	port := sharedPort(t, *st.Workers[0].PID)
	for range 3 {
		fill(t, port)
	}
	r.wantAnyOrder("web.2", "web.3", "web.4")
	st = r.status()
	if d := st.Types[0].Demand; d == nil || !strings.HasPrefix(*d, "3 connections waiting") {
		t.Errorf("demand %v", d)
	}
	if len(st.Decisions) != 3 || !strings.HasPrefix(st.Decisions[0].Reason, "demand: 3 connections waiting for ") {
		t.Errorf("decisions %+v", st.Decisions)
	}
	r.signal(unix.SIGTERM)
	r.end(0)
}

// A command names the number; it is given what a worker is, but not the socket,
// and goes first when memory ends.
func TestCommandAsksForWorkers(t *testing.T) {
	t.Setenv("DEMAND", `until [ $(cat /proc/self/oom_score_adj) = 1000 ]; do :; done; [ -z "$LISTEN_FDS$EINHORN_FDS$EINHORN_FD_0" ] && [ ! -e /proc/self/fd/3 ] && [ $PS = web ] && echo 3`)
	r := launch(t, "procfile", "listen ready-now to-four command", `web=echo $PS; exec sleep 1000`)
	r.wantAnyOrder("web.1", "web.2", "web.3")
	st := r.status()
	for ; st.Types[0].BlockedReason == nil || strings.Contains(*st.Types[0].BlockedReason, "waiting"); st = r.status() {
	}
	if why := *st.Types[0].BlockedReason; why != "demand: 3 wanted" {
		t.Errorf("it does not grow because of %q", why)
	}
	r.signal(unix.SIGTERM)
	r.end(0)
	if strings.Contains(r.stderr.String(), "WARN") {
		t.Error("memsup warns")
	}
}

// What a command leaves behind in its process group ends with it, and what it
// leaves elsewhere keeps nobody from hearing its answer.
func TestCommandLeavesNothing(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DEMAND", `setsid sleep 1000 & sleep 1000 & echo $! >`+fifo+`; echo 2`)
	r := launch(t, "procfile", "ready-now to-four command", `web=echo $PS; exec sleep 1000`)
	child, err := os.ReadFile(fifo)
	if err != nil {
		t.Fatal(err)
	}
	r.want("web.1", "web.2")
	for deadline := time.Now().Add(time.Minute); ; {
		if _, err := os.Stat("/proc/" + strings.TrimSpace(string(child))); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %s is left", child)
		}
	}
	r.signal(unix.SIGTERM)
	r.end(0)
}

// A command that hangs holds up nothing, and ends with memsup.
func TestHangingCommandEndsWithMemsup(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DEMAND", `trap "" TERM; sleep 1000 & echo $! >`+fifo+`; wait`)
	r := launch(t, "procfile", "ready-now to-four command", "web=$T worker up TERM:bye:0")
	child, err := os.ReadFile(fifo)
	if err != nil {
		t.Fatal(err)
	}
	r.want("up")
	r.signal(unix.SIGTERM)
	r.want("bye")
	r.end(0)
	if strings.Contains(r.stderr.String(), "WARN") {
		t.Error("memsup warns")
	}
	if _, err := os.Stat("/proc/" + strings.TrimSpace(string(child))); err == nil {
		t.Errorf("process %s is left", child)
	}
}

func TestScaleRefusesMoreThanALimit(t *testing.T) {
	r := launch(t, "procfile", "ready-now limits", "web=echo web; exec sleep 1000", "jobs=echo jobs; exec sleep 1000")
	r.wantAnyOrder("jobs", "web")
	ctx := context.Background()
	err := r.client().Scale(ctx, map[string]string{"web": "3"})
	if err == nil || !strings.Contains(err.Error(), "db is limited to 9, and the fewest workers would use 12") {
		t.Errorf("web=3: %v", err)
	}
	if err := r.client().Stop(ctx, "jobs"); err != nil {
		t.Fatal(err)
	}
	if err := r.client().Scale(ctx, map[string]string{"web": "3"}); err != nil {
		t.Fatal(err)
	}
	r.want("web", "web")
	if err := r.client().Start(ctx, "jobs"); err == nil || !strings.Contains(err.Error(), "would use 12") {
		t.Errorf("starting jobs: %v", err)
	}
	if err := r.client().Scale(ctx, map[string]string{"web": "auto"}); err != nil {
		t.Fatal(err)
	}
	if err := r.client().Start(ctx, "jobs"); err != nil {
		t.Fatal(err)
	}
	r.want("jobs")
}

// A worker that takes its time to stop has what it uses until it is gone.
func TestLimitHoldsWhileWorkersStop(t *testing.T) {
	r := launch(t, "procfile", "ready-now limits", "web=$T worker web TERM:bye USR1:gone:0", "jobs=echo jobs; exec sleep 1000")
	r.wantAnyOrder("jobs", "web")
	ctx := context.Background()
	if err := r.client().Scale(ctx, map[string]string{"web": "2"}); err != nil {
		t.Fatal(err)
	}
	r.want("web")
	if err := r.client().Scale(ctx, map[string]string{"web": "1", "jobs": "2"}); err != nil {
		t.Fatal(err)
	}
	r.want("bye")
	running, stubborn := 0, 0
	for _, w := range r.status().Workers {
		if w.Type == "jobs" && w.PID != nil {
			running++
		}
		if w.State == "stopping" {
			stubborn = *w.PID
		}
	}
	if running != 1 || stubborn == 0 {
		t.Fatalf("%d of jobs beside two of web, one stopping: process %d", running, stubborn)
	}
	if err := unix.Kill(stubborn, unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	r.want("gone", "jobs")
}

func TestMeasureBusy(t *testing.T) {
	const second = time.Second
	web := &processType{Type: Type{Demand: policy.Busyness}, demand: &demand{}}
	jobs := &processType{Type: Type{Demand: policy.Number}, demand: &demand{}}
	s := &supervisor{types: []*processType{web, jobs}, demand: demands{any: true, busy: true}}
	a, b := &worker{typ: web, state: ready, pid: 1}, &worker{typ: web, state: starting, pid: 2}
	c := &worker{typ: jobs, state: ready, pid: 3}
	web.slots, jobs.slots = []*worker{a, b}, []*worker{c}
	look := func(at, cpuA, cpuB, cpuC time.Duration) {
		for w, cpu := range map[*worker]time.Duration{a: cpuA, b: cpuB, c: cpuC} {
			w.measured, w.sampledAt, w.cpuTime = true, at, cpu
		}
		s.measureBusy(at)
	}
	want := func(busy, all int64, at time.Duration) {
		t.Helper()
		if m := web.demand.Measure; m.Busy != busy || s.obs.CPUUsed != all || m.At != at {
			t.Errorf("busy %d at %s, all %d; want %d at %s, %d", m.Busy, m.At, s.obs.CPUUsed, busy, at, all)
		}
	}
	look(1*second, 7*second, 1*second, 0)
	want(0, 0, 0)
	look(3*second, 9*second, 1*second, 0) // too short
	want(0, 0, 0)
	look(11*second, 15*second, 3*second, 1*second) // the starting one counts in all alone
	want(800, 1100, 11*second)
	b.state = ready
	look(16*second, 16*second, 5*second, 1*second) // b was not ready when it began
	want(200, 600, 16*second)
	look(26*second, 17*second, 10*second, 1*second)
	want(300, 600, 26*second)
	b.mark = mark{} // started anew
	look(36*second, 21*second, 1*second, 1*second)
	want(400, 400, 36*second)
	if jobs.demand.At != 0 {
		t.Error("a number that nobody named is taken for measured")
	}
}

func TestParseDemand(t *testing.T) {
	for text, want := range map[string]int{
		"3\n": 3, " 0 ": 0, "": -1, "-1": -1, "3.5": -1, "three": -1, "1\n2\n": -1, "99999999999999999999": -1,
	} {
		n, err := parseDemand(text)
		if (err == nil) != (want >= 0) || err == nil && n != want {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
}

// The number from before stays while the command fails, and with its instant:
// the policy knows how old it is.
func TestDemandKeepsTheLastNumber(t *testing.T) {
	s, d := &supervisor{begin: time.Now()}, &demand{running: true}
	s.demanded("web", "cmd", d, "3\n", nil)
	before := d.Measure
	if before.Number != 3 || before.At == 0 || d.running || !s.decide {
		t.Fatalf("%+v", d)
	}
	s.demanded("web", "cmd", d, "many\n", nil)
	if d.Measure != before || !d.failing {
		t.Errorf("after a failure: %+v", d)
	}
	s.demanded("web", "cmd", d, "4\n", nil)
	if d.Number != 4 || d.failing {
		t.Errorf("after the failure: %+v", d)
	}
}

// A changed command does not go by what the one before it said; what stayed the
// same goes on.
func TestReloadKeepsDemand(t *testing.T) {
	s := &supervisor{c: &Config{}}
	kind := Type{Name: "web", Demand: policy.Number, DemandCommand: "echo 3"}
	s.setTypes(&Config{Types: []Type{kind}}, nil)
	before := s.types[0].demand
	if s.setTypes(&Config{Types: []Type{kind}}, nil); s.types[0].demand != before {
		t.Error("what was measured is forgotten")
	}
	kind.DemandCommand = "echo 4"
	if s.setTypes(&Config{Types: []Type{kind}}, nil); s.types[0].demand == before {
		t.Error("the old command's answer counts for the new one")
	}
}

// Workers whose use of the CPUs decides are measured every five seconds though
// memory is plenty, others are not.
func TestBusyWorkersAreMeasured(t *testing.T) {
	for busy, want := range map[bool]bool{true: true, false: false} {
		s := &supervisor{c: &Config{}, demand: demands{any: busy, busy: busy}}
		s.mem.Headroom = 8 << 30
		web := &processType{demand: &demand{}}
		w := &worker{typ: web, state: ready, pid: 1, measured: true}
		web.slots, s.types, s.byPID = []*worker{w}, []*processType{web}, map[int]*worker{1: w}
		s.meter = &meter{ask: make(chan question, 2), last: time.Minute}
		if s.measure(time.Minute + busyWindow - 1); s.meter.busy {
			t.Errorf("busy %v: measured too early", busy)
		}
		if s.measure(time.Minute + busyWindow); s.meter.busy != want {
			t.Errorf("busy %v: measured %v", busy, s.meter.busy)
		}
	}
}

func TestFillDemand(t *testing.T) {
	opened, err := openSocket(Socket{Address: "tcp://127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer opened.close()
	s := &supervisor{c: &Config{}, types: []*processType{
		{demand: &demand{}},
		{Type: Type{Demand: policy.Backlog}, sockets: []*socket{opened}, demand: &demand{Measure: policy.Measure{Busy: 7, At: 9}}},
		{Type: Type{Demand: policy.Number}, demand: &demand{Measure: policy.Measure{Number: 3, At: 8}}},
	}}
	s.cpu.Limit = 1500
	if s.fillDemand(); len(s.obs.Demand) > 0 {
		t.Errorf("nobody asked: %+v", s.obs.Demand)
	}
	s.demand.any = true
	s.fillDemand()
	m := s.obs.Demand
	if len(m) != 3 || m[0] != (policy.Measure{}) || m[1].Room == 0 || m[1].Busy != 7 || m[2] != (policy.Measure{Number: 3, At: 8}) || s.obs.CPULimit != 1500 {
		t.Errorf("%+v, %d CPUs", m, s.obs.CPULimit)
	}
}
