package procfile

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxWorkers is the largest number of workers of one type that a range can
// hold; beyond it a number is taken for a slip of the finger.
const MaxWorkers = 100_000

// Range is the number of workers that a process type may have.
type Range struct {
	Min, Max int  // Max is 0 where Auto is set
	Auto     bool // the maximum is what memory holds
}

// String gives the shortest text from which [ParseRange] gives the same
// range: N, MIN..MAX, auto or MIN..auto.
func (r Range) String() string {
	switch {
	case r.Auto && r.Min == 1:
		return "auto"
	case r.Auto:
		return strconv.Itoa(r.Min) + "..auto"
	case r.Min == r.Max:
		return strconv.Itoa(r.Min)
	}
	return strconv.Itoa(r.Min) + ".." + strconv.Itoa(r.Max)
}

// ParseRange reads N, MIN..MAX, MIN..auto, or auto for 1..auto. Numbers are
// decimal, 0 to [MaxWorkers]; blanks around them are skipped. Errors are of
// type [*Error] with the column in s.
func ParseRange(s string) (Range, error) {
	return parseRange(s, 0, len(s))
}

// parseRange reads s[start:end]; errors count columns in all of s.
func parseRange(s string, start, end int) (Range, error) {
	first, last := trim(s, start, end)
	if s[first:last] == "auto" {
		return Range{Min: 1, Auto: true}, nil
	}
	dots := strings.Index(s[start:end], "..")
	if dots < 0 {
		n, err := parseCount(s, start, end)
		return Range{Min: n, Max: n}, err
	}
	dots += start
	low, err := parseCount(s, start, dots)
	if err != nil {
		return Range{}, err
	}
	if from, to := trim(s, dots+2, end); s[from:to] == "auto" {
		return Range{Min: low, Auto: true}, nil
	}
	high, err := parseCount(s, dots+2, end)
	if err != nil {
		return Range{}, err
	}
	if low > high {
		return Range{}, errorAt("", 0, s, first, "minimum %d is above maximum %d; write %[2]d..%[1]d", low, high)
	}
	return Range{Min: low, Max: high}, nil
}

func parseCount(s string, start, end int) (int, error) {
	start, end = trim(s, start, end)
	text := s[start:end]
	if text == "" {
		return 0, errorAt("", 0, s, start, "no number; write N, MIN..MAX, MIN..auto or auto")
	}
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, errorAt("", 0, s, start, "%q is not a number; write N, MIN..MAX, MIN..auto or auto", text)
	}
	n, err := strconv.Atoi(digits)
	switch {
	case len(digits) < len(text):
		return 0, errorAt("", 0, s, start, "%s is negative; write a number from 0 to %d", text, MaxWorkers)
	case err != nil || n > MaxWorkers:
		return 0, errorAt("", 0, s, start, "%s workers are too many; write a number from 0 to %d", text, MaxWorkers)
	}
	return n, nil
}

// trim moves both ends of s[start:end] over blanks.
func trim(s string, start, end int) (int, int) {
	start = min(skipBlank(s, start), end)
	return start, start + len(strings.TrimRight(s[start:end], " \t\r\n\f\v"))
}

// All is the name by which a formation speaks of every type it does not name.
const All = "all"

// Scale is one element of a formation.
type Scale struct {
	Name   string // a process type, or [All]
	Range  Range
	Column int // where the element begins, counted from 1, in characters
}

// ParseFormation reads TYPE=RANGE,TYPE=RANGE with the ranges of [ParseRange],
// in the order written; blanks around each part are skipped. Whether a type
// exists is the caller's to know. Errors are of type [*Error] with the column
// in s.
//
// It is stricter than foreman, which reads what is no number as 0, lets the
// last of two elements for one type win, and skips empty elements: here these
// are errors, as is an empty formation.
func ParseFormation(s string) ([]Scale, error) {
	var formation []Scale
	for start := 0; start <= len(s); {
		end := start + len(s[start:])
		if comma := strings.IndexByte(s[start:], ','); comma >= 0 {
			end = start + comma
		}
		scale, err := parseScale(s, start, end)
		if err != nil {
			return nil, err
		}
		for _, other := range formation {
			if other.Name == scale.Name {
				return nil, &Error{Column: scale.Column, Msg: scale.Name + " is already at column " + strconv.Itoa(other.Column) + "; write each type once"}
			}
		}
		formation = append(formation, scale)
		start = end + 1
	}
	return formation, nil
}

func parseScale(s string, start, end int) (Scale, error) {
	start, end = trim(s, start, end)
	if start == end {
		return Scale{}, errorAt("", 0, s, start, "empty element; write TYPE=N, TYPE=MIN..MAX or TYPE=auto")
	}
	stop := start + nameLen(s[start:end])
	equals, _ := trim(s, stop, end)
	switch {
	case equals == end:
		return Scale{}, errorAt("", 0, s, equals, "no = after %s; write TYPE=N, TYPE=MIN..MAX or TYPE=auto", s[start:stop])
	case s[equals] == '=' && start == stop:
		return Scale{}, errorAt("", 0, s, start, "no process type before the =; write TYPE=N, TYPE=MIN..MAX or TYPE=auto")
	case s[equals] != '=':
		r, _ := utf8.DecodeRuneInString(s[equals:])
		return Scale{}, errorAt("", 0, s, equals, "unexpected %q; write TYPE=N, TYPE=MIN..MAX or TYPE=auto, the type of letters, digits, _ and -", r)
	}
	r, err := parseRange(s, equals+1, end)
	if err != nil {
		return Scale{}, err
	}
	return Scale{Name: s[start:stop], Range: r, Column: utf8.RuneCountInString(s[:start]) + 1}, nil
}

// RangeOf gives the range that a formation has for a process type: its own,
// else that of [All], wherever in the formation it stands. It is false where
// the formation has neither; foreman then runs none of that type.
func RangeOf(formation []Scale, name string) (Range, bool) {
	var all Range
	found := false
	for _, scale := range formation {
		switch scale.Name {
		case name:
			return scale.Range, true
		case All:
			all, found = scale.Range, true
		}
	}
	return all, found
}
