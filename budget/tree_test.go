package budget

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree unpacks testdata/NAME.txtar and returns its root.
func tree(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	return unpack(t, string(text))
}

// unpack writes the files of an archive: lines "-- path --" with the text of each
// after it. What precedes the first is a comment.
func unpack(t testing.TB, archive string) string {
	t.Helper()
	root := t.TempDir()
	sections := strings.Split("\n"+strings.TrimSuffix(archive, "\n"), "\n-- ")
	for _, section := range sections[1:] {
		path, text, ok := strings.Cut(section+"\n", " --\n")
		if !ok {
			t.Fatalf("no end of a path in %.40q", section)
		}
		write(t, filepath.Join(root, path), text)
	}
	return root
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// openTree opens the Budget of a root and closes it at the test's end.
func openTree(t testing.TB, root string) *Budget {
	t.Helper()
	b, err := OpenAt(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func read(t testing.TB, b *Budget) Memory {
	t.Helper()
	m, err := b.Read()
	if err != nil {
		t.Fatal(err)
	}
	m.LimitFrom = strings.TrimPrefix(m.LimitFrom, b.root)
	m.AvailableFrom = strings.TrimPrefix(m.AvailableFrom, b.root)
	return m
}
