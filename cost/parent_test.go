package cost

import (
	"os"
	"path/filepath"
	"testing"
)

func TestParent(t *testing.T) {
	if got, ok := Parent("/proc", os.Getpid()); !ok || got != os.Getppid() {
		t.Errorf("got %d, %v; want %d", got, ok, os.Getppid())
	}
	root := t.TempDir()
	if _, ok := Parent(root, 7); ok {
		t.Error("a process that is not there has a parent")
	}
	if err := os.Mkdir(filepath.Join(root, "7"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "7", "stat"), []byte("7 (a) b) S"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, ok := Parent(root, 7); ok {
		t.Error("a stat that is cut off has a parent")
	}
}
