package budget

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// corruptions are what may befall a kernel file's text.
var corruptions = []struct {
	name string
	of   func([]byte) []byte
}{
	{"cut off before its end", func(text []byte) []byte { return text[:len(text)-1] }},
	{"cut off in the middle", func(text []byte) []byte {
		return bytes.TrimRight(text[:max(1, len(text)/2)], "\n")
	}},
	{"letters for digits", func(text []byte) []byte {
		return bytes.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return 'x'
			}
			return r
		}, text)
	}},
	{"numbers without end", func(text []byte) []byte {
		return bytes.ReplaceAll(text, []byte("\n"), []byte("99999999999999999999\n"))
	}},
	{"zeros", func(text []byte) []byte { return make([]byte, len(text)) }},
	{"a text without end", func([]byte) []byte { return bytes.Repeat([]byte("1"), longest+1) }},
}

// A file that is corrupt is an error that names it, or makes no difference: never
// another number.
func TestCorruptFiles(t *testing.T) {
	named := 0
	for _, tt := range trees {
		root := tree(t, tt.name)
		want, wantCPU, wantText, err := everything(root)
		if err != nil {
			t.Fatal(err)
		}
		var files []string
		err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			text, err := os.ReadFile(path)
			if err != nil || len(bytes.TrimSpace(text)) == 0 {
				continue
			}
			for _, c := range corruptions {
				if c.name == "numbers without end" && strings.HasPrefix(path, root+"/proc/self/") {
					continue // no numbers but names at the lines' ends
				}
				write(t, path, string(c.of(text)))
				m, cpu, text, err := everything(root)
				var bad *FormatError
				switch {
				case errors.As(err, &bad) && bad.Path == path && bad.Line > 0:
					named++
				case err != nil:
					t.Errorf("%s: %s, %s: %v", tt.name, path, c.name, err)
				case text != wantText:
					t.Errorf("%s: %s, %s: got\n%s", tt.name, path, c.name, text)
				case m != want || cpu != wantCPU:
					t.Errorf("%s: %s, %s:\ngot  %+v, %+v\nwant %+v, %+v", tt.name, path, c.name, m, cpu, want, wantCPU)
				}
			}
			write(t, path, string(text))
		}
	}
	if named < 100 {
		t.Errorf("%d files were found to be corrupt; the test does not reach them", named)
	}
}

// everything is what the Budget of root tells; the last is the text of meminfo.
func everything(root string) (Memory, CPU, string, error) {
	b, err := OpenAt(root)
	if err != nil {
		return Memory{}, CPU{}, "", err
	}
	defer b.Close()
	m, err := b.Read()
	if err != nil {
		return Memory{}, CPU{}, "", err
	}
	m.LimitFrom, m.AvailableFrom = strings.TrimPrefix(m.LimitFrom, root), strings.TrimPrefix(m.AvailableFrom, root)
	var info Meminfo
	if err := b.ReadMeminfo(&info); err != nil {
		return Memory{}, CPU{}, "", err
	}
	cpu, err := b.CPU()
	cpu.LimitFrom = strings.TrimPrefix(cpu.LimitFrom, root)
	return m, cpu, string(info.Append(nil)), err
}

// A file may get corrupt between two readings, and whole again.
func TestCorruptForAWhile(t *testing.T) {
	root := tree(t, "docker-v2")
	b := openTree(t, root)
	want := read(t, b)
	usage, err := os.ReadFile(root + v2 + "/memory.current")
	if err != nil {
		t.Fatal(err)
	}
	write(t, root+v2+"/memory.current", "12x4\n")
	_, err = b.Read()
	if text := root + v2 + `/memory.current:1: "12x4" is not a decimal number`; err == nil || err.Error() != text {
		t.Errorf("got %v, want %s", err, text)
	}
	write(t, root+v2+"/memory.current", string(usage))
	if m := read(t, b); m != want {
		t.Errorf("got %+v, want %+v", m, want)
	}
}

// Where the files have to be looked for again and mountinfo is corrupt then, the
// host's numbers do not stand in.
func TestCorruptWhenLookedForAgain(t *testing.T) {
	root := tree(t, "docker-v2")
	b := openTree(t, root)
	want := read(t, b)
	mountinfo, err := os.ReadFile(root + "/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	write(t, root+"/proc/self/mountinfo", "nonsense\n")
	b.levels[0].usage.lost = true
	for range 2 {
		var bad *FormatError
		if m, err := b.Read(); !errors.As(err, &bad) {
			t.Errorf("got %+v, %v", m, err)
		}
	}
	write(t, root+"/proc/self/mountinfo", string(mountinfo))
	if m := read(t, b); m != want {
		t.Errorf("got %+v, want %+v", m, want)
	}
}
