package libmymem

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/memsup/memsup/budget"
)

// TestHuge has both read files of lengths around those at which they take a larger
// buffer, and at which they take no more.
func TestHuge(t *testing.T) {
	const stat, mountinfo = "sys/fs/cgroup/memory.stat", "proc/self/mountinfo"
	c := start(t)
	archive := trees(t)["docker-v2"]
	for _, tt := range []struct {
		name, line string
		length     int
		flawed     bool
	}{
		{stat, "filler 0\n", 8<<10 - 1, false},
		{stat, "filler 0\n", 8 << 10, false},
		{stat, "filler 0\n", 8<<10 + 1, false},
		{stat, "filler 0\n", 1<<20 - 1, false},
		{stat, "filler 0\n", 1 << 20, true},
		{stat, "\n", 1<<20 + 1, true},
		{"proc/meminfo", "\n", 1<<20 + 1, true},
		{"sys/fs/cgroup/memory.max", "1", 1<<20 + 1, true},
		{mountinfo, "1 1 0:1 / / rw - tmpfs tmpfs rw\n", 4 << 10, false},
		{mountinfo, "1 1 0:1 / / rw - tmpfs tmpfs rw\n", 16<<20 - 1, false},
		{mountinfo, "1 1 0:1 / / rw - tmpfs tmpfs rw\n", 16 << 20, true},
	} {
		t.Run(fmt.Sprintf("%s of %d bytes", filepath.Base(tt.name), tt.length), func(t *testing.T) {
			root := unpack(t, archive)
			plain := answer(root)
			for _, f := range archive.Files {
				if f.Name == tt.name {
					write(t, filepath.Join(root, f.Name), lengthen(f.Data, tt.line, tt.length))
				}
			}
			got, want := c.ask(t, root), answer(root)
			var flaw *budget.FormatError
			if !want.agrees(got) || errors.As(want.err, &flaw) != tt.flawed || !tt.flawed && want.text != plain.text {
				t.Errorf("libmymem:\n%s\nbudget:\n%s", got, want.text)
			}
		})
	}
}

// lengthen puts lines before text, and the rest of one, so that it gets a length.
func lengthen(text []byte, line string, length int) []byte {
	fill := max(0, length-len(text))
	long := bytes.Repeat([]byte(line), fill/len(line))
	if rest := fill % len(line); rest > 0 {
		long = append(long[:len(long)-1], bytes.Repeat([]byte("0"), rest)...)
		long = append(long, '\n')
	}
	return append(long, text...)
}
