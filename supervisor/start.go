package supervisor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/policy"
	"github.com/memsup/memsup/procfile"
	"github.com/memsup/memsup/spawn"
)

// start runs a slot's command. That it cannot be started counts as an end
// before the worker was ready.
func (s *supervisor) start(w *worker) {
	spec, err := s.spec(w)
	if err == nil {
		err = s.launch(w, spec)
	}
	if err == nil {
		return
	}
	code := 126
	if e := (*spawn.Error)(nil); errors.As(err, &e) {
		code = e.ExitCode()
	}
	if s.c.Command != nil {
		s.note(Notice{Kind: NotStarted, Err: err})
		s.code = code
		s.done = true
		return
	}
	s.log.error("cannot start "+w.name, "error", err)
	w.lastExit = err.Error()
	beside := w.replaces != nil
	passing := errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOMEM) // the limit of processes, or memory: not the command's fault
	if beside || w.trial && !passing {
		s.rollBack(w, "cannot be started")
	}
	switch {
	case beside:
	case passing:
		w.delays++
		w.state, w.until = backoff, s.now()+w.delay()
	default:
		s.endedEarly(w, code)
	}
}

func (s *supervisor) launch(w *worker, spec *spawn.Spec) error {
	done, err := s.files(w, spec)
	if err != nil {
		return err
	}
	pid, err := s.startIn(w, spec)
	done(err == nil)
	if err != nil {
		return err
	}
	now := s.now()
	w.gaveUp, w.illEnded = false, false
	w.begin(pid, now)
	w.trial = w.trial || w.typ.unproven()
	s.byPID[pid] = w
	s.children.remain = true
	s.decide = true
	if c := s.c.Command; c != nil {
		w.state = ready
		s.note(Notice{Kind: Spawned, PID: pid})
		if c.Bare {
			return nil
		}
	} else {
		s.log.info("started", "worker", w.name, "pid", pid)
		s.nextLook = min(s.nextLook, now)
	}
	s.raiseOOMScore(w)
	return nil
}

// spec is what to start for a slot.
func (s *supervisor) spec(w *worker) (*spawn.Spec, error) {
	t := w.typ
	env, err := s.environment(w)
	if err != nil {
		return nil, err
	}
	spec := &spawn.Spec{Env: env, Argv: t.Argv, Files: []uintptr{0, 1, 2}, Group: true, Settings: t.Settings}
	w.shell = false
	if spec.Argv == nil {
		spec.Argv, w.shell = commandLine(t.Command, env)
	}
	spec.WatchdogPID = t.watchdog() > 0 && !w.shell // what a shell starts has another pid
	if c := s.c.Command; c != nil {
		spec.Session = c.Session
		spec.Default = c.DefaultSignals
		if c.Session {
			_, err := unix.IoctlGetTermios(0, unix.TCGETS)
			spec.Terminal = err == nil
		}
		spec.Group = !c.Session && !c.Plain
		spec.Foreground = spec.Group && s.tty
	}
	return spec, nil
}

// files gives the worker its descriptors. The function that it returns closes
// memsup's copies and is told whether the worker was started.
func (s *supervisor) files(w *worker, spec *spawn.Spec) (done func(started bool), err error) {
	var owned []*os.File
	var outputs []*output
	done = func(started bool) {
		for _, f := range owned {
			f.Close()
		}
		if started {
			w.outputs = outputs
		}
		for _, o := range outputs {
			o.run(started)
		}
	}
	if s.c.Command == nil {
		null, err := os.Open(os.DevNull)
		if err != nil {
			return nil, fmt.Errorf("open standard input: %w", err)
		}
		owned = append(owned, null)
		spec.Files[0] = null.Fd()
	}
	if s.c.Prefix {
		for i, to := range []*sink{s.stdout, s.stderr} {
			o, write, err := newOutput(w.name, w.typ.index, to, s.c.Color)
			if err != nil {
				done(false)
				return nil, err
			}
			if w.typ.Settings != nil && w.typ.Settings.User != nil {
				letReopen(int(write.Fd()))
			}
			owned = append(owned, write)
			outputs = append(outputs, o)
			spec.Files[i+1] = write.Fd()
		}
	}
	sockets, err := w.descriptors()
	if err != nil {
		done(false)
		return nil, err
	}
	spec.Files = append(spec.Files, sockets...)
	spec.ListenPID = len(sockets) > 0
	return done, nil
}

// Served are the variables that memsup gives its workers. Inherited ones that
// it does not serve are removed, because they speak of another place.
var Served = [...]string{
	"MEM_LIMIT", "MEM_AVAILABLE", "MEM_SHARE", "CPU_LIMIT", "PORT", "PS", "MEMSUP_SOCKET",
	"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "EINHORN_FDS", "EINHORN_FD_COUNT", "NOTIFY_SOCKET", "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE",
	"WATCHDOG_USEC", "WATCHDOG_PID",
}

// environment is the worker's environment at this moment.
func (s *supervisor) environment(w *worker) ([]string, error) {
	if c := s.c.Command; c != nil && (c.Bare || c.Given) {
		return s.c.Env, nil
	}
	t := w.typ
	env := make([]string, 0, len(t.env)+len(t.Env)+len(Served))
	for _, v := range t.env {
		name, _, _ := strings.Cut(v, "=")
		if !Serves(name) || s.c.Command != nil && strings.HasPrefix(v, "PORT=") {
			env = append(env, v)
		}
	}
	env = t.login(env)
	vars := map[string]float64{}
	number := func(name string, n int64) {
		env = append(env, name+"="+strconv.FormatInt(n, 10))
		vars[name] = float64(n)
	}
	if limit, available, ok := s.promise(t); ok {
		number("MEM_LIMIT", limit)
		number("MEM_AVAILABLE", available)
		if share, ok := policy.Share(&s.pcfg, t.index, limit); ok {
			number("MEM_SHARE", share)
		}
	}
	if s.cpu.Limit > 0 {
		env = append(env, "CPU_LIMIT="+s.cpu.String())
		vars["CPU_LIMIT"] = float64(s.cpu.Limit) / 1000
	}
	if s.c.Command == nil {
		ps, number := w.name, w.index
		if number == 0 { // a master is the one process that foreman would start
			ps, number = t.Name+".1", 1
		}
		env = append(env, "PS="+ps)
		port := t.Port
		if port != 0 && len(t.sockets) == 0 {
			var err error
			if port, err = procfile.Port(t.Name, t.Port, number); err != nil {
				return nil, err
			}
		}
		if port != 0 {
			env = append(env, "PORT="+strconv.Itoa(port))
		}
	}
	if path := s.control.socket(); path != "" {
		env = append(env, "MEMSUP_SOCKET="+path)
	}
	if path := s.relay.socket(); path != "" {
		env = append(env, "MEMORY_PRESSURE_WATCH="+path)
	}
	env = s.notifyVariables(env, t)
	env = t.socketEnvironment(env)
	if t.Export != nil {
		more, err := t.Export(vars)
		if err != nil {
			return nil, err
		}
		env = override(env, more)
	}
	return override(env, t.Env), nil
}

// Serves says whether a variable of that name is memsup's own: one of Served, or one
// of EINHORN_FD_0 and on.
func Serves(name string) bool {
	return slices.Contains(Served[:], name) || strings.HasPrefix(name, "EINHORN_FD_")
}

// override appends over's variables to env in place of those it has.
func override(env, over []string) []string {
	for _, v := range over {
		name, _, _ := strings.Cut(v, "=")
		kept := env[:0]
		for _, old := range env {
			if !strings.HasPrefix(old, name+"=") {
				kept = append(kept, old)
			}
		}
		env = append(kept, v)
	}
	return env
}

// raiseOOMScore makes the kernel choose a worker rather than memsup, and among
// workers those of lower priority, and a master after those that it keeps:
// /proc/PID/oom_score_adj, memsup's own plus 100 and 50 more for each priority
// above the worker's. Raising needs no privilege.
func (s *supervisor) raiseOOMScore(w *worker) {
	score := s.oomScoreOf(w.typ)
	if w.master != nil {
		score += 25
	}
	s.setOOMScore(w.pid, score)
}

// oomScoreOf is the score of the type's processes that no master keeps.
func (s *supervisor) oomScoreOf(t *processType) int {
	higher := map[int]bool{}
	for _, other := range s.types {
		if other.Priority > t.Priority {
			higher[other.Priority] = true
		}
	}
	return s.oomScore + 100 + 50*len(higher)
}

// setOOMScore writes a process's oom_score_adj, at most 1000.
func (s *supervisor) setOOMScore(pid, score int) {
	score = min(score, 1000)
	path := "/proc/" + strconv.Itoa(pid) + "/oom_score_adj"
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = unix.Write(fd, strconv.AppendInt(nil, int64(score), 10))
		unix.Close(fd)
	}
	if err != nil && !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.ESRCH) {
		s.once("oom_score_adj", "cannot raise oom_score_adj of workers", "path", path, "error", err)
	}
}

// ownOOMScore is memsup's own oom_score_adj.
func ownOOMScore() int {
	b, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return n
}

// promise is what a worker of the type that starts now is told: MEM_LIMIT and
// MEM_AVAILABLE.
func (s *supervisor) promise(t *processType) (limit, available int64, ok bool) {
	if s.budget == nil {
		return 0, 0, false
	}
	m := s.mem
	if now := s.now(); !s.memOK || now != s.memAt && now-s.memAt > 10*time.Millisecond {
		var err error
		if m, err = s.sys.memory(); err != nil {
			return 0, 0, false
		}
	}
	limit, available = m.Limit, m.Available
	if ceiling, known := s.policy.Ceiling(); known && ceiling < limit {
		available -= limit - ceiling
		limit = ceiling
	}
	if n, limited := t.addressSpace(); limited && n < limit {
		limit = n
	}
	if s.watches() {
		available -= s.promised()
	}
	return limit, min(max(available, 0), limit), true
}

// promised is what workers that are still starting will take of what is
// available, as far as that is known. Where it is not, no second worker of the
// type is started; but a number for an application cannot be nothing.
func (s *supervisor) promised() int64 {
	var sum int64
	for _, t := range s.types {
		cost, known := s.policy.Cost(t.index)
		for w := range t.all() {
			if known && w.alive() && w.state == starting && !w.keeps() {
				sum += max(0, cost-w.bytes)
			}
		}
	}
	return sum
}
