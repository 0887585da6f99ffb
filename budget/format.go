package budget

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// FormatError is a kernel file that does not say what its documentation has it
// say: it is corrupt, was cut off, or is no file of the kernel. No number is told
// then, as it would be a wrong one.
type FormatError struct {
	Path string
	Line int    // from 1
	Text string // the line as it is, at most 80 bytes of it
	Want string // what should be there
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s:%d: %q is not %s", e.Path, e.Line, e.Text, e.Want)
}

// flaw is a FormatError without its path; a line of 0 is none.
type flaw struct {
	line int
	text []byte
	want string
}

const (
	wantNumber = "a decimal number"
	wantLimit  = `a decimal number of bytes or "max"`
	wantLine   = "a line with an end"
	wantKeyed  = "a key and a decimal number"
	wantKB     = `a name, a decimal number and "kB"`
)

// parseValue parses a file of one number.
func parseValue(text []byte) (int64, flaw) {
	line, ok := bytes.CutSuffix(text, newline)
	n, isNumber := parseNumber(line)
	switch {
	case !isNumber || n == math.MaxInt64:
		return 0, flaw{1, line, wantNumber}
	case !ok:
		return 0, flaw{1, line, wantLine}
	}
	return n, flaw{}
}

// unlimited1 is below the v1 kernel's "no limit" for every size of page and above
// every memory.
const unlimited1 = math.MaxInt64 - 1<<20

// parseLimit is parseValue for a limit; it is false where there is none.
func parseLimit(text []byte) (int64, bool, flaw) {
	line, ok := bytes.CutSuffix(text, newline)
	n, isNumber := parseNumber(line)
	switch {
	case ok && string(line) == "max":
		return 0, false, flaw{}
	case !isNumber:
		return 0, false, flaw{1, line, wantLimit}
	case !ok:
		return 0, false, flaw{1, line, wantLine}
	}
	return n, n < unlimited1, flaw{}
}

// parseNumber parses decimal digits of an int64. 18446744073709551615, with
// which old kernels say "no limit", becomes the largest.
func parseNumber(text []byte) (int64, bool) {
	if len(text) == 0 {
		return 0, false
	}
	n := int64(0)
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		if d := int64(c - '0'); n > (math.MaxInt64-d)/10 {
			return math.MaxInt64, string(text) == "18446744073709551615"
		} else {
			n = n*10 + d
		}
	}
	return n, true
}

var newline, space, colon = []byte("\n"), []byte(" "), []byte(":")

// keyed is what parseKeyed found: a number for each of the keys it was given, -1
// for those that the file does not have.
type keyed [8]int64

// parseKeyed finds keys in a flat keyed file, "key value" a line. Lines of other
// keys are not looked at. A key that ends in "_limit" may be above int64's range.
func parseKeyed(text []byte, keys []string) (keyed, flaw) {
	found := keyed{-1, -1, -1, -1, -1, -1, -1, -1}
	for at := 1; len(text) > 0; at++ {
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			return found, flaw{at, text, wantLine}
		}
		line := text[:i]
		text = text[i+1:]
		name, number, _ := bytes.Cut(line, space)
		for k, key := range keys {
			if string(name) != key {
				continue
			}
			n, ok := parseNumber(number)
			if !ok || found[k] >= 0 || n == math.MaxInt64 && !strings.HasSuffix(key, "_limit") {
				return found, flaw{at, line, wantKeyed}
			}
			found[k] = n
			break
		}
	}
	return found, flaw{}
}

// or0 is a number that was found, and 0 for one that was not.
func (f *keyed) or0(k int) int64 { return max(0, f[k]) }

// countLines is the number of a line that is missing at the end of text.
func countLines(text []byte) int { return bytes.Count(text, newline) + 1 }

// nextLine cuts the first line off text.
func nextLine(text []byte) (line, rest []byte) {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return text[:i], text[i+1:]
	}
	return text, nil
}
