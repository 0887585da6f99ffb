package supervisor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTestament(t *testing.T) {
	path := filepath.Join(t.TempDir(), "termination-log")
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	missing := &testament{path: path}
	missing.add(at, "nobody reads this")
	missing.close()
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was made that nobody asked for")
	}
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	w := &testament{path: path}
	for _, who := range []string{"a", "b", "c"} {
		w.add(at, strings.Repeat(who, 2000))
	}
	w.close()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Two lines of 2,011 bytes fit in 4,096.
	want := "03:04:05Z " + strings.Repeat("b", 2000) + "\n03:04:05Z " + strings.Repeat("c", 2000) + "\n"
	if string(got) != want {
		t.Errorf("%d bytes, want %d:\n%.40s", len(got), len(want), got)
	}
}
