package policy

import (
	"fmt"
	"time"
)

// size writes bytes as people read them: 512 B, 25.6 MiB, 1.0 GiB.
func size(n int64) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	switch {
	case n < kib:
		return fmt.Sprintf("%s%d B", sign, n)
	case n < mib:
		return fmt.Sprintf("%s%.1f KiB", sign, float64(n)/kib)
	case n < gib:
		return fmt.Sprintf("%s%.1f MiB", sign, float64(n)/mib)
	default:
		return fmt.Sprintf("%s%.1f GiB", sign, float64(n)/gib)
	}
}

// count writes a number of things: 1 worker, 2 workers.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// period writes a duration as people read it: 300 ms, 3.5 s, 40 s, 30 min.
func period(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	default:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
}

// word finds the value whose String is a text.
func word[T fmt.Stringer](to *T, text []byte, values ...T) error {
	for _, v := range values {
		if v.String() == string(text) {
			*to = v
			return nil
		}
	}
	return fmt.Errorf("%q is none of %v", text, values)
}
