package main

import (
	"math"
	"strings"
	"testing"
)

func TestGetoptLeavesOperands(t *testing.T) {
	for args, want := range map[string]string{
		"":               "|",
		"-a x":           "a|x",
		"-ab1 -b 2 x -a": "a b=1 b=2|x -a",
		"-b -- x":        "b=--|x",
		"-a -- -a":       "a|-a",
		"-a -":           "a|-",
		"-- --":          "|--",
		"--alpha --beta": "a ?|",
		"--al --be=- x":  "? b=-|x",
		"--beta= x":      "b=|x",
		"--alphabet x":   "c|x",
		"--alphab x":     "c|x",
		"-x -a y":        "? a|y",
	} {
		g := getopt{
			program: "p", args: strings.Fields(args), short: "ab:c", errors: new(strings.Builder),
			long: []longOption{{"alpha", 'a', false}, {"beta", 'b', true}, {"alphabet", 'c', false}},
		}
		var got []string
		for letter := g.next(); letter != 0; letter = g.next() {
			option := string([]byte{letter})
			if letter == 'b' {
				option += "=" + g.arg
			}
			got = append(got, option)
		}
		if strings.Join(got, " ")+"|"+strings.Join(g.args, " ") != want {
			t.Errorf("%s: got %q and operands %q, want %s", args, got, g.args, want)
		}
	}
}

func TestStrtol(t *testing.T) {
	for _, test := range []struct {
		s    string
		n    int64
		rest string
		ok   bool
	}{
		{"0", 0, "", true},
		{" \t\n\v\f\r-12x", -12, "x", true},
		{"+7 ", 7, " ", true},
		{"010", 10, "", true},
		{"9223372036854775807", math.MaxInt64, "", true},
		{"9223372036854775808:", math.MaxInt64, ":", true},
		{"-9223372036854775809", math.MinInt64, "", true},
		{"", 0, "", false},
		{"-", 0, "-", false},
		{"+-1", 0, "+-1", false},
		{"x1", 0, "x1", false},
		{"١", 0, "١", false},
	} {
		n, rest, ok := strtol(test.s)
		if ok != test.ok || n != test.n || ok && rest != test.rest {
			t.Errorf("%q: got %d, %q, %v", test.s, n, rest, ok)
		}
	}
}

// Whatever the words are, the walk ends, and what remains are the last words.
func FuzzGetopt(f *testing.F) {
	f.Add("-s\x00-vvg\x00-e\x003\x00--\x00true")
	f.Add("--rewrite=1:2\x00--v\x00--\x00")
	f.Add("-\x00-é\x00---")
	f.Fuzz(func(t *testing.T, line string) {
		words := strings.Split(line, "\x00")
		for _, long := range [][]longOption{nil, dumbInitLong} {
			g := getopt{program: "p", args: words, short: "+hvVcr:", long: long, errors: new(strings.Builder)}
			for letter := g.next(); letter != 0; letter = g.next() {
				if letter != '?' && !strings.ContainsRune("+hvVcr", rune(letter)) {
					t.Fatalf("%q: option %q", words, letter)
				}
			}
			if g.group != "" || !strings.HasSuffix(line, strings.Join(g.args, "\x00")) {
				t.Fatalf("%q: left with %q and %q", words, g.args, g.group)
			}
		}
	})
}
