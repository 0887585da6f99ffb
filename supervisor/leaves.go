package supervisor

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/leaf"
	"github.com/memsup/memsup/spawn"
)

// divide gives the workers cgroups of their own, where memsup may.
func (s *supervisor) divide() {
	dir, ok := s.budget.Cgroup2()
	if _, v1, _ := s.budget.Place(); !ok || v1 || s.c.Observe {
		return
	}
	var tree *leaf.Tree
	var err error
	say := s.log.debug
	if s.c.User == nil {
		tree, err = leaf.Divide(dir)
	} else if err = leaf.May(dir); err == nil {
		err = errors.New("memsup gives up root, and with it the right to make more of them")
		say = s.log.info // they would have them
	}
	if err != nil {
		say("workers have no cgroups of their own", "because", err)
		for _, t := range s.types {
			if t.Brake > 0 {
				s.log.warn("brake has no effect: workers have no cgroups of their own", "type", t.Name, "because", err)
			}
		}
		return
	}
	s.tree = tree
	s.budget.Stay(dir)
	s.lenses.stay = dir
	s.log.info("each worker has a cgroup of its own", "in", dir)
}

// startIn starts a worker in its own cgroup, where there is one for it. Where
// the kernel cannot do that, or is kept from it, workers have none from now on. A
// command that cannot be started for a reason of its own is no matter of the cgroup.
func (s *supervisor) startIn(w *worker, spec *spawn.Spec) (pid int, err error) {
	if s.tree != nil && w.leaf == nil && !w.keeps() { // one kill would take all that it keeps
		s.giveLeaf(w)
	}
	if w.leaf == nil {
		return s.fork(w, spec)
	}
	w.leafKills = w.leaf.OOMKills()
	w.leaf.Begin()
	s.brake(w)
	spec.Cgroup = w.leaf.FD()
	if err = w.leaf.Clean(); err == nil {
		if pid, err = s.fork(w, spec); err == nil || !ofCgroup(err) {
			return pid, err
		}
	}
	spec.Cgroup = 0
	pid, again := s.fork(w, spec)
	switch {
	case again != nil:
		return 0, again
	case errors.Is(err, unix.EBUSY): // processes that its predecessor moved about are still dying
		s.spent, w.leaf = append(s.spent, w.leaf), nil
	default:
		s.log.info("workers have no cgroups of their own: one cannot be started in it", "worker", w.name, "error", err)
		s.undivide()
	}
	return pid, nil
}

// ofCgroup tells whether a start may have failed for the cgroup that it was to be in
// (clone(2), CLONE_INTO_CGROUP): it is divided, or not of the kind that takes processes, or
// was removed; the kernel is older than 5.7 or a seccomp filter in the way; or memsup may not
// write there, which is the same error as that of a program that may not be executed.
func ofCgroup(err error) bool {
	for _, of := range []error{unix.EBUSY, unix.EOPNOTSUPP, unix.ENODEV, unix.ENOSYS, unix.EPERM, unix.EACCES} {
		if errors.Is(err, of) {
			return true
		}
	}
	return false
}

// giveLeaf gives a worker its cgroup: the one that an earlier worker of its name
// left behind, where that could not be removed yet.
func (s *supervisor) giveLeaf(w *worker) {
	if i := slices.IndexFunc(s.spent, func(l *leaf.Leaf) bool { return l.Name() == w.name }); i >= 0 {
		w.leaf = s.spent[i]
		s.spent = slices.Delete(s.spent, i, i+1)
		return
	}
	var err error
	if w.leaf, err = s.tree.New(w.name); err != nil {
		s.once("leaf", "a worker has no cgroup of its own", "worker", w.name, "error", err)
	}
}

// reclaim has the kernel take memory back before a worker has to go. It may take
// its time, so the loop does not wait for it.
func (s *supervisor) reclaim(n int64) {
	if n <= 0 || s.budget == nil || s.c.Observe {
		return
	}
	dir, v1, ok := s.budget.Place()
	if !ok || v1 {
		return
	}
	go func() {
		switch err := leaf.Reclaim(dir, n); {
		case err == nil, errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			s.log.info("had the kernel reclaim memory, as pressure is high", "bytes", mib(n), "all found", err == nil)
		default:
			s.log.debug("cannot reclaim memory", "error", err)
		}
	}()
}

// brake has the kernel slow a worker down that takes more than its type's brake.
func (s *supervisor) brake(w *worker) {
	if w.leaf == nil {
		return
	}
	if err := w.leaf.Brake(w.typ.Brake); err != nil && w.typ.Brake > 0 {
		s.once("brake", "a worker has no brake", "worker", w.name, "error", err)
	}
}

// dropWorker takes a slot out of its type.
func (s *supervisor) dropWorker(w *worker) {
	w.part()
	w.typ.drop(w)
	w.letGo(everySocket)
	if w.leaf != nil {
		s.spent = append(s.spent, w.leaf)
	}
}

// sweep removes the cgroups of workers that are gone. One in which something
// still dies stays for the next time.
func (s *supervisor) sweep() {
	s.spent = slices.DeleteFunc(s.spent, func(l *leaf.Leaf) bool { return l.Remove() != unix.EBUSY })
}

// undivide leaves the cgroups as they were found. Those of workers that are still
// alive are removed when these are gone.
func (s *supervisor) undivide() {
	s.sweep()
	if s.tree == nil {
		return
	}
	for t := range s.everyType() {
		for _, w := range t.slots {
			if w.leaf != nil {
				s.spent = append(s.spent, w.leaf)
				w.leaf = nil
			}
		}
	}
	s.sweep()
	if err := s.tree.Close(); err != nil {
		s.log.debug("the cgroups are not as they were found", "error", err)
	}
	s.tree = nil
}

// cost is what the container would get back of the worker, where its own cgroup
// tells; measured is what its processes told.
func (w *worker) cost(measured int64) int64 {
	if w.leaf != nil {
		if n, ok := w.leaf.Cost(); ok {
			return n
		}
	}
	return measured
}
