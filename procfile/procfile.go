// Package procfile reads what a user writes to say what shall run: Procfile,
// .env, formations, ports and sizes.
//
// The grammars are those of foreman 0.90 (lib/foreman/procfile.rb, env.rb and
// engine.rb). Where foreman drops a line without a word, or reads a mistake
// as 0, this package reports an [*Error]; each function says where.
package procfile

import "unicode/utf8"

// Entry is one process type of a Procfile.
type Entry struct {
	Name    string // letters, digits, "_" and "-"
	Command string // as written, blanks at its end included
	Line    int    // counted from 1
	Column  int    // where the command begins, in characters from 1
}

// Parse reads a Procfile. An entry is a line that matches foreman's
//
//	^([A-Za-z0-9_-]+):\s*(.+)$
//
// in the order of the file. Blank lines, and lines whose first character
// other than a blank is "#", are skipped. Lines end with LF or CRLF, the last
// also with CR or nothing; a byte order mark is skipped. A command is not
// looked into: there are no comments at the end of a line, and no continued
// lines.
//
// The name is that of the file, for errors; each is an [*Error]. Parse is
// stricter than foreman, which ignores every line that does not match, runs a
// name that occurs twice as two processes, and takes blanks for a command:
// here these are errors. As in foreman, so is a Procfile without an entry.
func Parse(name string, src []byte) ([]Entry, error) {
	lines, err := textLines(name, src)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	first := make(map[string]int)
	for i, line := range lines {
		start := skipBlank(line, 0)
		if start == len(line) || line[start] == '#' {
			continue
		}
		entry, err := parseEntry(name, i+1, line)
		if err != nil {
			return nil, err
		}
		if n, ok := first[entry.Name]; ok {
			return nil, errorAt(name, i+1, line, 0, "process type %s is already on line %d; write each type once", entry.Name, n)
		}
		first[entry.Name] = i + 1
		entries = append(entries, entry)
	}
	if len(entries) == 0 {
		return nil, errorAt(name, 1, "", 0, "no process type; write at least one line NAME: COMMAND")
	}
	return entries, nil
}

func parseEntry(file string, number int, line string) (Entry, error) {
	if skipBlank(line, 0) > 0 {
		return Entry{}, errorAt(file, number, line, 0, "blank before the process type; start the line with NAME: COMMAND")
	}
	end := nameLen(line)
	switch {
	case end == len(line):
		return Entry{}, errorAt(file, number, line, end, "no colon after %s; write NAME: COMMAND", line)
	case line[end] == ':' && end == 0:
		return Entry{}, errorAt(file, number, line, 0, "no process type before the colon; write NAME: COMMAND")
	case line[end] != ':':
		r, _ := utf8.DecodeRuneInString(line[end:])
		return Entry{}, errorAt(file, number, line, end, "unexpected %q; write NAME: COMMAND, the name of letters, digits, _ and -", r)
	}
	command := skipBlank(line, end+1)
	if command == len(line) {
		return Entry{}, errorAt(file, number, line, end+1, "no command for %s; write %[1]s: COMMAND", line[:end])
	}
	return Entry{Name: line[:end], Command: line[command:], Line: number, Column: command + 1}, nil
}

// nameLen gives the length of the process type's name that s begins with.
func nameLen(s string) int {
	for i := range len(s) {
		if c := s[i]; !isWordByte(c) && c != '-' {
			return i
		}
	}
	return len(s)
}

func isWordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}
