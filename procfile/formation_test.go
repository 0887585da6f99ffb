package procfile

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseRange(t *testing.T) {
	tests := []struct {
		text string
		want Range
		back string
	}{
		{"0", Range{0, 0, false}, "0"},
		{"3", Range{3, 3, false}, "3"},
		{"2..8", Range{2, 8, false}, "2..8"},
		{" 2 .. 8\t", Range{2, 8, false}, "2..8"},
		{"0..1", Range{0, 1, false}, "0..1"},
		{"4..4", Range{4, 4, false}, "4"},
		{"auto", Range{1, 0, true}, "auto"},
		{" auto ", Range{1, 0, true}, "auto"},
		{"1..auto", Range{1, 0, true}, "auto"},
		{"0..auto", Range{0, 0, true}, "0..auto"},
		{"3.. auto", Range{3, 0, true}, "3..auto"},
		{"007", Range{7, 7, false}, "7"},
		{"100000", Range{100000, 100000, false}, "100000"},
	}
	for _, tt := range tests {
		got, err := ParseRange(tt.text)
		if err != nil || got != tt.want || got.String() != tt.back {
			t.Errorf("%q: got %+v (%[2]s), %v; want %+v (%s)", tt.text, got, err, tt.want, tt.back)
		}
	}
}

func TestParseRangeErrors(t *testing.T) {
	const write = "; write N, MIN..MAX, MIN..auto or auto"
	tests := []struct{ text, want string }{
		{"", "column 1: no number" + write},
		{"  ", "column 3: no number" + write},
		{"..", "column 1: no number" + write},
		{"2..", "column 4: no number" + write},
		{"..8", "column 1: no number" + write},
		{"two", `column 1: "two" is not a number` + write},
		{"Auto", `column 1: "Auto" is not a number` + write},
		{"1.5", `column 1: "1.5" is not a number` + write},
		{"1 0", `column 1: "1 0" is not a number` + write},
		{"+1", `column 1: "+1" is not a number` + write},
		{"-", `column 1: "-" is not a number` + write},
		{"-x1", `column 1: "-x1" is not a number` + write},
		{"2...8", `column 4: ".8" is not a number` + write},
		{"2..3..4", `column 4: "3..4" is not a number` + write},
		{"auto..8", `column 1: "auto" is not a number` + write},
		{"é..8", `column 1: "é" is not a number` + write},
		{"-1", "column 1: -1 is negative; write a number from 0 to 100000"},
		{"1..-2", "column 4: -2 is negative; write a number from 0 to 100000"},
		{"100001", "column 1: 100001 workers are too many; write a number from 0 to 100000"},
		{"1..99999999999999999999", "column 4: 99999999999999999999 workers are too many; write a number from 0 to 100000"},
		{" 8..2", "column 2: minimum 8 is above maximum 2; write 2..8"},
	}
	for _, tt := range tests {
		if got, err := ParseRange(tt.text); err == nil || err.Error() != tt.want || got != (Range{}) {
			t.Errorf("%q: got %v, %v; want %s", tt.text, got, err, tt.want)
		}
	}
}

func TestParseFormation(t *testing.T) {
	got, err := ParseFormation(" web=2..8, worker-2 = auto ,all=1")
	want := []Scale{
		{"web", Range{2, 8, false}, 2},
		{"worker-2", Range{1, 0, true}, 12},
		{"all", Range{1, 1, false}, 29},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestParseFormationErrors(t *testing.T) {
	const write = "write TYPE=N, TYPE=MIN..MAX or TYPE=auto"
	tests := []struct{ text, want string }{
		{"", "column 1: empty element; " + write},
		{"web=1,", "column 7: empty element; " + write},
		{"web=1, ,worker=2", "column 8: empty element; " + write},
		{"web", "column 4: no = after web; " + write},
		{"web=1,worker ", "column 13: no = after worker; " + write},
		{"=1", "column 1: no process type before the =; " + write},
		{"web:2", "column 4: unexpected ':'; " + write + ", the type of letters, digits, _ and -"},
		{"web=1,é=2", "column 7: unexpected 'é'; " + write + ", the type of letters, digits, _ and -"},
		{"web=", "column 5: no number; write N, MIN..MAX, MIN..auto or auto"},
		{"web=1,worker=x", `column 14: "x" is not a number; write N, MIN..MAX, MIN..auto or auto`},
		{"all=1,web=8..2", "column 11: minimum 8 is above maximum 2; write 2..8"},
		{"web=-1", "column 5: -1 is negative; write a number from 0 to 100000"},
		{"web=1,all=1, web=2", "column 14: web is already at column 1; write each type once"},
		{"all=1,all=2", "column 7: all is already at column 1; write each type once"},
		{"web=1=2", `column 5: "1=2" is not a number; write N, MIN..MAX, MIN..auto or auto`},
	}
	for _, tt := range tests {
		if got, err := ParseFormation(tt.text); err == nil || err.Error() != tt.want || got != nil {
			t.Errorf("%q: got %v, %v; want %s", tt.text, got, err, tt.want)
		}
	}
}

func TestRangeOf(t *testing.T) {
	tests := []struct {
		formation, name, want string
		found                 bool
	}{
		{"web=2,all=1", "web", "2", true},
		{"web=2,all=1", "worker", "1", true},
		{"all=auto,web=0", "web", "0", true},
		{"all=auto,web=0", "worker", "auto", true},
		{"web=2", "worker", "0", false},
	}
	for _, tt := range tests {
		formation, err := ParseFormation(tt.formation)
		if err != nil {
			t.Fatal(err)
		}
		if got, found := RangeOf(formation, tt.name); got.String() != tt.want || found != tt.found {
			t.Errorf("%s of %s: got %v, %v; want %s, %v", tt.name, tt.formation, got, found, tt.want, tt.found)
		}
	}
}

func FuzzParseFormation(f *testing.F) {
	for _, seed := range []string{"web=2..8,worker=auto,all=1", "web = 3..auto", "web=8..2", "a=1,a=2", "=,", "é=1", "web=..", "a=100001", "auto"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		formation, err := ParseFormation(text)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Column < 1 || e.Column > utf8.RuneCountInString(text)+1 {
				t.Fatalf("%q: %v points outside", text, err)
			}
			return
		}
		var parts []string
		for _, s := range formation {
			if s.Range.Min < 0 || !s.Range.Auto && (s.Range.Max < s.Range.Min || s.Range.Max > MaxWorkers) {
				t.Errorf("%q: range %+v", text, s.Range)
			}
			parts = append(parts, s.Name+"="+s.Range.String())
		}
		again, err := ParseFormation(strings.Join(parts, ","))
		if err != nil || len(again) != len(formation) {
			t.Fatalf("%q: %v read again is %v, %v", text, formation, again, err)
		}
		for i := range again {
			if again[i].Name != formation[i].Name || again[i].Range != formation[i].Range {
				t.Errorf("%q: %v read again is %v", text, formation[i], again[i])
			}
		}
	})
}
