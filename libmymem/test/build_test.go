// Package libmymem holds the tests of the C library libmymem, beside the Go
// package whose rules it follows.
package libmymem

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// built is the directory of the library and the tool, and in sanitize of both under
// the sanitizers.
var built = sync.OnceValues(func() (string, error) {
	// What the test has read itself, go test knows to run it again for.
	sources, err := filepath.Glob("../*.*")
	if err != nil {
		return "", err
	}
	for _, path := range append(sources, "../Makefile") {
		if _, err := os.ReadFile(path); err != nil {
			return "", err
		}
	}
	dir, err := os.MkdirTemp("", "libmymem")
	if err != nil {
		return "", err
	}
	remove = dir
	probe := exec.Command("cc", "-fsanitize=address,undefined", "-o", filepath.Join(dir, "probe"), "-x", "c", "-")
	probe.Stdin = strings.NewReader("int main(void) { return 0; }\n")
	if out, err := probe.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w: %w\n%s", errNoSanitizers, err, out)
	}
	out, err := exec.Command("make", "-C", "..", "BUILD="+dir, "WERROR=-Werror", "all", "check", "sanitize").CombinedOutput()
	if err != nil {
		return dir, fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

var (
	errNoSanitizers = errors.New("cc has no sanitizers")
	remove          string // built's directory, once there is one
)

func TestMain(m *testing.M) {
	code := m.Run()
	if remove != "" {
		os.RemoveAll(remove)
	}
	os.Exit(code)
}

func build(t *testing.T) string {
	t.Helper()
	need(t, "make")
	need(t, "cc")
	dir, err := built()
	if errors.Is(err, errNoSanitizers) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// need skips the test where a program is missing, and fails it where .ci/run has
// installed all of them.
func need(t *testing.T, program string) {
	t.Helper()
	_, err := exec.LookPath(program)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}

// TestBuild builds everything without a warning and runs check.c, without and with
// the sanitizers.
func TestBuild(t *testing.T) { build(t) }

// TestSymbols has the static library clash with nobody's names.
func TestSymbols(t *testing.T) {
	need(t, "nm")
	archive := filepath.Join(build(t), "libmymem.a")
	found := false
	for line := range strings.Lines(run(t, nil, "nm", "-g", "-P", "--defined-only", archive)) {
		name, _, isSymbol := strings.Cut(line, " ")
		if isSymbol && !strings.HasPrefix(name, "mymem_") {
			t.Errorf("libmymem.a defines %s", name)
		}
		found = found || name == "mymem_open"
	}
	if !found {
		t.Error("libmymem.a does not define mymem_open")
	}
}

func TestTool(t *testing.T) {
	tool := filepath.Join(build(t), "mymem")
	root := unpack(t, trees(t)["docker-v2"])
	const usage = "usage: mymem [--root DIR | --roots]\n"
	for _, tt := range []struct {
		args           []string
		status         int
		stdout, stderr string
	}{
		{[]string{"--root", root}, 0, answer(root).text, ""},
		{[]string{"--root", root + "//"}, 0, answer(root).text, ""},
		{[]string{"--root", "/nonexistent"}, 1, "", "mymem: /nonexistent/proc/meminfo: No such file or directory\n"},
		{[]string{"--root"}, 2, "", usage},
		{[]string{"--help"}, 2, "", usage},
	} {
		cmd := exec.Command(tool, tt.args...)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		_ = cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != tt.status || stdout.String() != tt.stdout || stderr.String() != tt.stderr {
			t.Errorf("%q: status %d\n%s%s", tt.args, got, &stdout, &stderr)
		}
	}
}

// TestInstall installs below a DESTDIR, for another PREFIX than what was built, and compiles the manual's example against
// that, in pkg-config's words where there is one.
func TestInstall(t *testing.T) {
	dir, dest := build(t), t.TempDir()
	run(t, nil, "make", "-C", "..", "BUILD="+dir, "WERROR=-Werror", "DESTDIR="+dest, "PREFIX=/usr", "install")
	for _, name := range []string{
		"include/mymem.h", "lib/libmymem.a", "lib/libmymem.so", "lib/libmymem.so.0", "lib/pkgconfig/mymem.pc",
		"bin/mymem", "share/man/man1/mymem.1", "share/man/man3/mymem.3",
	} {
		if _, err := os.Stat(filepath.Join(dest, "usr", name)); err != nil {
			t.Error(err)
		}
	}
	pc, err := os.ReadFile(filepath.Join(dest, "usr/lib/pkgconfig/mymem.pc"))
	if err != nil || !strings.HasPrefix(string(pc), "prefix=/usr\nlibdir=/usr/lib\n") {
		t.Errorf("mymem.pc: %v\n%s", err, pc)
	}
	page, err := os.ReadFile("../mymem.3")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), ".Bd -literal\n")
	example, _, ok := strings.Cut(example, ".Ed\n")
	if !ok {
		t.Fatal("no example in mymem.3")
	}
	source, program := filepath.Join(dest, "main.c"), filepath.Join(dest, "main")
	write(t, source, []byte(strings.ReplaceAll(example, `\en`, `\n`)))
	flags := []string{"-I" + dest + "/usr/include", "-L" + dest + "/usr/lib", "-lmymem"}
	if _, err := exec.LookPath("pkg-config"); err == nil {
		env := []string{"PKG_CONFIG_PATH=" + dest + "/usr/lib/pkgconfig", "PKG_CONFIG_SYSROOT_DIR=" + dest}
		flags = strings.Fields(run(t, env, "pkg-config", "--cflags", "--libs", "mymem"))
	}
	run(t, nil, "cc", append([]string{"-Wall", "-Wextra", "-Werror", "-o", program, source}, flags...)...)
	out := run(t, []string{"LD_LIBRARY_PATH=" + dest + "/usr/lib"}, program)
	var available, limit int64
	if _, err := fmt.Sscanf(out, "%d of %d\n", &available, &limit); err != nil || available < 0 || limit < available {
		t.Errorf("the example printed %q", out)
	}
}

func TestManual(t *testing.T) {
	need(t, "groff")
	for _, page := range []string{"../mymem.1", "../mymem.3"} {
		out, err := exec.Command("groff", "-ww", "-mandoc", "-Tutf8", "-z", page).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", page, err, out)
		}
	}
}

// TestBindings runs the examples in other languages over the shared library.
func TestBindings(t *testing.T) {
	for _, tt := range []struct{ program, script string }{
		{"python3", "mymem.py"},
		{"ruby", "mymem.rb"},
	} {
		t.Run(tt.program, func(t *testing.T) {
			need(t, tt.program)
			script := "../../examples/mymem/" + tt.script
			if _, err := os.ReadFile(script); err != nil {
				t.Fatal(err)
			}
			out := run(t, []string{"LIBMYMEM=" + build(t) + "/libmymem.so.0"}, tt.program, script)
			values := make(map[string]string)
			for line := range strings.Lines(out) {
				name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
				values[name] = value
			}
			want := answer("").text
			for _, name := range []string{"limit", "limit_from", "limited", "rung", "host_total"} {
				if !strings.Contains("\n"+want, "\n"+name+"="+values[name]+"\n") {
					t.Errorf("%s is %q; budget says\n%s", name, values[name], want)
				}
			}
			if n := values["available"]; n == "" || n[0] == '-' {
				t.Errorf("available is %q", n)
			}
		})
	}
}

func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out, &stderr)
	}
	return string(out)
}
