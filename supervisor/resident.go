package supervisor

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// dropStartup gives back the pages of memsup's own program file that its start
// has touched: most of them are never needed again, and those that are come
// back from the page cache at a fault each. Only its code is dropped (r-xp in
// /proc/self/maps): other mappings may hold relocations. Where that cannot be read nothing happens.
func dropStartup() {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range bytes.Lines(maps) {
		fields := bytes.Fields(line)
		if len(fields) < 6 || string(fields[5]) != exe || string(fields[1]) != "r-xp" {
			continue
		}
		from, to, _ := bytes.Cut(fields[0], []byte("-"))
		start, startErr := strconv.ParseUint(string(from), 16, 64)
		end, endErr := strconv.ParseUint(string(to), 16, 64)
		if startErr != nil || endErr != nil {
			return
		}
		unix.RawSyscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED)
	}
}
