package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// inside is the container's first process, already in its cgroup and in
// namespaces of its own. It makes a root of its own, as a container's runtime
// does, waits until descriptor 3 is closed from outside, gives up every
// capability, unless it is to keep them, and becomes the program.
func inside(args []string) error {
	flags := flag.NewFlagSet("inside", flag.ExitOnError)
	writable := flags.Bool("writable", false, "mount cgroups for writing")
	noClone3 := flags.Bool("no-clone3", false, "answer clone3 with ENOSYS")
	capable := flags.Bool("capable", false, "keep every capability")
	uid := flags.Int("user", 0, "user and group id")
	_ = flags.Parse(args)
	runtime.LockOSThread() // capabilities are a thread's
	if err := changeRoot(*writable); err != nil {
		return err
	}
	gate := os.NewFile(3, "gate")
	if _, err := io.Copy(io.Discard, gate); err != nil {
		return err
	}
	gate.Close()
	if err := os.Chdir("/app"); err != nil {
		return err
	}
	if !*capable {
		if err := dropCapabilities(); err != nil {
			return err
		}
	}
	if err := changeUser(*uid); err != nil {
		return err
	}
	if *noClone3 {
		if err := refuse(unix.SYS_CLONE3); err != nil {
			return err
		}
	}
	return become(flags.Args())
}

// refuse has the kernel answer ENOSYS to a system call of this thread and of what
// it becomes.
func refuse(call uint32) error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}

// changeRoot makes a read-only root out of the machine's with fresh kernel file
// systems in it. What lies beneath is out of sight afterwards, in mountinfo too.
func changeRoot(writable bool) error {
	const root = "/container"
	cgroupFlags := uintptr(unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	if !writable {
		cgroupFlags |= unix.MS_RDONLY
	}
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"/", root, "", unix.MS_BIND},
		{"/dev", root + "/dev", "", unix.MS_BIND},
		{"/disk", root + "/disk", "", unix.MS_BIND},
		{"proc", root + "/proc", "proc", 0},
		{"sysfs", root + "/sys", "sysfs", unix.MS_RDONLY},
		{"cgroup", root + cgroups, "cgroup2", cgroupFlags},
		{"tmpfs", root + "/run", "tmpfs", 0},
		{"tmpfs", root + "/tmp", "tmpfs", 0},
		{"", root, "", unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY},
	} {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	for _, dir := range []string{"/run", "/tmp"} {
		if err := os.Chmod(root+dir, 0o1777); err != nil {
			return err
		}
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return err
	}
	return unix.Chroot(".")
}

// dropCapabilities empties the bounding set, so that the next exec leaves none
// even to root.
func dropCapabilities() error {
	for c := range uintptr(64) {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	return nil
}

func changeUser(uid int) error {
	if uid == 0 {
		return nil
	}
	if err := syscall.Setgid(uid); err != nil {
		return err
	}
	return syscall.Setuid(uid)
}

// become replaces this program by another.
func become(words []string) error {
	if len(words) == 0 {
		return errors.New("no program is named")
	}
	path, err := exec.LookPath(words[0])
	if err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", path, syscall.Exec(path, words, os.Environ()))
}
