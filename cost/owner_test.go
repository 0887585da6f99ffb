package cost

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"
	"unsafe"
)

// Docker's default capabilities, by number (capabilities(7)).
const (
	capSetgid  = 1 << 6
	capSetuid  = 1 << 7
	capDefault = capSetgid | capSetuid | 1<<0 | 1<<1 | 1<<3 | 1<<4 | 1<<5 | 1<<8 | 1<<10 | 1<<13 | 1<<18 | 1<<27 | 1<<29 | 1<<31
)

// withCaps runs f on a thread that has no other capabilities than these and
// that ends with f.
func withCaps(t *testing.T, caps uint32, f func()) {
	t.Helper()
	done := make(chan syscall.Errno)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is not used again
		var errno syscall.Errno
		defer func() { done <- errno }()
		type set struct{ effective, permitted, _ uint32 }
		header := struct{ version, pid uint32 }{version: 0x2008_0522}
		var now [2]set
		if _, _, errno = syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&now)), 0); errno != 0 {
			return
		}
		caps &= now[0].permitted
		now = [2]set{{effective: caps, permitted: caps}}
		if _, _, errno = syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&now)), 0); errno != 0 {
			return
		}
		f()
	}()
	if errno := <-done; errno != 0 {
		t.Skip("capset: ", errno)
	}
}

// ofAnother starts a worker of another user, and skips where the test may not.
func ofAnother(t *testing.T) *worker {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to have a worker of another user")
	}
	return startWorkerAs(t, exeFor(t), &syscall.Credential{Uid: 1000, Gid: 1001})
}

func ids(t *testing.T) []byte {
	t.Helper()
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Error(err)
	}
	_, status, _ = bytes.Cut(status, []byte("\nUid:"))
	status, _, _ = bytes.Cut(status, []byte("\nGroups:"))
	return status
}

func dumpable() uintptr {
	n, _, _ := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_GET_DUMPABLE, 0, 0)
	return n
}

func TestWorkerOfAnotherUser(t *testing.T) {
	w := ofAnother(t)
	withCaps(t, capDefault, func() {
		// The child that took other ids to become the worker shared this
		// process's memory until it executed, and so cleared the flag.
		syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 1, 0)
		m := NewMeter("/proc")
		if _, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", w.pid)); !errors.Is(err, syscall.EACCES) {
			t.Errorf("the test proves nothing: %v, want EACCES", err)
		}
		// Another thread may have other ids for a moment, too.
		syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0)
		idsBefore := ids(t)
		first := one(t, m, w, 1)
		w.do("anon 32")
		w.do("shmem 16")
		s := one(t, m, w, 1)
		near(t, "exact", s.Bytes, first.Bytes, 48)
		if !first.Exact || !s.Exact {
			t.Errorf("exact: %v, %v", first.Exact, s.Exact)
		}
		if way := m.table.find(w.pid).way; way != byOwner {
			t.Errorf("way %d, want byOwner", way)
		}
		if now := ids(t); !bytes.Equal(now, idsBefore) {
			t.Errorf("ids now %s, before %s", now, idsBefore)
		}
		if now := dumpable(); now != 1 {
			t.Errorf("dumpable %d, before 1", now)
		}
	})
}

func TestWorkerThatCannotBeRead(t *testing.T) {
	w := ofAnother(t)
	withCaps(t, capDefault&^(capSetuid|capSetgid), func() {
		m := NewMeter("/proc")
		first := one(t, m, w, 1)
		w.do("anon 32")
		near(t, "between", one(t, m, w, 0).Bytes, first.Bytes, 32)
		s := one(t, m, w, 1)
		near(t, "status", s.Bytes, first.Bytes, 32)
		if first.Exact || s.Exact {
			t.Errorf("exact: %v, %v", first.Exact, s.Exact)
		}
		p := m.table.find(w.pid)
		if p.way != byStatus {
			t.Errorf("way %d, want byStatus", p.way)
		}
		p.uid++ // as if it had executed another program, of another user
		withCaps(t, capDefault, func() {
			if s := one(t, m, w, 1); !s.Exact {
				t.Error("a new owner was not tried")
			}
		})
	})
}
