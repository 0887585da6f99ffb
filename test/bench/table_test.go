package main

import "testing"

// The binomial distribution's tables: of 15 values the 4th and the 12th bound the
// median with 96.5%, of 400 the 180th and the 221st with 96.0%.
func TestInterval(t *testing.T) {
	for _, tt := range []struct{ n, low, high int }{{1, 1, 1}, {2, 1, 2}, {5, 1, 5}, {6, 1, 6}, {15, 4, 12}, {400, 180, 221}} {
		values := make([]float64, tt.n)
		for i := range values {
			values[i] = float64(tt.n - i)
		}
		if low, high := interval(values); int(low) != tt.low || int(high) != tt.high {
			t.Errorf("%d values: %v..%v, want %d..%d", tt.n, low, high, tt.low, tt.high)
		}
	}
}
