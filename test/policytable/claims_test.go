//go:build !race

// Simulating five hundred hours takes minutes under the race detector, and nothing in
// it runs side by side but whole scenarios, which TestTable shows.

package main

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/open.txt")

// TestClaims holds memsup beside the oracle in each scenario, with one seed:
// `make policy-table` has more of them, and the peers. testdata/open.txt lists what
// does not hold yet.
func TestClaims(t *testing.T) {
	profiles, err := load("../../sim/profiles")
	if err != nil {
		t.Fatal(err)
	}
	all := scenarios(profiles)
	for _, s := range all {
		s.Seeds = nil
	}
	var fails []string
	nobody := func(*plan) []peer { return nil }
	for _, v := range judge(compare(all, nobody)) {
		for _, f := range v.fails {
			scenario, figure, _ := strings.Cut(f, ": ")
			t.Logf("%s, %s: %s", scenario, v.claim, figure)
			fails = append(fails, scenario+": "+v.claim)
		}
	}
	slices.Sort(fails)
	const file = "testdata/open.txt"
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(append(fails, ""), "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	open := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for _, f := range fails {
		if !slices.Contains(open, f) {
			t.Errorf("does not hold any more: %s", f)
		}
	}
	for _, f := range open {
		if f != "" && !slices.Contains(fails, f) {
			t.Errorf("holds now; take it out of %s: %s", file, f)
		}
	}
}
