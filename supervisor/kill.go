package supervisor

import (
	"golang.org/x/sys/unix"
)

// killWorker sends SIGKILL to the worker and its whole process group, and to
// what left that, where the worker has a cgroup of its own.
func (s *supervisor) killWorker(w *worker) {
	w.killed = true
	_ = s.sys.kill(-w.pid, unix.SIGKILL)
	_ = s.sys.kill(w.pid, unix.SIGKILL)
	if w.leaf != nil {
		_ = w.leaf.Kill()
	}
}

// killForMemory is killWorker where its memory is wanted back at once. A dying
// process gives it back when it gets to run, which may take long on a machine
// that is short of memory: process_mrelease(2), Linux 5.15, takes it away beside
// that. It may take its time as well, so the loop does not wait for it.
func (s *supervisor) killForMemory(w *worker) {
	fd, err := unix.PidfdOpen(w.pid, 0) // before the kill: until it is reaped the pid is its own
	s.killWorker(w)
	if err != nil {
		return
	}
	go func() {
		_, _, _ = unix.Syscall(unix.SYS_PROCESS_MRELEASE, uintptr(fd), 0, 0)
		unix.Close(fd)
	}()
}
