package spawn

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// User is who a process is.
type User struct {
	UID, GID int
	Groups   []int // supplementary ones
}

// String is 1000:1000, and the supplementary groups where there are any.
func (u *User) String() string {
	text := fmt.Sprintf("%d:%d", u.UID, u.GID)
	if len(u.Groups) > 0 {
		text += " with groups " + list(u.Groups)
	}
	return text
}

// become makes this thread the user's, with no capability but those to keep. They
// are ambient then.
func (u *User) become(keep Capabilities) error {
	err := os.NewSyscallError("setgroups", unix.Setgroups(u.Groups))
	if err == nil {
		_, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, uintptr(u.GID), uintptr(u.GID), uintptr(u.GID))
		err = failed("setresgid", errno)
	}
	if err == nil && keep != 0 {
		err = os.NewSyscallError("prctl(PR_SET_KEEPCAPS)", unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0))
	}
	if err == nil {
		_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(u.UID), uintptr(u.UID), uintptr(u.UID))
		err = failed("setresuid", errno)
	}
	if err == nil {
		err = setCapabilities(keep, keep, keep)
	}
	if err == nil {
		err = raiseAmbient(keep)
	}
	if err != nil {
		return fmt.Errorf("become user %s: %w", u, err)
	}
	return nil
}

func failed(call string, errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return os.NewSyscallError(call, errno)
}

// BecomeUser makes this process, all its threads, the user's for good, with no
// capability. Who is that user already only loses capabilities. The kernel forgets
// the signal at the parent's end that this thread asked for, and is asked again.
func BecomeUser(u *User) error {
	var atParentsEnd int32
	err := os.NewSyscallError("prctl(PR_GET_PDEATHSIG)", unix.Prctl(unix.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(&atParentsEnd)), 0, 0, 0))
	if err != nil {
		return err
	}
	if uid, euid, suid := unix.Getresuid(); uid != u.UID || euid != u.UID || suid != u.UID || unix.Getegid() != u.GID {
		// Those of package syscall are for all threads, those of package unix for one.
		err = os.NewSyscallError("setgroups", syscall.Setgroups(u.Groups))
		if err == nil {
			err = os.NewSyscallError("setresgid", syscall.Setresgid(u.GID, u.GID, u.GID))
		}
		if err == nil {
			err = os.NewSyscallError("setresuid", syscall.Setresuid(u.UID, u.UID, u.UID))
		}
	}
	if err == nil {
		err = dropCapabilities()
	}
	if err == nil && atParentsEnd != 0 {
		err = os.NewSyscallError("prctl(PR_SET_PDEATHSIG)", unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(atParentsEnd), 0, 0, 0))
	}
	if err != nil {
		return fmt.Errorf("become user %s: %w", u, err)
	}
	return nil
}

// dropCapabilities takes from all threads the capabilities that setresuid(2) left
// them: the inheritable ones, and all where the user was no other one.
func dropCapabilities() error {
	effective, permitted, inheritable, err := HeldCapabilities()
	if err != nil || effective|permitted|inheritable == 0 {
		return err
	}
	header, none := capabilityHeader(), [2]unix.CapUserData{}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none)), 0)
	runtime.KeepAlive(&none)
	return failed("capset", errno)
}
