package procfile

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// showArguments has the test binary print its arguments, a line for each
// time it is run, and nothing else.
const showArguments = "PROCFILE_TEST_SHOW_ARGUMENTS"

func TestMain(m *testing.M) {
	if os.Getenv(showArguments) != "" {
		fmt.Printf("%q\n", os.Args)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// FuzzSimpleAgainstShell has sh run random commands that Simple takes for
// simple, and holds that a program sees the arguments that Simple gives.
// What is fuzzed is the seed of the grammar, so no command can do harm: the
// only programs on its PATH are links to the test binary.
func FuzzSimpleAgainstShell(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		dir := t.TempDir()
		var script strings.Builder
		var commands, want []string
		for range 200 {
			command := randomCommand(random)
			argv, ok := Simple(command, lookup)
			if !ok || !link(t, dir, argv[0]) {
				continue
			}
			commands = append(commands, command)
			want = append(want, fmt.Sprintf("%q", argv))
			script.WriteString("(\n" + command + "\n)\n")
		}
		if len(want) < 10 {
			t.Fatalf("only %d of 200 commands are simple", len(want))
		}
		for _, shell := range shells() {
			got, stderr := run(dir, shell, script.String())
			for i := range want {
				if i == len(got) || got[i] != want[i] {
					t.Fatalf("%s: %q: want %s; got on from here:\n%s\n%s", shell, commands[i], want[i], strings.Join(got[i:], "\n"), stderr)
				}
			}
			if len(got) > len(want) {
				t.Fatalf("%s: more was run than simple commands: %q", shell, got[len(want):])
			}
		}
	})
}

// shells gives /bin/sh, and those others that systems have in its place.
func shells() []string {
	found := []string{"/bin/sh"}
	for _, name := range []string{"dash", "bash", "busybox"} {
		if path, err := exec.LookPath(name); err == nil {
			found = append(found, path)
		}
	}
	return found
}

// run gives the lines that the programs of a script print.
func run(dir, shell, script string) (lines []string, stderr string) {
	var out, errs bytes.Buffer
	cmd := &exec.Cmd{Path: shell, Args: []string{"sh", "-c", script}, Dir: dir, Stdout: &out, Stderr: &errs}
	cmd.Env = []string{
		"PATH=" + dir,
		showArguments + "=1",
		"GORACE=atexit_sleep_ms=0", // else each program under -race ends with a second's sleep
	}
	for name, value := range variables {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if err := cmd.Run(); err != nil {
		errs.WriteString(err.Error())
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"), errs.String()
}

// link makes the test binary a program of that name. It is false where a name
// cannot be one in dir.
func link(t *testing.T, dir, name string) bool {
	t.Helper()
	name = strings.TrimPrefix(name, "./")
	if name == "" || name == "." || name == ".." || strings.Contains(name, "/") || len(name) > 200 {
		return false
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, name)); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	return true
}

// harmless text is the same in every kind of quotes; special may not be.
var (
	harmless = []string{"a", "b", "show", "./", "0", "-", "--x", ":", ",", ".", "@", "+", "%", "^", "/", "é", "\u0081\u0088\u00a0"}
	special  = []string{
		"=", "#", "~", "*", "?", "[a]", "{a,b}", "}", "{", "]", "!", "&", "|", ";", "<", ">", "(", ")", "$", "\\", "'", `"`, "`", " ", "\t",
		"\n", "\r", "\v", "\x01", "\x02", "\x7f", "\\\n", "$(", "${", "$'", "$1", "$$",
		"exec ", "if", "for", "cd", "time", "exit", ".", "echo", "A=b ", "x+=", "-a ", "in", "do", "function", "[[", "PORT",
	}
)

func randomCommand(random *rand.Rand) string {
	var command strings.Builder
	if random.IntN(8) == 0 {
		command.WriteString("exec ")
	}
	for range 1 + random.IntN(4) {
		for range 1 + random.IntN(4) {
			command.WriteString(randomPiece(random))
		}
		command.WriteString([]string{" ", "  ", "\t"}[random.IntN(3)])
	}
	return command.String()
}

// randomPiece gives part of a word: text, quoted text or an expansion.
func randomPiece(random *rand.Rand) string {
	text := func(specials int) string {
		var s string
		for range random.IntN(4) {
			if random.IntN(100) < specials {
				s += special[random.IntN(len(special))]
			} else {
				s += harmless[random.IntN(len(harmless))]
			}
		}
		return s
	}
	switch random.IntN(8) {
	case 0:
		return "'" + strings.ReplaceAll(text(50), "'", "") + "'"
	case 1:
		return `"` + strings.NewReplacer(`"`, `\"`, "$", `\$`, "`", "\\`", `\`, `\\`).Replace(text(50)) + `"`
	case 2:
		return `"` + text(20) + randomExpansion(random) + text(20) + `"`
	case 3:
		return randomExpansion(random)
	case 4:
		return `\` + text(50)
	}
	return text(5)
}

func randomExpansion(random *rand.Rand) string {
	names := []string{"PORT", "PORT", "PS", "NAME", "NAME", "EMPTY", "TWO", "GLOB", "BACK", "LINE", "QUOTE", "BRACE", "TEXT", "BYTES", "PWD", "IFS", "_", "UNSET"}
	name := names[random.IntN(len(names))]
	if random.IntN(2) == 0 {
		return "${" + name + "}"
	}
	return "$" + name
}
