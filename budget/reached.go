package budget

// LimitReached tells whether the highest usage since a visible level was made
// (memory.peak on cgroup v2 since Linux 5.19, memory.max_usage_in_bytes on v1, and
// memory.memsw.max_usage_in_bytes for memory and swap together) has come up to
// that level's limit: within 1/64 of it, or 1 MiB where that is more. It does not
// become false again while the limit stays. After an OOM kill it tells a limit
// that is seen from one that is not, also where the kernel counts no failed
// charge for the kill: Linux 6.18 leaves memory.failcnt and memory.memsw.failcnt
// of v1 at 0.
func (b *Budget) LimitReached() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	for i := range b.levels {
		l := &b.levels[i]
		if u := b.readLevel(i, false); u.limited && l.peak.reached(&b.in, u.limit) {
			return true
		}
		if !b.rung.v1() {
			continue
		}
		if both, limited := l.swapLimit.limitValue(&b.in); limited && l.swapPeak.reached(&b.in, both) {
			return true
		}
	}
	return false
}

// reached tells whether the highest usage that f names comes up to a limit.
func (f *file) reached(in *input, limit int64) bool {
	highest, ok := f.value(in)
	return ok && highest >= limit-max(limit/64, 1<<20)
}
