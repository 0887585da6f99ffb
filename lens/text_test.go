package lens

import (
	"slices"
	"testing"
)

func TestCPUList(t *testing.T) {
	for want, cpus := range map[string][]int{
		"":            nil,
		"0":           {0},
		"0-1":         {0, 1},
		"2-3,5,63-64": {2, 3, 5, 63, 64},
	} {
		if got := string(cpuList(cpus)); got != want {
			t.Errorf("%v is %q, not %q", cpus, got, want)
		}
	}
}

func TestOnlySomeCPUs(t *testing.T) {
	const x86 = "processor\t: 0\nmodel name\t: A\n\nprocessor\t: 1\nmodel name\t: B\n\nprocessor\t: 10\nmodel name\t: C\n\n"
	if got, want := string(only([]byte(x86), []int{1})), "processor\t: 1\nmodel name\t: B\n\n"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
	const arm = "processor\t: 0\nBogoMIPS\t: 50.00\n\nprocessor\t: 1\nBogoMIPS\t: 50.00\n\nHardware\t: Board\n"
	if got, want := string(only([]byte(arm), []int{0})), "processor\t: 0\nBogoMIPS\t: 50.00\n\nHardware\t: Board\n\n"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
}

func TestStretch(t *testing.T) {
	const text = "MemTotal:       65536 kB\nDirectMap4k:       4 kB\n"
	for n, want := range map[int]string{
		-1: text, 0: text,
		2: "MemTotal:       65536 kB\nDirectMap4k:         4 kB\n",
	} {
		if got := string(stretch([]byte(text), n)); got != want {
			t.Errorf("by %d: %q", n, got)
		}
	}
	if got := stretch([]byte("no colon\n"), 3); !slices.Equal(got, []byte("no colon\n")) {
		t.Errorf("%q", got)
	}
}
