package supervisor

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// killWorker sends SIGKILL to the worker and its whole process group, and to
// what left that, where the worker has a cgroup of its own.
func (s *supervisor) killWorker(w *worker) {
	w.killed = true
	if w.master != nil {
		s.signalKept(w, unix.SIGKILL)
		return
	}
	_ = s.sys.kill(-w.pid, unix.SIGKILL)
	_ = s.sys.kill(w.pid, unix.SIGKILL)
	if w.leaf != nil {
		_ = w.leaf.Kill()
	}
}

// killForMemory is killWorker where its memory is wanted back at once. A dying
// process gives it back when it gets to run, which may take long on a machine
// that is short of memory: process_mrelease(2), Linux 5.15, takes it away beside
// that, from the main process and its children, which a shell or a master has
// most of it in. It may take its time as well, so the loop does not wait for it.
func (s *supervisor) killForMemory(w *worker) {
	pids := append(childrenOf(w.pid), w.pid)
	s.killWorker(w)
	var dying []int // the loop reaps, so until it goes on each pid is its own
	for _, pid := range pids {
		if fd, err := unix.PidfdOpen(pid, 0); err == nil {
			dying = append(dying, fd)
		}
	}
	go func() {
		for _, fd := range dying {
			_, _, _ = unix.Syscall(unix.SYS_PROCESS_MRELEASE, uintptr(fd), 0, 0)
			unix.Close(fd)
		}
	}()
}

// childrenOf are the children of a process's main thread:
// /proc/PID/task/PID/children, where the kernel has CONFIG_PROC_CHILDREN. It is
// one read: cost.Descendants looks at every process there is, and a kill that
// waits for that comes late.
func childrenOf(pid int) (pids []int) {
	list, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	for _, word := range strings.Fields(string(list)) {
		if child, err := strconv.Atoi(word); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}
