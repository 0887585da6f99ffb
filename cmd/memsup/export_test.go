package main

import (
	"strings"
	"testing"

	"github.com/memsup/memsup/procfile"
	"github.com/memsup/memsup/supervisor"
)

func TestExport(t *testing.T) {
	vars := map[string]float64{"MEM_LIMIT": 256 << 20, "MEM_AVAILABLE": 100<<20 + 1, "MEM_SHARE": 57 << 20, "CPU_LIMIT": 1.5}
	for text, want := range map[string]string{
		`--max-old-space-size={MEM_SHARE * 3 / 4 / MiB}`: "--max-old-space-size=42",
		`-Xmx{MEM_LIMIT / 2}`:                            "-Xmx134217728",
		`{MEM_AVAILABLE / MiB}m {MEM_LIMIT/GiB}`:         "100m 0",
		`{CPU_LIMIT}`:                                    "1.5",
		`{CPU_LIMIT / 7}`:                                "0.214",
		`{ceil(CPU_LIMIT)} {floor(CPU_LIMIT)}`:           "2 1",
		`{max(1, int(CPU_LIMIT * 2))}`:                   "3",
		`{MEM_LIMIT / CPU_LIMIT}`:                        "178956970",
		`{-MEM_LIMIT / 3}`:                               "-89478486",
		`{MEM_LIMIT > 512 * MiB ? "large" : 'sma}ll'}`:   "sma}ll",
		`{{"é": {2 * KiB}}}`:                             `{"é": 2048}`,
		`plain`:                                          "plain",
		``:                                               "",
	} {
		x, err := compile(inText(text))
		if err != nil {
			t.Error(err)
			continue
		}
		got, err := export([]exported{x}, vars)
		if err != nil || len(got) != 1 || got[0] != "A="+want {
			t.Errorf("%s: got %q, %v; want %s", text, got, err, want)
		}
	}
}

// inText is a key A that has this text.
func inText(text string) *entry {
	return &entry{path: []string{"export", "A"}, text: text, at: "here", within: func(int) string { return "here" }}
}

func TestExportThatIsNoNumber(t *testing.T) {
	for _, text := range []string{"{MEM_LIMIT / 0}", "{0 / (MEM_LIMIT - MEM_LIMIT)}"} {
		x, err := compile(inText(text))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := export([]exported{x}, map[string]float64{"MEM_LIMIT": 1}); err == nil || !strings.HasPrefix(err.Error(), "here: ") {
			t.Errorf("%s: got %q, %v; want an error with its place", text, got, err)
		}
	}
}

// What fails in a small place and not in a large one may be right.
func TestTry(t *testing.T) {
	for text, want := range map[string]string{
		`{MEM_LIMIT / 0}`:                         "here: the expression gives +Inf, which is no number of bytes",
		`{1 % int(MEM_LIMIT - MEM_LIMIT)}`:        "here: runtime error: integer divide by zero",
		`{MEM_LIMIT > 0 ? "a\u0000b" : ""}`:       "here: the expression gives a NUL; a variable cannot hold it",
		`{MEM_LIMIT / (MEM_LIMIT - 256 * MiB)}`:   "",
		`{MEM_LIMIT / (MEM_LIMIT - 64 * GiB)}`:    "",
		`{MEM_SHARE / MiB} {ceil(1 / CPU_LIMIT)}`: "",
	} {
		x, err := compile(inText(text))
		if err != nil {
			t.Error(err)
			continue
		}
		got := ""
		if err := x.try(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestHasShare(t *testing.T) {
	fixed := supervisor.Type{Range: procfile.Range{Min: 1, Max: 4}}
	auto := supervisor.Type{Range: procfile.Range{Min: 1, Auto: true}}
	recycled := supervisor.Type{Range: procfile.Range{Min: 1, Auto: true}, Recycle: 1 << 20}
	for _, test := range []struct {
		types []supervisor.Type
		want  bool // of the first
	}{
		{[]supervisor.Type{fixed, fixed}, true},
		{[]supervisor.Type{fixed, auto}, false},
		{[]supervisor.Type{auto}, false},
		{[]supervisor.Type{recycled, auto}, true},
	} {
		c := &supervisor.Config{Types: test.types}
		if got := hasShare(c, &c.Types[0]); got != test.want {
			t.Errorf("%+v: got %v, want %v", test.types, got, test.want)
		}
	}
}
