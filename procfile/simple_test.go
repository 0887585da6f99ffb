package procfile

import (
	"slices"
	"strings"
	"testing"
)

// variables is the environment of the commands in these tests.
var variables = map[string]string{
	"PORT":  "5000",
	"PS":    "web.1",
	"EMPTY": "",
	"TWO":   "a b",
	"GLOB":  "*",
	"BACK":  `a\b`,
	"LINE":  "a\nb",
	"QUOTE": `'"$PORT#~}=!` + "`",
	"BRACE": "{a,b}",
	"TEXT":  "é\u0081\u0088",
	"BYTES": "\x01\x02\x7f\x81\x88\xff",
	"NAME":  "show",
	"PWD":   "/nowhere",
	"IFS":   "0",
	"_":     "x",
}

func lookup(name string) (string, bool) {
	value, ok := variables[name]
	return value, ok
}

func TestSimple(t *testing.T) {
	tests := []struct {
		command string
		want    []string
	}{
		{"gunicorn app:app", []string{"gunicorn", "app:app"}},
		{" ./server\t -v  ", []string{"./server", "-v"}},
		{"sleep 60", []string{"sleep", "60"}},
		{`a 'b c' "d e" f\ g h'i'"j"`, []string{"a", "b c", "d e", "f g", "hij"}},
		{`a '' "" ''""`, []string{"a", "", "", ""}},
		{`a '\n"$X*' "'\n\"\\\$\` + "`" + `*;#"`, []string{"a", `\n"$X*`, `'\n"\$` + "`*;#"}},
		{`a \$PORT \# \* \~ \'`, []string{"a", "$PORT", "#", "*", "~", "'"}},
		{"a b#c ''#d", []string{"a", "b#c", "#d"}},
		{"a --x=1 b=c -- ! ] if , ^ % @ : +", []string{"a", "--x=1", "b=c", "--", "!", "]", "if", ",", "^", "%", "@", ":", "+"}},
		{"a é", []string{"a", "é"}},
		{"a \"b\nc\" 'd\ne'", []string{"a", "b\nc", "d\ne"}},
		{"a -p $PORT", []string{"a", "-p", "5000"}},
		{"a -b 0.0.0.0:${PORT} x$PORT'y'", []string{"a", "-b", "0.0.0.0:5000", "x5000y"}},
		{"a $PORT$PS ${PORT}1 $PORT-1", []string{"a", "5000web.1", "50001", "5000-1"}},
		{`a "$TWO" "$GLOB$EMPTY" "$EMPTY" "${LINE}" "$BACK"`, []string{"a", "a b", "*", "", "a\nb", `a\b`}},
		{"a $QUOTE", []string{"a", variables["QUOTE"]}},
		{"a '$PORT'", []string{"a", "$PORT"}},
		{"$NAME x", []string{"show", "x"}},
		{"exec a b", []string{"a", "b"}},
		{"/bin/echo a", []string{"/bin/echo", "a"}},
		{"./test", []string{"./test"}},
		{"iffy", []string{"iffy"}},
	}
	for _, tt := range tests {
		if got, ok := Simple(tt.command, lookup); !ok || !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, %v; want %q", tt.command, got, ok, tt.want)
		}
	}
}

func TestNotSimple(t *testing.T) {
	commands := []string{
		"", " ", "# a", "a # b", "''", `"" a`,
		"a | b", "a && b", "a; b", "a &", "a > b", "a < b", "a 2>&1", "(a)", "a\nb", "a `b`", "a \"`b`\"", "a() b",
		"a *", "a ?", "a [b]", "a {b,c}", "a {}", "~/a", "a ~", "a b=~/c",
		"a 'b", `a "b`, `a b\`, "a b\\\nc", "a \"b\\\nc\"",
		"A=b c", "A=b", "a+=b c", "exec", "exec -a b c", "exec A=b c", "-a", "+a", "%1", "''-x",
		"cd a", "exit 1", ". a", ": a", "source a", "set -e", "ulimit -n 1", "echo a", "test a", "true", "if a", "! a",
		"time a", "while a", "[[ a", "exec echo a", "exec exec a", "c'd' a", `\cd a`, `"exit"`, "wait",
		"a $(b)", "a $((1))", `a "$(b)"`, "a $", "a $/b", `a "$"`, "a $1", "a $$", "a $?", "a $@", "a ${PORT:-1}", "a ${#PORT}",
		"a ${PORT", "a ${}", "a ${1}", "a $'b'", `a $"b"`, `a "$'b'"`,
		"a $UNSET", `a "$UNSET"`, "a $EMPTY", "a x$EMPTY", "a $TWO", "a $GLOB", "a $BACK", "a $BRACE", "a $LINE", "$TWO", "$EMPTY a",
		"a $PWD", `a "$PWD"`, "a $IFS", "a $_", "a $BASH_X", "a $RANDOM",
		"a\x00", "a \xff", "a\rb", "a \x01", "a \x7f", "a\vb",
	}
	for _, command := range commands {
		if got, ok := Simple(command, lookup); ok || got != nil {
			t.Errorf("%q: got %q, %v", command, got, ok)
		}
	}
	if got, ok := Simple("a $PORT", nil); ok || got != nil {
		t.Errorf("without variables: got %q, %v", got, ok)
	}
}

func TestShellWordsAreSorted(t *testing.T) {
	for _, list := range [][]string{shellWords, shellVariables} {
		if !slices.IsSorted(list) {
			t.Errorf("%q is not sorted", list)
		}
	}
}

func FuzzSimple(f *testing.F) {
	for _, seed := range []string{"a 'b c' \"$PORT\"", "exec a $PS", `a\ b "\$" '\'`, "a ${PORT", "A=b c", "a # b", "'\x00", "echo é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, command string) {
		argv, ok := Simple(command, lookup)
		if !ok {
			if argv != nil {
				t.Errorf("%q: not simple, but %q", command, argv)
			}
			return
		}
		if strings.Contains(command, "$") {
			return // a value need not be UTF-8, as a command must be
		}
		var quoted string
		for _, word := range argv {
			quoted += " '" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		if again, ok := Simple(quoted, nil); !ok || !slices.Equal(again, argv) {
			t.Errorf("%q: %q quoted and split again is %q, %v", command, argv, again, ok)
		}
	})
}
