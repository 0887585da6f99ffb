package procfile

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Error is a mistake in text that a user wrote, with the place where it is.
type Error struct {
	File   string // name given to the parser; empty where the text is not a file
	Line   int    // counted from 1; 0 where the text is not a file
	Column int    // counted from 1, in characters, a byte order mark not counted
	Msg    string // what is wrong and what would be right
}

// Error gives FILE:LINE:COLUMN: MSG, and for text that is not a file, such as
// the value of a flag, column COLUMN: MSG.
func (e *Error) Error() string {
	if e.File == "" {
		return fmt.Sprintf("column %d: %s", e.Column, e.Msg)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
}

// errorAt places a mistake at a byte offset of a line. File and number are
// empty for text that is not a file.
func errorAt(file string, number int, line string, offset int, format string, args ...any) *Error {
	return &Error{
		File:   file,
		Line:   number,
		Column: utf8.RuneCountInString(line[:offset]) + 1,
		Msg:    fmt.Sprintf(format, args...),
	}
}

// byteOrderMark begins files saved by some Windows editors.
var byteOrderMark = []byte("\ufeff")

// textLines splits a file at LF or CRLF and refuses what no line of text can
// hold: NUL, invalid UTF-8 and a carriage return that ends no line.
func textLines(file string, src []byte) ([]string, error) {
	lines := strings.Split(string(bytes.TrimPrefix(src, byteOrderMark)), "\n")
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\r")
		lines[i] = line
		for offset, r := range line {
			switch r {
			case 0:
				return nil, errorAt(file, i+1, line, offset, "NUL byte; save the file as plain text in UTF-8")
			case '\r':
				return nil, errorAt(file, i+1, line, offset, "carriage return inside a line; end lines with LF or CRLF")
			case utf8.RuneError:
				if _, size := utf8.DecodeRuneInString(line[offset:]); size == 1 {
					return nil, errorAt(file, i+1, line, offset, "byte 0x%02x is not UTF-8; save the file as plain text in UTF-8", line[offset])
				}
			}
		}
	}
	return lines, nil
}

// skipBlank gives the offset of the first character of line, from offset on,
// that Ruby's \s does not match.
func skipBlank(line string, offset int) int {
	for offset < len(line) && strings.IndexByte(" \t\r\n\f\v", line[offset]) >= 0 {
		offset++
	}
	return offset
}
