package policy

import "testing"

// TestSurge: how many have a spike at once follows from how often one has it.
func TestSurge(t *testing.T) {
	often := func(every int) *spikes {
		p := &spikes{}
		for i := range 4000 {
			has := int64(0)
			if i%every == 0 {
				has = 32 * mib
			}
			p.add(0, has, 32*mib)
		}
		return p
	}
	for _, test := range []struct {
		every, workers int
		least, most    int64 // in spikes that were seen, of nine eighths each at most
	}{
		{1, 4, 4, 5},
		{4, 1, 1, 2},
		{4, 4, 4, 5},
		{20, 10, 5, 8},
		{4000, 10, 1, 3},
		{4000, 64, 2, 4},
	} {
		got := often(test.every).surge(test.workers)
		if got < test.least*32*mib || got > test.most*32*mib {
			t.Errorf("one look in %d, %d workers: %s", test.every, test.workers, size(got))
		}
	}
	p := often(20)
	for n := range 200 {
		if a, b := p.surge(n), p.surge(n+1); a > b {
			t.Errorf("%d workers take %s, %d take %s", n, size(a), n+1, size(b))
		}
	}
	if got := new(spikes).surge(5); got != 0 {
		t.Errorf("no spike was seen, and they take %d", got)
	}
}

// TestSpikesGrow: wider bins hold what the narrow ones did.
func TestSpikesGrow(t *testing.T) {
	var p spikes
	for i := range 1000 {
		p.add(0, int64(i%3)*4*mib, 8*mib)
	}
	before := p.surge(3)
	p.add(0, 200*mib, 200*mib)
	if after := p.surge(3); before < 24*mib || before > 32*mib || after < 200*mib || after > 450*mib {
		t.Errorf("before %s, after %s", size(before), size(after))
	}
}
