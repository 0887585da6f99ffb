package procfile

import (
	"bytes"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name, src string
		want      []Entry
	}{
		{"one", "web: ./server", []Entry{{"web", "./server", 1, 6}}},
		{"order and lines", "# types\n\nweb: a\n \t\n  # more\nworker-2_B: b c\n", []Entry{{"web", "a", 3, 6}, {"worker-2_B", "b c", 6, 13}}},
		{"no blank after the colon", "web:a:b", []Entry{{"web", "a:b", 1, 5}}},
		{"blanks", "web: \t\v\f a b \t\n", []Entry{{"web", "a b \t", 1, 10}}},
		{"CRLF", "web: a\r\n\r\nworker: b\r", []Entry{{"web", "a", 1, 6}, {"worker", "b", 3, 9}}},
		{"byte order mark", "\ufeffweb: a\n", []Entry{{"web", "a", 1, 6}}},
		{"number sign in a command", "web: a # b", []Entry{{"web", "a # b", 1, 6}}},
		{"no continued lines", "web: a \\\nworker: b", []Entry{{"web", `a \`, 1, 6}, {"worker", "b", 2, 9}}},
		{"not ASCII", "web: é", []Entry{{"web", "é", 1, 6}}},
		{"replacement character", "web: \ufffd", []Entry{{"web", "\ufffd", 1, 6}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse("Procfile", []byte(tt.src))
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct{ src, want string }{
		{"", "Procfile:1:1: no process type; write at least one line NAME: COMMAND"},
		{"# nothing\n", "Procfile:1:1: no process type; write at least one line NAME: COMMAND"},
		{"web", "Procfile:1:4: no colon after web; write NAME: COMMAND"},
		{"web: a\nweb app: b", `Procfile:2:4: unexpected ' '; write NAME: COMMAND, the name of letters, digits, _ and -`},
		{"web : a", `Procfile:1:4: unexpected ' '; write NAME: COMMAND, the name of letters, digits, _ and -`},
		{"wéb: a", `Procfile:1:2: unexpected 'é'; write NAME: COMMAND, the name of letters, digits, _ and -`},
		{" web: a", "Procfile:1:1: blank before the process type; start the line with NAME: COMMAND"},
		{": a", "Procfile:1:1: no process type before the colon; write NAME: COMMAND"},
		{"web:", "Procfile:1:5: no command for web; write web: COMMAND"},
		{"web: \t\r\n", "Procfile:1:5: no command for web; write web: COMMAND"},
		{"web: a\n\nweb: b", "Procfile:3:1: process type web is already on line 1; write each type once"},
		{"web: é\x00", "Procfile:1:7: NUL byte; save the file as plain text in UTF-8"},
		{"web: a\nx: é\xe9", "Procfile:2:5: byte 0xe9 is not UTF-8; save the file as plain text in UTF-8"},
		{"\xff\xfew\x00", "Procfile:1:1: byte 0xff is not UTF-8; save the file as plain text in UTF-8"},
		{"web: a\rworker: b", "Procfile:1:7: carriage return inside a line; end lines with LF or CRLF"},
		{"\ufeffweb a", `Procfile:1:4: unexpected ' '; write NAME: COMMAND, the name of letters, digits, _ and -`},
	}
	for _, tt := range tests {
		got, err := Parse("Procfile", []byte(tt.src))
		if err == nil || err.Error() != tt.want || got != nil {
			t.Errorf("%q: got %v, %v; want %s", tt.src, got, err, tt.want)
		}
	}
}

// checkError holds that an error of a file's parser points into the file.
func checkError(t *testing.T, err error, file string, src []byte) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no *Error", err)
	}
	lines := bytes.Split(src, []byte("\n"))
	if e.File != file || e.Line < 1 || e.Line > len(lines) || e.Column < 1 || e.Column > len(lines[e.Line-1])+1 || e.Msg == "" {
		t.Fatalf("%v points outside of %q", err, src)
	}
}

// foremanEntry is the grammar that lib/foreman/procfile.rb documents.
var foremanEntry = regexp.MustCompile(`^([A-Za-z0-9_-]+):[ \t\r\n\f\v]*(.+)$`)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"web: a\nworker: b\n", "\ufeffweb: a b\r\n# c\r\n\r\n", "web:\x00", "a:\t\vb ", "web: a\rb", "é: b", "a: b\na: c"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		got, err := Parse("Procfile", src)
		if err != nil {
			checkError(t, err, "Procfile", src)
			return
		}
		var want []Entry
		text := strings.TrimPrefix(string(src), "\ufeff")
		for i, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
			if m := foremanEntry.FindStringSubmatch(strings.TrimSuffix(line, "\r")); m != nil {
				column := utf8.RuneCountInString(line[:strings.LastIndex(line, m[2])]) + 1
				want = append(want, Entry{m[1], m[2], i + 1, column})
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v; foreman's grammar gives %+v", src, got, want)
		}
	})
}
