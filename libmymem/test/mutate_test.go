package libmymem

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/memsup/memsup/budget"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestMutations has both read some thousand trees, each with one or two files that
// are not as they were captured. No number may be out of its range.
func TestMutations(t *testing.T) {
	const rounds = 120
	c := start(t)
	cases, numbers, flaws := 0, 0, 0
	all := trees(t)
	for i, name := range slices.Sorted(maps.Keys(all)) {
		archive := all[name]
		random := rand.New(rand.NewPCG(4, uint64(i)))
		root := unpack(t, archive)
		plain := answer(root).text
		files := slices.DeleteFunc(slices.Clone(archive.Files), func(f txtar.File) bool { return !shared[filepath.Base(f.Name)] })
		for round := range rounds {
			var said string
			var changed []txtar.File
			for range 1 + round%2 {
				f := files[random.IntN(len(files))]
				text := mutate(random, f.Data, files)
				said += fmt.Sprintf("\n%s: %q", f.Name, text)
				put(t, root, f.Name, text)
				changed = append(changed, f)
			}
			got, want := c.ask(t, root), answer(root)
			if !want.agrees(got) || want.err == nil && !want.inRange() {
				t.Errorf("%s, round %d:%s\nlibmymem:\n%s\nbudget:\n%s", name, round, said, got, want.text)
				break
			}
			var flaw *budget.FormatError
			switch {
			case errors.As(want.err, &flaw):
				flaws++
			case want.text != plain:
				numbers++
			}
			cases++
			for _, f := range changed {
				put(t, root, f.Name, f.Data)
			}
		}
	}
	t.Logf("%d cases: %d with a flaw, %d with other numbers", cases, flaws, numbers)
	if flaws < cases/6 || numbers < cases/6 {
		t.Error("too few of either to tell anything")
	}
}

// shared are the files that both read; budget reads others for its counts.
var shared = map[string]bool{
	"mountinfo": true, "cgroup": true, "meminfo": true, "zoneinfo": true,
	"memory.max": true, "memory.high": true, "memory.current": true, "memory.stat": true,
	"memory.swap.max": true, "memory.swap.current": true,
	"memory.limit_in_bytes": true, "memory.usage_in_bytes": true, "memory.use_hierarchy": true,
	"memory.memsw.limit_in_bytes": true, "memory.memsw.usage_in_bytes": true,
	"sockstat": true, "overcommit_memory": true,
}

// put writes a file, or takes it away where text is nil.
func put(t *testing.T, root, name string, text []byte) {
	t.Helper()
	path := filepath.Join(root, name)
	if text != nil {
		write(t, path, text)
	} else if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

// pieces are what parsers stumble over.
var pieces = []string{
	"0", "1", "2", "-1", "max", "4096", "9007199254740991", "9007199254740992", "9223372036854771712", "9223372036854775807",
	"9223372036854775808", "18446744073709551615", "18446744073709551616", "1e9", "0x10", "+1",
	" ", "\n", "\n\n", "\x00", " - ", `\040`, `\000`, `\777`, `\`, "/", "//", "/..", "/../", ":", ",", " kB", "memory", ",memory", "cgroup2",
	"total_inactive_file 4096\n", "inactive_file 4096\n", "inactive_file\n", "hierarchical_memory_limit 1048576\n",
	"MemAvailable: 4 kB\n", "SwapTotal: 65536 kB\n", "0::/\n", "slab_reclaimable 8388608\n", "sockets: used ",
}

// mutate makes another text of a file's; nil is that the file goes.
func mutate(random *rand.Rand, text []byte, files []txtar.File) []byte {
	from, to := random.IntN(len(text)+1), random.IntN(len(text)+1)
	if from > to {
		from, to = to, from
	}
	piece := []byte(pieces[random.IntN(len(pieces))])
	switch random.IntN(16) {
	case 0:
		return nil
	case 1:
		return text[:from:from]
	case 2:
		return slices.Concat(text[:from], text[to:], []byte{})
	case 3:
		return slices.Concat(text[:from], piece, text[from:])
	case 4:
		return slices.Concat(text[:from], []byte{byte(random.UintN(256))}, text[min(from+1, len(text)):])
	case 5:
		return files[random.IntN(len(files))].Data
	case 6:
		lines := strings.SplitAfter(string(text), "\n")
		i, j := random.IntN(len(lines)), random.IntN(len(lines))
		lines[i], lines[j] = lines[j], lines[i]+string(piece)
		return []byte(strings.Join(lines, ""))
	case 7:
		return slices.Concat(text, text[from:], []byte{})
	default:
		return otherNumber(random, text, piece)
	}
}

// keys are those of the lines that are looked at.
var keys = []string{
	"MemTotal:", "MemFree:", "MemAvailable:", "Active(file):", "Inactive(file):", "SwapTotal:", "SwapFree:",
	"inactive_file", "active_file", "file_dirty", "file_writeback", "slab_reclaimable",
	"SReclaimable:", "CommitLimit:", "Committed_AS:", "sockets:", "total_inactive_file", "total_active_file", "total_dirty", "total_writeback", "hierarchical_memory_limit",
}

// otherNumber gives one of the numbers that are looked at another value.
func otherNumber(random *rand.Rand, text, piece []byte) []byte {
	lines := strings.SplitAfter(string(text), "\n")
	var candidates []int
	for i, line := range lines {
		key, _, isKeyed := strings.Cut(line, " ")
		if !isKeyed || slices.Contains(keys, key) {
			candidates = append(candidates, i)
		}
	}
	if len(candidates) == 0 {
		return slices.Concat(text, piece)
	}
	if random.IntN(4) > 0 {
		piece = fmt.Append(nil, random.Uint64()>>(14+random.IntN(50)))
	}
	line := &lines[candidates[random.IntN(len(candidates))]]
	from := strings.IndexAny(*line, "0123456789")
	if from < 0 {
		return slices.Concat(piece, []byte("\n"))
	}
	to := from
	for to < len(*line) && (*line)[to] >= '0' && (*line)[to] <= '9' {
		to++
	}
	*line = (*line)[:from] + string(piece) + (*line)[to:]
	return []byte(strings.Join(lines, ""))
}
