package procfile

import (
	"strings"
	"unicode/utf8"
)

// Var is one variable of a .env file.
type Var struct {
	Name  string // letters, digits and "_"
	Value string // with the quotes taken off
	Line  int    // counted from 1
}

// ParseEnv reads a .env file. A variable is a line NAME=VALUE; blank lines,
// and lines whose first character other than a blank is "#", are skipped.
// Variables come in the order of the file and may repeat. Lines and a byte
// order mark are taken as [Parse] takes them.
//
// Values are foreman's, which is neither a shell's nor dotenv's:
//   - 'VALUE' is taken as it is, further single quotes included.
//   - "VALUE" has each \n replaced by a newline, and then the backslash taken
//     off every other \C. The order matters: \\n is a backslash and a newline.
//   - VALUE is taken as it is, with blanks at either end, quotes inside, "#"
//     and "$".
//
// The name is that of the file, for errors; each is an [*Error]. foreman
// ignores a line that is no variable: here it is an error, but for export
// NAME=VALUE, which is read, because the author meant it to be set. A value
// that begins with a quote and does not end with it would keep its quotes in
// foreman; it is an error.
func ParseEnv(name string, src []byte) ([]Var, error) {
	lines, err := textLines(name, src)
	if err != nil {
		return nil, err
	}
	var vars []Var
	for i, line := range lines {
		start := skipBlank(line, 0)
		if start == len(line) || line[start] == '#' {
			continue
		}
		v, err := parseVar(name, i+1, line)
		if err != nil {
			return nil, err
		}
		vars = append(vars, v)
	}
	return vars, nil
}

func parseVar(file string, number int, line string) (Var, error) {
	if skipBlank(line, 0) > 0 {
		return Var{}, errorAt(file, number, line, 0, "blank before the variable; start the line with NAME=VALUE")
	}
	start := 0
	if after := skipBlank(line, len("export")); strings.HasPrefix(line, "export") && after > len("export") {
		start = after
	}
	end := start
	for end < len(line) && isWordByte(line[end]) {
		end++
	}
	switch {
	case end == len(line):
		return Var{}, errorAt(file, number, line, end, "no = after %s; write NAME=VALUE", line)
	case line[end] == '=' && end == start:
		return Var{}, errorAt(file, number, line, end, "no name before the =; write NAME=VALUE")
	case line[end] != '=':
		r, _ := utf8.DecodeRuneInString(line[end:])
		return Var{}, errorAt(file, number, line, end, "unexpected %q; write NAME=VALUE, the name of letters, digits and _, no blank before the =", r)
	}
	value, ok := unquote(line[end+1:])
	if !ok {
		return Var{}, errorAt(file, number, line, end+1, "value begins with %c and does not end with it; make %[1]c the last character of the line, or put the value in the other quotes", line[end+1])
	}
	return Var{Name: line[start:end], Value: value, Line: number}, nil
}

// unquote takes off the quotes as lib/foreman/env.rb does. It is false for a
// quote at the beginning without its like at the end.
func unquote(value string) (string, bool) {
	if value == "" || value[0] != '\'' && value[0] != '"' {
		return value, true
	}
	quote := value[0]
	if len(value) == 1 || value[len(value)-1] != quote {
		return "", false
	}
	inner := value[1 : len(value)-1]
	if quote == '\'' {
		return inner, true
	}
	inner = strings.ReplaceAll(inner, `\n`, "\n")
	var out strings.Builder
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' && i+1 < len(inner) && inner[i+1] != '\n' {
			i++
		}
		out.WriteByte(inner[i])
	}
	return out.String(), true
}
