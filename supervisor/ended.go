package supervisor

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/policy"
	"github.com/memsup/memsup/reaper"
)

// beforeReap ends what is left of a worker's process group while the group's
// id is still its own: in systemd's mixed way the main process decides how
// long its children live. While memsup ends they have the grace instead.
func (s *supervisor) beforeReap() func(pid int) {
	if len(s.byPID)+len(s.errands.byPID) == 0 || s.c.Command != nil && !s.c.Command.TermOrphans {
		return nil
	}
	return func(pid int) {
		w := s.byPID[pid]
		switch {
		case s.errands.byPID[pid] != nil:
			_ = s.sys.kill(-pid, unix.SIGKILL)
		case w == nil:
		case s.c.Command != nil:
			sig := unix.SIGTERM
			if to, ok := s.c.Rewrite[sig]; ok {
				sig = to
			}
			_ = s.sys.kill(-pid, sig)
		case !s.ending:
			_ = s.sys.kill(-pid, unix.SIGKILL)
			if w.leaf != nil {
				_ = w.leaf.Kill()
			}
		}
	}
}

func (s *supervisor) ended(pid int, status unix.WaitStatus) {
	if e := s.errands.byPID[pid]; e != nil {
		s.errandEnded(pid, e, status)
		return
	}
	w := s.byPID[pid]
	if w == nil {
		s.orphans++
		s.note(Notice{Kind: Reaped, PID: pid, Status: status})
		return
	}
	delete(s.byPID, pid)
	w.pid = 0
	if s.c.Command != nil {
		s.commandEnded(w, pid, status)
		return
	}
	s.workerEnded(w, pid, status)
}

// commandEnded ends memsup with the command's own exit status, remapped as
// --remap-exit says.
func (s *supervisor) commandEnded(w *worker, pid int, status unix.WaitStatus) {
	s.note(Notice{Kind: Ended, PID: pid, Status: status})
	code := exitCode(status)
	for _, remapped := range s.c.Remap {
		if code == remapped {
			code = 0
		}
	}
	s.drained(w.outputs)
	w.typ.drop(w)
	s.code = code
	if s.c.Command.LeaveOrphans {
		s.done = true
		return
	}
	if s.oomKilled(w, status) {
		s.killedByKernel(w.typ.Argv[0]+" was killed by the kernel for memory", w)
	}
	s.ending = true
	s.endBy = s.now() + s.c.Grace
}

func (s *supervisor) workerEnded(w *worker, pid int, status unix.WaitStatus) {
	now := s.now()
	oom := s.oomKilled(w, status)
	was := w.state
	w.before = 0
	if was != stopping && !w.killed && !oom {
		w.before = pid
	}
	w.lastExit = describe(status, oom)
	if w.keeps() {
		w.typ.prefork.forget()
	}
	together := !oom && s.killedTogether(w)
	if !slices.Contains(s.leaving, w.typ) {
		s.exits = append(s.exits, policy.Exit{
			Type: w.typ.index, Index: w.index,
			Ready: was == ready, OOM: oom || together, Asked: was == stopping && !w.health.late, Grown: w.grown, Extra: w.replaces != nil,
		})
	}
	s.decide, s.nextLook = true, now
	wait := w.outputs
	w.outputs = nil
	s.drained(wait)

	if was == stopping {
		if oom {
			s.killedByKernel(w.name+" was killed by the kernel for memory while it was stopping", w)
		} else {
			s.log.info("stopped", "worker", w.name, "how", w.lastExit, "took", now-w.asked)
		}
		if !w.killed {
			w.typ.tookToStop(now - w.asked)
		}
		if w.after == remove {
			s.dropWorker(w)
			return
		}
		fault := w.health.fault
		if fault != "" && !oom {
			w.lastExit = fault
		}
		if w.health.late && !oom {
			s.endedEarly(w, max(1, exitCode(status)))
			return
		}
		w.restarts++
		w.state, w.until = backoff, now
		if w.delays > 0 || fault != "" {
			w.until += w.delay()
		}
		return
	}
	code := exitCode(status)
	switch {
	case oom:
		s.killedByKernel(w.name+" "+w.lastExit, w, "after", now-w.since)
	case code == 0:
		s.log.info(w.name+" "+w.lastExit, "after", now-w.since)
	default:
		s.log.warn(w.name+" "+w.lastExit, "after", now-w.since)
	}
	beside := w.replaces != nil
	done := code == 0 && !w.wantsRestart(code) // which is no failure of what it ran
	switch {
	case beside, w.trial && was != ready && !done:
		s.rollBack(w, w.lastExit+" before it was ready")
	case was == ready && !w.roll && now-w.readyAt < infancy && w.typ.rolling():
		s.rollBack(w, w.lastExit+" just after it was ready")
	}
	switch {
	case beside:
	case w.successor != nil:
		s.dropWorker(w) // its successor has its place
	case was == ready || oom:
		if was == ready {
			w.early, w.delays = nil, 0
		} else {
			w.delays++
		}
		s.again(w, code, oom)
	default:
		s.endedEarly(w, code)
	}
}

// killedByKernel tells of a worker that the kernel killed for memory, how large
// it was and what memory looked like.
func (s *supervisor) killedByKernel(text string, w *worker, fields ...any) {
	if w.measured {
		fields = append(fields, "its size", mib(w.bytes), "growing by", mib(w.growth)+"/s", "measured before", s.now()-w.sampledAt)
	}
	if g := s.fastestGrowing(); g != nil && g != w {
		fields = append(fields, "growing fastest", g.name+" by "+mib(g.growth)+"/s")
	}
	fields = append(fields, s.memoryFields()...)
	s.log.error(text, fields...)
	s.testify(text, fields)
}

// fastestGrowing is the worker whose memory grew fastest when it was measured
// last, nil where none grew: the kernel kills the largest, which may be another.
func (s *supervisor) fastestGrowing() (fastest *worker) {
	for _, t := range s.types {
		for w := range t.all() {
			if w.alive() && w.measured && w.growth > 0 && (fastest == nil || w.growth > fastest.growth) {
				fastest = w
			}
		}
	}
	return fastest
}

// testify leaves word for whoever looks at the container when it is gone.
func (s *supervisor) testify(text string, fields []any) {
	for i := 0; i+1 < len(fields); i += 2 {
		text += fmt.Sprintf("; %v %v", fields[i], fields[i+1])
	}
	s.testament.add(time.Now(), text)
}

// endedEarly is the end of a worker that had not become ready: it counts to
// the start limit unless it ended well and is not to be restarted anyway.
func (s *supervisor) endedEarly(w *worker, code int) {
	w.delays++
	if !w.wantsRestart(code) || w.grown {
		s.again(w, code, false)
		return
	}
	if !w.failed(s.now()) {
		s.again(w, code, false)
		return
	}
	s.finishSlot(w)
	w.lastExit += "; gave up"
	w.gaveUp = true
	if s.failed == 0 {
		s.failed = 1
	}
	s.log.error("gave up: "+w.name+" ended "+itoa(len(w.early))+" times in a row before it was ready", "within", w.typ.StartPeriod)
	if !s.c.LeaveOnGiveUp {
		s.end(1)
	}
}

// wantsRestart says whether the slot's type wants a start after such an end.
func (w *worker) wantsRestart(code int) bool {
	return w.typ.Restart == RestartAlways || w.typ.Restart == RestartOnFailure && code != 0
}

// again lets the slot wait for its next start, or ends it where its type does
// not want one.
func (s *supervisor) again(w *worker, code int, oom bool) {
	if !w.wantsRestart(code) && !(oom && w.typ.Restart != RestartNever) {
		s.finishSlot(w)
		w.illEnded = code != 0
		if code != 0 && s.failed == 0 {
			s.failed = code
		}
		if code != 0 && w.typ.First && s.awaited(w.typ) {
			s.log.error("the release failed: nothing else is started", "how", w.lastExit, "exit status", code)
			s.end(code)
		}
		return
	}
	w.restarts++
	w.state, w.until = backoff, s.now()+w.delay()
}

// finishSlot ends a slot for good. The policy no longer counts it.
func (s *supervisor) finishSlot(w *worker) {
	w.state, w.trial = finished, false
	w.letGo(everySocket)
	s.configurePolicy()
}

// tookToStop remembers how long the type's workers need to stop: the longest,
// forgotten slowly.
func (t *processType) tookToStop(d time.Duration) {
	t.stopTime = max(d, t.stopTime-t.stopTime/8)
}

// oomKilled says whether the kernel's OOM killer ended the worker: it died of
// SIGKILL that memsup did not send (or its shell says so), and the kernel's
// count of such kills has moved beyond what was explained before. Where the
// kernel and memsup killed at the same time, a cgroup of its own tells.
func (s *supervisor) oomKilled(w *worker, status unix.WaitStatus) bool {
	if w.killed && w.leaf == nil || exitCode(status) != 128+int(unix.SIGKILL) {
		return false
	}
	if w.leaf != nil {
		kills := max(0, w.leaf.OOMKills()-w.leafKills)
		w.leafKills += kills
		s.oomSeen += kills
		return kills > 0
	}
	return s.killedSince()
}

// killedSince says whether the kernel has killed for memory beyond what is
// explained, and takes one kill for explained.
func (s *supervisor) killedSince() bool {
	if s.budget == nil {
		return false
	}
	m, err := s.sys.memory()
	if err != nil || m.OOMKills <= s.oomSeen {
		return false
	}
	s.oomSeen++
	return true
}

// killedTogether says whether the kernel killed for memory while memsup killed w:
// without a cgroup for each nobody can tell whom, and nobody else has to go for it.
func (s *supervisor) killedTogether(w *worker) bool {
	if !w.killed || w.leaf != nil || s.budget == nil {
		return false
	}
	m, err := s.sys.memory()
	if err != nil || m.OOMKills <= s.oomSeen {
		return false
	}
	s.oomSeen = m.OOMKills
	s.killedByKernel("the kernel killed a process for memory when memsup killed "+w.name, w)
	return true
}

// becomeReady notes that a worker can be counted on.
func (s *supervisor) becomeReady(w *worker, why string) {
	w.state, w.grown, w.unwell, w.readyAt = ready, false, false, s.now()
	w.health.begins(w.readyAt)
	w.early, w.delays = nil, 0
	s.takeOver(w)
	s.decide = true
	fields := []any{"worker", w.name, "because", why}
	if w.measured {
		fields = append(fields, "memory", mib(w.bytes))
	}
	s.log.info("ready", fields...)
}

// stoppedByTerminal deals with a command that Ctrl-Z stopped. Where a shell
// started memsup, memsup stops too, so that the shell gets its prompt; as PID 1
// there is nobody to bring the command back, and it goes on.
func (s *supervisor) stoppedByTerminal() {
	for pid, stopped := reaper.Stopped(); stopped; pid, stopped = reaper.Stopped() {
		if s.byPID[pid] == nil {
			continue
		}
		if s.sys.pid != 1 {
			s.suspend(pid)
		}
		_ = s.sys.kill(-pid, unix.SIGCONT)
	}
}
