package procfile

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"
)

func TestParseSize(t *testing.T) {
	tests := []struct {
		text string
		want int64
	}{
		{"0", 0},
		{"1", 1},
		{"12B", 12},
		{"0012", 12},
		{"1k", 1024},
		{"1K", 1024},
		{"1Ki", 1024},
		{"1KiB", 1024},
		{"1kB", 1000},
		{"1KB", 1000},
		{"256m", 256 << 20},
		{"256 MiB", 256 << 20},
		{"256Mi", 256 << 20},
		{"256MB", 256_000_000},
		{"2g", 2 << 30},
		{"2G", 2 << 30},
		{"2Gi", 2 << 30},
		{"2GB", 2_000_000_000},
		{"3t", 3 << 40},
		{"3Ti", 3 << 40},
		{"3TiB", 3 << 40},
		{"3TB", 3_000_000_000_000},
		{"1.5g", 3 << 29},
		{"0.1kB", 100},
		{"1.1k", 1126},
		{"0.999999999999999999TiB", 1<<40 - 1},
		{"9223372036854775807", math.MaxInt64},
		{"8388607.999999999999TiB", 9223372036854775806},
	}
	for _, tt := range tests {
		if got, err := ParseSize(tt.text); err != nil || got != tt.want {
			t.Errorf("%q: got %d, %v; want %d", tt.text, got, err, tt.want)
		}
	}
}

func TestParseSizeErrors(t *testing.T) {
	const number = " is no number; write bytes, or a number and a unit such as 256MiB"
	const unit = "; write k, m, g, t or KiB, MiB, GiB, TiB (powers of 1024), or kB, MB, GB, TB (powers of 1000)"
	const large = " is too large; write at most 9223372036854775807 bytes"
	tests := []struct{ text, want string }{
		{"", "empty size; write bytes, or a number and a unit such as 256MiB"},
		{" ", "empty size; write bytes, or a number and a unit such as 256MiB"},
		{"-1", `size "-1" is negative; write 0 or more`},
		{"k", `size "k"` + number},
		{"+1", `size "+1"` + number},
		{".5g", `size ".5g"` + number},
		{"1.g", `size "1.g"` + number},
		{"1.2.3g", `size "1.2.3g"` + number},
		{"1.0000000000000000000g", `size "1.0000000000000000000g"` + number},
		{"1.5", `size "1.5" has a fraction of a byte; write a whole number, or a unit`},
		{"1.5B", `size "1.5B" has a fraction of a byte; write a whole number, or a unit`},
		{"12mb", `size "12mb" has unknown unit "mb"` + unit},
		{"12 x", `size "12 x" has unknown unit "x"` + unit},
		{"1e3", `size "1e3" has unknown unit "e3"` + unit},
		{"10%", `size "10%" has unknown unit "%"` + unit},
		{"12k ", `size "12k " has unknown unit "k "` + unit},
		{"9223372036854775808", `size "9223372036854775808"` + large},
		{"8388608t", `size "8388608t"` + large},
		{"9007199254740992k", `size "9007199254740992k"` + large},
		{"9223372036854775.808kB", `size "9223372036854775.808kB"` + large},
	}
	for _, tt := range tests {
		if got, err := ParseSize(tt.text); err == nil || err.Error() != tt.want || got != 0 {
			t.Errorf("%q: got %d, %v; want %s", tt.text, got, err, tt.want)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	for _, seed := range []string{"0", "256m", "1.5 GiB", "9223372036854775807", "8388608t", "-1", "1.999999999999999999k", "0.1TB", "12mb", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseSize(text)
		if err != nil {
			return
		}
		if again, err := ParseSize(strconv.FormatInt(got, 10)); err != nil || again != got {
			t.Fatalf("%q: %d read again is %d, %v", text, got, again, err)
		}
		number := strings.TrimRight(text, " \tkKmMgGtTiB")
		exact, ok := new(big.Rat).SetString(number)
		if !ok {
			t.Fatalf("%q: got %d", text, got)
		}
		exact.Mul(exact, new(big.Rat).SetInt64(units[strings.TrimLeft(text[len(number):], " \t")]))
		if want := new(big.Int).Quo(exact.Num(), exact.Denom()); want.Cmp(big.NewInt(got)) != 0 {
			t.Errorf("%q: got %d; exactly rounded down it is %s", text, got, want)
		}
	})
}
