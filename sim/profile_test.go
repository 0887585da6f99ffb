package sim

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func profile(t testing.TB, file string) *Profile {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := ParseProfile(file, f)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParseProfile(t *testing.T) {
	p := profile(t, "testdata/leak.txt")
	if p.Name != "leak" || p.Server != "gunicorn by hand, preloaded" || p.Threads != 1 {
		t.Errorf("name %q, server %q, threads %d", p.Name, p.Server, p.Threads)
	}
	if p.Start != 80*time.Millisecond || p.Stop != 50*time.Millisecond || p.P99 != 20*time.Millisecond || p.CPU != 11*time.Millisecond {
		t.Errorf("start %v, stop %v, p99 %v, CPU %v", p.Start, p.Stop, p.P99, p.CPU)
	}
	if p.Base != 44040192 || p.Shared != 31457280 || len(p.Lives) != 2 || len(p.Lives[0]) != 5 {
		t.Fatalf("base %d, shared %d, %d lives", p.Base, p.Shared, len(p.Lives))
	}
	if got, want := p.Lives[0][1], (Row{500, 6, 24117248, 26214400, 23068672}); got != want {
		t.Errorf("row %+v, want %+v", got, want)
	}
}

// TestParseProfileErrors: each change to a good profile is refused with its line and
// what would be right.
func TestParseProfileErrors(t *testing.T) {
	good, err := os.ReadFile("testdata/leak.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ old, new, want string }{
		{"threads 1", "threads", "leak.txt:5: threads has no value"},
		{"threads 1", "threads 0", `leak.txt:5: threads: "0" is not a whole number from 1 to 65536`},
		{"threads 1", "thread 1", `leak.txt:5: unknown key "thread"; write one of name,`},
		{"threads 1", "name other", "leak.txt:5: name stands twice"},
		{"threads 1\n", "", "leak.txt:22: threads is missing"},
		{"service_ms 12 11 20", "service_ms 12 11", `leak.txt:8: service_ms: "12 11" has 2 numbers; write 3`},
		{"service_ms 12 11 20", "service_ms 12 11 NaN", `leak.txt:8: service_ms: "NaN" is not a number`},
		{"service_ms 12 11 20", "service_ms 0 0 0", "service_ms: a request takes no time"},
		{"base_bytes 44040192", "base_bytes -1", `leak.txt:10: base_bytes: "-1" is not a whole number`},
		{"1 0 0 6291456 6291456 31457280", "1 0 0 6291456 6291455 31457280", "leak.txt:14: peak 6291455 is under private 6291456"},
		{"1 0 0 6291456 6291456 31457280", "1 7 0 6291456 6291456 31457280", "leak.txt:14: life 1 begins at 7 requests"},
		{"1 0 0 6291456 6291456 31457280", "2 0 0 6291456 6291456 31457280", "leak.txt:14: life 2 follows life 0; lives stand in order"},
		{"1 1000 12 ", "1 499 12 ", "leak.txt:16: requests 499 is under the row before, 500"},
		{"1 1000 12 ", "1 1000 5 ", "leak.txt:16: seconds 5 is under the row before, 6"},
		{"1 1000 12 ", "1 1000 ", "leak.txt:16: a row has 5 columns; write life requests seconds private peak shared"},
		{"1 1000 12 ", "1 1e3 12 ", `leak.txt:16: requests: "1e3" is not a whole number`},
	} {
		text := strings.Replace(string(good), test.old, test.new, 1)
		if text == string(good) {
			t.Fatalf("%q is not in the profile", test.old)
		}
		_, err := ParseProfile("leak.txt", strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q for %q: %v, want %s", test.new, test.old, err, test.want)
		}
	}
	if _, err := ParseProfile("x", strings.NewReader(strings.SplitAfter(string(good), columns)[0])); err == nil || !strings.Contains(err.Error(), "no rows") {
		t.Errorf("without rows: %v", err)
	}
}

func FuzzParseProfile(f *testing.F) {
	good, err := os.ReadFile("testdata/leak.txt")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good))
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseProfile("x", strings.NewReader(text))
		if err != nil {
			return
		}
		s := container(256*mib, Type{Name: "web", Profile: p, Min: 1, Max: 2, Load: Steady(1)})
		s.Span = time.Minute
		Run(s, &Memsup{}, 0)
	})
}

// TestMeasured: every profile that was measured can be read and simulated, and of them
// only the one that leaks is taken to grow without end.
func TestMeasured(t *testing.T) {
	files, err := filepath.Glob("profiles/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no profiles", err)
	}
	for _, file := range files {
		p := profile(t, file)
		if want := strings.Contains(p.Name, "leak"); p.Leaks() != want {
			t.Errorf("%s leaks: %v, want %v", p.Name, p.Leaks(), want)
		}
		s := container(2048*mib, Type{Name: "web", Profile: p, Min: 1, Max: 4, Load: Steady(40), Queue: 100, Timeout: time.Second})
		s.Span = 5 * time.Minute
		if r := Run(s, &Memsup{}, 0); r.Kills > 0 || r.Served[0] < 1000 {
			t.Errorf("%s: %d kills, %g served", p.Name, r.Kills, r.Served[0])
		}
	}
}
