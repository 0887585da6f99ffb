package pressure

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestParsePSI(t *testing.T) {
	const line = "avg10=0.06 avg60=0.31 avg300=0.25 total="
	for _, x := range []struct {
		name, text string
		some, full time.Duration
		ok         bool
	}{
		{"both", "some " + line + "1329513\nfull " + line + "548932\n", 1329513 * time.Microsecond, 548932 * time.Microsecond, true},
		{"some alone", "some " + line + "7\n", 7 * time.Microsecond, 0, true},
		{"no newline at the end", "some " + line + "7\nfull " + line + "3", 7 * time.Microsecond, 3 * time.Microsecond, true},
		{"a new line that is not known", "most " + line + "9\nsome " + line + "7\n", 7 * time.Microsecond, 0, true},
		{"a new key", "some " + line + "7\nfull gravity=heavy\n", 7 * time.Microsecond, 0, true},
		{"empty", "", 0, 0, false},
		{"full alone", "full " + line + "7\n", 0, 0, false},
		{"no number", "some " + line + "\n", 0, 0, false},
		{"not a number", "some " + line + "7x\n", 0, 0, false},
		{"negative", "some " + line + "-7\n", 0, 0, false},
		{"too large", "some " + line + "99999999999999999999999999\n", 9223372036854775 * time.Microsecond, 0, true},
	} {
		some, full, ok := parsePSI([]byte(x.text))
		if some != x.some || full != x.full || ok != x.ok {
			t.Errorf("%s: %v %v %t, want %v %v %t", x.name, some, full, ok, x.some, x.full, x.ok)
		}
	}
}

func FuzzParsePSI(f *testing.F) {
	f.Add([]byte("some avg10=0.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"))
	f.Add([]byte("some total=18446744073709551615\n"))
	f.Add([]byte("full total=1\nsome total="))
	f.Fuzz(func(t *testing.T, text []byte) {
		some, full, ok := parsePSI(text)
		if some < 0 || full < 0 {
			t.Fatalf("%v %v", some, full)
		}
		if !ok && (some != 0 || full != 0) {
			t.Fatalf("nothing, and yet %v %v", some, full)
		}
	})
}

// TestPSIAllocatesNothing reads a file of this test's.
func TestPSIAllocatesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "memory.pressure")
	writeFile(t, path, "some avg10=0.00 avg60=0.00 avg300=0.00 total=5\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=2\n")
	w := &Watcher{psi: -1}
	if err := w.openPSI(path); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var a Average
	at := time.Duration(0)
	if n := testing.AllocsPerRun(100, func() {
		some, full, ok := w.PSI()
		if !ok || some != 5*time.Microsecond || full != 2*time.Microsecond {
			t.Fatal(some, full, ok)
		}
		at += 100 * time.Millisecond
		a.Add(at, some, full)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPSI(b *testing.B) {
	path := filepath.Join(b.TempDir(), "memory.pressure")
	if err := os.WriteFile(path, []byte("some avg10=0.00 avg60=0.00 avg300=0.00 total=5\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=2\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	w := &Watcher{psi: -1}
	if err := w.openPSI(path); err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	for b.Loop() {
		w.PSI()
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
