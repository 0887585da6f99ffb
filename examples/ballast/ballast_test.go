package ballast

import (
	"testing"
)

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "4096": 4096, "3KiB": 3 << 10, "40MiB": 40 << 20, "2GiB": 2 << 30,
	} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.5MiB", "1MB", "9999999999GiB", "1MiB/s"} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func TestRate(t *testing.T) {
	for text, want := range map[string]Rate{"10MiB/s": 10 << 20, "10MiB": 10 << 20} {
		var got Rate
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestHoldAndFree(t *testing.T) {
	var b Ballast
	for range 2 {
		if err := b.Hold(3 << 20); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.Bytes(); got != 6<<20 {
		t.Errorf("holds %d bytes, want %d", got, 6<<20)
	}
	if err := b.Free(); err != nil || b.Bytes() != 0 {
		t.Errorf("after Free: holds %d bytes, %v", b.Bytes(), err)
	}
}
