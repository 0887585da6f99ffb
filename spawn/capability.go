package spawn

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Capabilities is a set of capabilities: bit n is number n of capabilities(7).
type Capabilities uint64

// capabilityNames are the names without CAP_, by number
// (include/uapi/linux/capability.h).
var capabilityNames = [...]string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
	"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
	"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
	"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
	"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
	"CHECKPOINT_RESTORE",
}

// ParseCapability reads a name, with or without CAP_ and in any letters.
func ParseCapability(name string) (c Capabilities, ok bool) {
	name = strings.TrimPrefix(strings.ToUpper(name), "CAP_")
	for n, known := range capabilityNames {
		if name == known {
			return 1 << n, true
		}
	}
	return 0, false
}

// CapabilityNames are the names that ParseCapability knows, without CAP_.
func CapabilityNames() []string { return capabilityNames[:] }

// String is the names, without CAP_ and with blanks between.
func (c Capabilities) String() string {
	var names []string
	for n, name := range capabilityNames {
		if c&(1<<n) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// HeldCapabilities are those that this thread may use (effective), those that it
// may put to use (permitted), and those that programs with file capabilities
// would keep (inheritable).
func HeldCapabilities() (effective, permitted, inheritable Capabilities, err error) {
	header, data := capabilityHeader(), [2]unix.CapUserData{}
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, 0, 0, os.NewSyscallError("capget", err)
	}
	join := func(low, high uint32) Capabilities { return Capabilities(low) | Capabilities(high)<<32 }
	return join(data[0].Effective, data[1].Effective), join(data[0].Permitted, data[1].Permitted),
		join(data[0].Inheritable, data[1].Inheritable), nil
}

// setCapabilities gives this thread its three sets.
func setCapabilities(effective, permitted, inheritable Capabilities) error {
	header := capabilityHeader()
	data := [2]unix.CapUserData{
		{Effective: uint32(effective), Permitted: uint32(permitted), Inheritable: uint32(inheritable)},
		{Effective: uint32(effective >> 32), Permitted: uint32(permitted >> 32), Inheritable: uint32(inheritable >> 32)},
	}
	return os.NewSyscallError("capset", unix.Capset(&header, &data[0]))
}

func capabilityHeader() unix.CapUserHeader {
	return unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
}

// raiseAmbient has programs that this thread executes keep c: it has to be
// permitted and inheritable.
func raiseAmbient(c Capabilities) error {
	for n := range 64 {
		if c&(1<<n) == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(n), 0, 0); err != nil {
			return os.NewSyscallError("prctl(PR_CAP_AMBIENT_RAISE)", err)
		}
	}
	return nil
}
