// Package test holds what is tested of memsup as a whole.
package test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/memsup/memsup/"

// mayImport is who may import whom within memsup: arrows go one way, and a
// leaf imports nothing of memsup. docs/architecture.md shows it.
var mayImport = map[string][]string{
	"budget":     {},
	"cost":       {},
	"filewatch":  {},
	"leaf":       {},
	"lens":       {"budget"},
	"policy":     {},
	"pressure":   {},
	"procfile":   {},
	"reaper":     {},
	"record":     {"policy"},
	"sim":        {"policy"},
	"spawn":      {},
	"trap":       {},
	"supervisor": {"budget", "cost", "filewatch", "leaf", "lens", "policy", "pressure", "procfile", "reaper", "record", "spawn", "trap"},
	"cmd/memsup": {"budget", "filewatch", "leaf", "lens", "policy", "pressure", "procfile", "record", "sim", "spawn", "supervisor"},
}

// impure are imports that would give package policy a clock, a file or a
// random number.
var impure = []string{"os", "io", "net", "syscall", "log", "log/slog", "math/rand", "math/rand/v2", "crypto/rand", "context", "sync"}

func TestImports(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range goFiles(t) {
		dir := filepath.ToSlash(filepath.Dir(file))
		allowed, known := mayImport[dir]
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(dir, "examples/") || strings.HasPrefix(dir, "test/") || dir == "test" {
			continue
		}
		if !known {
			t.Errorf("%s is in a package that docs/architecture.md and this test do not know", file)
			continue
		}
		seen[dir] = true
		for _, spec := range parse(t, file, parser.ImportsOnly).Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			if inner, ok := strings.CutPrefix(path, module); ok && !slices.Contains(allowed, inner) {
				t.Errorf("%s imports %s: the arrow goes the wrong way", file, path)
			}
			if dir == "policy" && (slices.Contains(impure, path) || strings.Contains(path, ".")) {
				t.Errorf("%s imports %s: policy is pure", file, path)
			}
		}
	}
	for dir := range mayImport {
		if !seen[dir] {
			t.Errorf("there is no package %s", dir)
		}
	}
}

// TestPolicyHasNoClock: time is an input.
func TestPolicyHasNoClock(t *testing.T) {
	for _, file := range goFiles(t) {
		if filepath.Dir(file) != "policy" || strings.HasSuffix(file, "_test.go") {
			continue
		}
		ast.Inspect(parse(t, file, 0), func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := call.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "After", "Sleep", "NewTimer", "NewTicker", "Tick", "AfterFunc"}, call.Sel.Name) {
				t.Errorf("%s uses time.%s", file, call.Sel.Name)
			}
			return true
		})
	}
}

func TestShape(t *testing.T) {
	const longest = 420
	sources, err := filepath.Glob(filepath.Join(root, "libmymem/*.[ch]"))
	if err != nil || len(sources) == 0 {
		t.Fatalf("no C files: %v", err)
	}
	for _, file := range goFiles(t) {
		sources = append(sources, filepath.Join(root, file))
	}
	for _, file := range sources {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(src, []byte("\n")); n > longest {
			t.Errorf("%s has %d lines: a file is at most %d", file, n, longest)
		}
	}
	for _, file := range goFiles(t) {
		switch name := parse(t, file, parser.PackageClauseOnly).Name.Name; name {
		case "util", "utils", "common", "helper", "helpers", "types", "misc":
			t.Errorf("%s is in a package called %s, which says nothing", file, name)
		}
	}
}

const root = ".."

// goFiles are the Go files of the module, relative to its root.
func goFiles(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-C", root, "-tags", "container,vm",
		"-f", `{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{range .TestGoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}`,
		"./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, path := range strings.Fields(string(out)) {
		file, err := filepath.Rel(top, path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		t.Fatal("go list names no file")
	}
	return files
}

func parse(t *testing.T, file string, mode parser.Mode) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, mode)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
