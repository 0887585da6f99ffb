package cost

import (
	"fmt"
	"os"
)

// Parent returns the parent of a process: field 4 (ppid) of /proc/PID/stat. It
// is false where there is no such process any more.
func Parent(procRoot string, pid int) (parent int, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("%s/%d/stat", procRoot, pid))
	if err != nil {
		return 0, false
	}
	s, ok := parseStat(b)
	return s.ppid, ok
}
