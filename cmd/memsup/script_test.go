package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/memsup/memsup/lens"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"memsup": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(name string) (bool, error) {
			if name != "lens" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			v, err := lens.NewView()
			if err == nil {
				_, err = v.Open(lens.Exact)
			}
			if err != nil && os.Getenv("CI") == "true" {
				return false, err
			}
			return err == nil, nil
		},
		Setup: func(env *testscript.Env) error {
			// A program built with -race otherwise waits a second before it ends.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			env.Setenv("XDG_RUNTIME_DIR", filepath.Join(env.WorkDir, "run"))
			self, err := exec.LookPath("memsup")
			if err != nil {
				return err
			}
			// No other directory: one that cannot be searched changes what a
			// program that is nowhere ends with.
			bin := filepath.Join(env.WorkDir, "programs")
			env.Setenv("PATH", bin+":"+filepath.Dir(self)+":/usr/bin:/bin")
			for _, dir := range []string{filepath.Join(env.WorkDir, "run"), bin} {
				if err := os.Mkdir(dir, 0o700); err != nil {
					return err
				}
			}
			for _, name := range []string{"serve", "work", "tick", "migrate"} {
				if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
					return err
				}
			}
			return nil
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
	if err := os.WriteFile("Procfile", []byte("web: cat\nworker: cat\n"), 0o644); err != nil {
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
