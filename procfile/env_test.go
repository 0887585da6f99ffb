package procfile

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
)

func TestParseEnv(t *testing.T) {
	tests := []struct {
		name, src string
		want      []Var
	}{
		{"nothing", "", nil},
		{"comments and blank lines", "# a\n\n  # b\n \t\nA=1\n", []Var{{"A", "1", 5}}},
		{"order and repeats", "B=1\nA=2\nB=3", []Var{{"B", "1", 1}, {"A", "2", 2}, {"B", "3", 3}}},
		{"CRLF", "A=1\r\nB='x'\r\nC=\"y\"\r", []Var{{"A", "1", 1}, {"B", "x", 2}, {"C", "y", 3}}},
		{"byte order mark", "\ufeffA=1", []Var{{"A", "1", 1}}},
		{"empty", "A=\nB=''\nC=\"\"", []Var{{"A", "", 1}, {"B", "", 2}, {"C", "", 3}}},
		{"digits first", "1A_b=x", []Var{{"1A_b", "x", 1}}},
		{"as it is", "A= x # y $Z \\n 'q' ", []Var{{"A", ` x # y $Z \n 'q' `, 1}}},
		{"equals signs", "URL=postgres://h/d?a=b", []Var{{"URL", "postgres://h/d?a=b", 1}}},
		{"single quotes", `A='it's "\n" $B'`, []Var{{"A", `it's "\n" $B`, 1}}},
		{"double quotes", `A="say \"hi\" 'x' $B"`, []Var{{"A", `say "hi" 'x' $B`, 1}}},
		{"newline", `A="one\ntwo"`, []Var{{"A", "one\ntwo", 1}}},
		{"other escapes", `A="\t\\t\$x"`, []Var{{"A", `t\t$x`, 1}}},
		{"escaped backslash before n", `A="C:\\new"`, []Var{{"A", "C:\\\new", 1}}},
		{"backslash before the last quote", `A="C:\"`, []Var{{"A", `C:\`, 1}}},
		{"greedy", `A="x" "y"`, []Var{{"A", `x" "y`, 1}}},
		{"export", "export A=1\nexport\t B='2'\nexport=3\nexported=4", []Var{{"A", "1", 1}, {"B", "2", 2}, {"export", "3", 3}, {"exported", "4", 4}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseEnv(".env", []byte(tt.src))
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func TestParseEnvErrors(t *testing.T) {
	const unexpected = "; write NAME=VALUE, the name of letters, digits and _, no blank before the ="
	const single = "value begins with ' and does not end with it; make ' the last character of the line, or put the value in the other quotes"
	const double = `value begins with " and does not end with it; make " the last character of the line, or put the value in the other quotes`
	tests := []struct{ src, want string }{
		{"A=1\nB", ".env:2:2: no = after B; write NAME=VALUE"},
		{"export A", ".env:1:9: no = after export A; write NAME=VALUE"},
		{"export", ".env:1:7: no = after export; write NAME=VALUE"},
		{"export ", ".env:1:8: no = after export ; write NAME=VALUE"},
		{"=1", ".env:1:1: no name before the =; write NAME=VALUE"},
		{"export =1", ".env:1:8: no name before the =; write NAME=VALUE"},
		{"A = 1", ".env:1:2: unexpected ' '" + unexpected},
		{"A-B=1", ".env:1:2: unexpected '-'" + unexpected},
		{"A: 1", ".env:1:2: unexpected ':'" + unexpected},
		{" A=1", ".env:1:1: blank before the variable; start the line with NAME=VALUE"},
		{`A="one`, ".env:1:3: " + double},
		{`A="`, ".env:1:3: " + double},
		{`A='x' # y`, ".env:1:3: " + single},
		{`A='x"`, ".env:1:3: " + single},
		{"A='x' ", ".env:1:3: " + single},
		{"A=1\nB=\x00", ".env:2:3: NUL byte; save the file as plain text in UTF-8"},
		{"A=é\xff", ".env:1:4: byte 0xff is not UTF-8; save the file as plain text in UTF-8"},
		{"A=1\rB=2", ".env:1:4: carriage return inside a line; end lines with LF or CRLF"},
	}
	for _, tt := range tests {
		got, err := ParseEnv(".env", []byte(tt.src))
		if err == nil || err.Error() != tt.want || got != nil {
			t.Errorf("%q: got %v, %v; want %s", tt.src, got, err, tt.want)
		}
	}
}

// The rules of lib/foreman/env.rb, in its order.
var (
	foremanVar    = regexp.MustCompile(`\A([A-Za-z_0-9]+)=(.*)\z`)
	foremanSingle = regexp.MustCompile(`\A'(.*)'\z`)
	foremanDouble = regexp.MustCompile(`\A"(.*)"\z`)
	foremanEscape = regexp.MustCompile(`\\(.)`)
	exportPrefix  = regexp.MustCompile(`\Aexport[ \t\f\v]+`)
)

func FuzzParseEnv(f *testing.F) {
	for _, seed := range []string{"A=1\nB='x'\nC=\"a\\nb\\\\n\\\"\"\r\n", "export A=b", "# c\n\nA=\"\\\"", "A='", "A=\x00", "\ufeffA=é"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		got, err := ParseEnv(".env", src)
		if err != nil {
			checkError(t, err, ".env", src)
			return
		}
		var want []Var
		text := strings.TrimPrefix(string(src), "\ufeff")
		for i, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
			line = exportPrefix.ReplaceAllString(strings.TrimSuffix(line, "\r"), "")
			m := foremanVar.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			value := m[2]
			if q := foremanSingle.FindStringSubmatch(value); q != nil {
				value = q[1]
			} else if q := foremanDouble.FindStringSubmatch(value); q != nil {
				value = foremanEscape.ReplaceAllString(strings.ReplaceAll(q[1], `\n`, "\n"), "$1")
			}
			want = append(want, Var{m[1], value, i + 1})
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v; foreman's rules give %+v", src, got, want)
		}
	})
}
