package spawn

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Resource is one of those that getrlimit(2) limits.
type Resource struct {
	Name  string // in small letters, without RLIMIT_
	ID    int
	Bytes bool // the limit is in bytes; cpu is in seconds, rttime in µs, the others are numbers
}

// Resources are all of them, in the order in which they are limited: last those
// without which the shim itself cannot go on.
var Resources = [...]Resource{
	{"core", unix.RLIMIT_CORE, true},
	{"cpu", unix.RLIMIT_CPU, false},
	{"fsize", unix.RLIMIT_FSIZE, true},
	{"locks", unix.RLIMIT_LOCKS, false},
	{"memlock", unix.RLIMIT_MEMLOCK, true},
	{"msgqueue", unix.RLIMIT_MSGQUEUE, true},
	{"nice", unix.RLIMIT_NICE, false},
	{"nofile", unix.RLIMIT_NOFILE, false},
	{"rss", unix.RLIMIT_RSS, true},
	{"rtprio", unix.RLIMIT_RTPRIO, false},
	{"rttime", unix.RLIMIT_RTTIME, false},
	{"sigpending", unix.RLIMIT_SIGPENDING, false},
	{"nproc", unix.RLIMIT_NPROC, false},
	{"stack", unix.RLIMIT_STACK, true},
	{"data", unix.RLIMIT_DATA, true},
	{"as", unix.RLIMIT_AS, true},
}

// Unlimited is RLIM_INFINITY.
const Unlimited = ^uint64(0)

// Rlimit is a process's limit of one resource.
type Rlimit struct {
	Resource   Resource
	Soft, Hard uint64 // Unlimited is no limit
}

// String is nofile=1024:4096.
func (r Rlimit) String() string {
	return r.Resource.Name + "=" + amount(r.Soft) + ":" + amount(r.Hard)
}

func amount(n uint64) string {
	if n == Unlimited {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

// parseRlimit reads what String wrote.
func parseRlimit(name, value string) (r Rlimit, err error) {
	for _, r.Resource = range Resources {
		if r.Resource.Name != name {
			continue
		}
		soft, hard, _ := strings.Cut(value, ":")
		if r.Soft, err = parseAmount(soft); err == nil {
			r.Hard, err = parseAmount(hard)
		}
		return r, err
	}
	return Rlimit{}, fmt.Errorf("unknown resource %q", name)
}

func parseAmount(s string) (uint64, error) {
	if s == "unlimited" {
		return Unlimited, nil
	}
	return strconv.ParseUint(s, 10, 64)
}

// raise gives this process the hard limit where it is a higher one, which needs
// CAP_SYS_RESOURCE; the soft limit stays.
func (r Rlimit) raise() error {
	var now unix.Rlimit
	err := unix.Getrlimit(r.Resource.ID, &now)
	if err == nil && r.Hard > now.Max {
		err = unix.Setrlimit(r.Resource.ID, &unix.Rlimit{Cur: now.Cur, Max: r.Hard})
	}
	return r.explain(err)
}

// set limits this process. Setting RLIMIT_NOFILE by package unix has the Go
// runtime forget the soft limit that it raised at the start and would otherwise
// restore when the program is executed.
func (r Rlimit) set() error {
	return r.explain(unix.Setrlimit(r.Resource.ID, &unix.Rlimit{Cur: r.Soft, Max: r.Hard}))
}

func (r Rlimit) explain(err error) error {
	if err != nil {
		return fmt.Errorf("set the limit %s: %w", r, err)
	}
	return nil
}
