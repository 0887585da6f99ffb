//go:build container

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A short run of one profile comes out in the format of the committed ones.
func TestShortRun(t *testing.T) {
	if err := exec.Command("docker", "version").Run(); err != nil || os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs root and Docker: %v", err)
		}
		t.Skipf("needs root and Docker: %v", err)
	}
	dir := t.TempDir()
	if err := run(t.Context(), dir, 90, []string{"gunicorn"}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "gunicorn.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := check("gunicorn", text); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}
