package main

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/memsup/memsup/supervisor"
)

var update = flag.Bool("update", false, "write testdata anew")

// TestStatusText compares the text for people of what a server answered.
func TestStatusText(t *testing.T) {
	src, err := os.ReadFile("testdata/status.json")
	if err != nil {
		t.Fatal(err)
	}
	var s supervisor.Status
	if err := json.Unmarshal(src, &s); err != nil {
		t.Fatal(err)
	}
	got := statusText(&s)
	wantGolden(t, "status.text", got)
}

// wantGolden compares got with a file of testdata; -update writes it.
func wantGolden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile("testdata/"+name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 256 << 20: "256.0 MiB", -3 << 30: "-3.0 GiB", 5 << 50: "5120.0 TiB",
	} {
		if got := size(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for ms, want := range map[int64]string{
		0: "0s", 999: "0s", 61_000: "1m1s", 3_661_000: "1h1m", 90_000_000: "1d1h",
	} {
		if got := span(ms); got != want {
			t.Errorf("%d: got %s, want %s", ms, got, want)
		}
	}
}

// What comes from a worker's program reaches the terminal without control characters.
func TestPrintable(t *testing.T) {
	var rows table
	rows.row("cannot run e\x1b[31m\a", "ß")
	if got, want := rows.String(), "cannot run e?[31m?  ß\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	s := &supervisor.Status{Health: "failing: \x1b[2J"}
	if got := statusLine(s); strings.ContainsRune(got, '\x1b') {
		t.Errorf("got %q", got)
	}
}
