package procfile

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// units gives the bytes of each unit of a size.
var units = map[string]int64{
	"": 1, "B": 1,
	"k": 1 << 10, "K": 1 << 10, "Ki": 1 << 10, "KiB": 1 << 10, "kB": 1e3, "KB": 1e3,
	"m": 1 << 20, "M": 1 << 20, "Mi": 1 << 20, "MiB": 1 << 20, "MB": 1e6,
	"g": 1 << 30, "G": 1 << 30, "Gi": 1 << 30, "GiB": 1 << 30, "GB": 1e9,
	"t": 1 << 40, "T": 1 << 40, "Ti": 1 << 40, "TiB": 1 << 40, "TB": 1e12,
}

// ParseSize reads a number of bytes: decimal digits and a unit, blanks
// between them skipped. Powers of 1024 are k, m, g and t, the same in
// capitals as docker and systemd read them, Ki, KiB and so on; powers of 1000
// are kB or KB, MB, GB and TB; no unit, or B, is bytes. A number with a unit
// may have a fraction of up to 18 digits, such as 1.5g, which is rounded down
// to a whole byte.
//
// Other spellings, such as mb, which means 1000² to one program and 1024² to
// the next, are errors, as are an empty text, a negative number, and more
// than 8 EiB - 1, the largest int64.
func ParseSize(s string) (int64, error) {
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || s[end] == '.') {
		end++
	}
	whole, fraction, dot := strings.Cut(s[:end], ".")
	suffix := strings.TrimLeft(s[end:], " \t")
	switch {
	case strings.Trim(s, " \t") == "":
		return 0, errors.New("empty size; write bytes, or a number and a unit such as 256MiB")
	case s[0] == '-':
		return 0, fmt.Errorf("size %q is negative; write 0 or more", s)
	case whole == "" || dot && (fraction == "" || len(fraction) > 18 || strings.Contains(fraction, ".")):
		return 0, fmt.Errorf("size %q is no number; write bytes, or a number and a unit such as 256MiB", s)
	}
	unit, ok := units[suffix]
	switch {
	case !ok:
		return 0, fmt.Errorf("size %q has unknown unit %q; write k, m, g, t or KiB, MiB, GiB, TiB (powers of 1024), or kB, MB, GB, TB (powers of 1000)", s, suffix)
	case dot && unit == 1:
		return 0, fmt.Errorf("size %q has a fraction of a byte; write a whole number, or a unit", s)
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n > math.MaxInt64/unit {
		return 0, tooLarge(s)
	}
	n *= unit
	part := fractionOf(unit, fraction)
	if n > math.MaxInt64-part {
		return 0, tooLarge(s)
	}
	return n + part, nil
}

func tooLarge(s string) error {
	return fmt.Errorf("size %q is too large; write at most %d bytes", s, int64(math.MaxInt64))
}

// fractionOf gives the bytes in 0.digits of a unit, rounded down. At most 18
// digits keep the power of ten within 64 bits, and the quotient below unit.
func fractionOf(unit int64, digits string) int64 {
	numerator, denominator := uint64(0), uint64(1)
	for i := range len(digits) {
		numerator = numerator*10 + uint64(digits[i]-'0')
		denominator *= 10
	}
	high, low := bits.Mul64(uint64(unit), numerator)
	quotient, _ := bits.Div64(high, low, denominator)
	return int64(quotient)
}
