package budget

import (
	"math"
	"strconv"
	"syscall"
)

// Rlimit is the lower of this process's soft RLIMIT_AS and RLIMIT_DATA, as
// getrlimit(2) gives them; the result is false where neither is set. They limit
// the address space and the data of each process by itself, children inherit
// them, and Read leaves them out.
func Rlimit() (int64, bool) {
	as, asLimited := rlimit(syscall.RLIMIT_AS)
	data, dataLimited := rlimit(syscall.RLIMIT_DATA)
	if !asLimited || dataLimited && data < as {
		return data, dataLimited
	}
	return as, true
}

func rlimit(resource int) (int64, bool) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(resource, &r); err != nil || r.Cur > math.MaxInt64 {
		return 0, false
	}
	return int64(r.Cur), true
}

func rlimitSources() []Source {
	var list []Source
	for _, r := range []struct {
		name     string
		resource int
	}{{"RLIMIT_AS", syscall.RLIMIT_AS}, {"RLIMIT_DATA", syscall.RLIMIT_DATA}} {
		s := Source{Name: r.name, File: "getrlimit(2)", Value: "unlimited"}
		if n, ok := rlimit(r.resource); ok {
			s.Value = strconv.FormatInt(n, 10)
		}
		list = append(list, s)
	}
	return list
}
