package policy

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// ReserveFor returns the bytes to keep free of workers under a limit. A
// percentage gives at least 16 MiB and at most 1 GiB; a size is taken as it is.
func (c *Config) ReserveFor(limit int64) int64 {
	if c.ReservePercent > 0 {
		part := float64(bytes(limit)) * min(c.ReservePercent, 100) / 100
		return max(16*mib, min(int64(part), gib))
	}
	return bytes(c.Reserve)
}

// Share returns the bytes that are planned for one worker of type t, which is
// its MEM_SHARE: the size at which it is recycled, else its equal part of the
// limit less the reserve when every type runs its maximum. It is false where a
// maximum is what memory holds, so that no part can be named.
func Share(c *Config, t int, limit int64) (int64, bool) {
	if c.Types[t].Recycle > 0 {
		return c.Types[t].Recycle, true
	}
	workers := 0
	for i := range c.Types {
		if !c.Types[i].MaxFixed {
			return 0, false
		}
		workers += min(max(c.Types[i].Max, 0), 1<<30)
	}
	room := bytes(limit) - c.ReserveFor(limit)
	if workers == 0 || room <= 0 {
		return 0, false
	}
	return room / int64(workers), true
}

// most bounds every size that comes in, so that sums of them cannot overflow.
const most = 1 << 50

// bytes returns n as a size: not negative, and at most a PiB.
func bytes(n int64) int64 { return min(max(n, 0), most) }

// signed is bytes for a size that may have fallen below zero.
func signed(n int64) int64 { return min(max(n, -most), most) }

// plus adds two sizes and stops at the largest instead of overflowing.
func plus(a, b int64) int64 { return signed(a + b) }
