package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"memsup": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("XDG_RUNTIME_DIR", filepath.Join(env.WorkDir, "run"))
			return os.Mkdir(filepath.Join(env.WorkDir, "run"), 0o700)
		},
	})
}

// TestConfigMistakes reads each file of the archive as a memsup.toml beside a
// Procfile with web and worker. The file's name is the error.
func TestConfigMistakes(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/memsup.toml.mistakes")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("Procfile", []byte("web: serve\nworker: work\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		if err := os.WriteFile("memsup.toml", f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
		inv, _ := newInvocation()
		_, err := inv.load()
		got := "no error"
		if err != nil {
			got = err.Error()
		}
		if got != f.Name {
			t.Errorf("%s\ngot  %s\nwant %s", strings.TrimRight(string(f.Data), "\n"), got, f.Name)
		}
		if !inFile(err) {
			t.Errorf("%q is not known to be in a file", got)
		}
	}
}
