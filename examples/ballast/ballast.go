// Package ballast takes real memory. What a program merely allocates costs its
// container nothing until it is written to; the pages here are all written, so
// they are resident and charged to the cgroup the moment Hold returns, and they
// are given back the moment Free does, whatever the garbage collector thinks.
package ballast

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Ballast is an amount of anonymous memory. The zero value holds nothing; all
// methods may be called from several goroutines.
type Ballast struct {
	mu    sync.Mutex
	maps  [][]byte
	bytes int64
}

// Hold takes so many more bytes, rounded up to whole pages.
func (b *Ballast) Hold(bytes int64) error {
	if bytes <= 0 {
		return nil
	}
	m, err := syscall.Mmap(-1, 0, int(bytes), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return fmt.Errorf("mmap %d bytes: %w", bytes, err)
	}
	for i := 0; i < len(m); i += os.Getpagesize() {
		m[i] = 1
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.maps = append(b.maps, m)
	b.bytes += int64(len(m))
	return nil
}

// Leak takes rate bytes a second, in tenths of a second, until ctx is done or
// the kernel refuses.
func (b *Ballast) Leak(ctx context.Context, rate Rate) error {
	tick := time.NewTicker(time.Second / 10)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := b.Hold(int64(rate) / 10); err != nil {
				return err
			}
		}
	}
}

// Free gives everything back.
func (b *Ballast) Free() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for _, m := range b.maps {
		errs = append(errs, syscall.Munmap(m))
	}
	b.maps, b.bytes = nil, 0
	return errors.Join(errs...)
}

// Bytes is how much is held.
func (b *Ballast) Bytes() Size {
	b.mu.Lock()
	defer b.mu.Unlock()
	return Size(b.bytes)
}

// Size is a number of bytes, written plainly or with KiB, MiB or GiB.
type Size int64

// String gives the size in MiB with one decimal.
func (s Size) String() string {
	return fmt.Sprintf("%.1fMiB", float64(s)/(1<<20))
}

// MarshalText writes the size in plain bytes.
func (s Size) MarshalText() ([]byte, error) {
	return strconv.AppendInt(nil, int64(s), 10), nil
}

// UnmarshalText reads a size; a negative one is an error.
func (s *Size) UnmarshalText(text []byte) error {
	digits, shift := string(text), 0
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if d, ok := strings.CutSuffix(digits, unit); ok {
			digits, shift = d, 10*(i+1)
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 62-shift)
	if err != nil {
		return fmt.Errorf("size %q: %w", text, err)
	}
	*s = Size(n) << shift
	return nil
}

// Rate is a number of bytes a second, written as a Size and "/s".
type Rate int64

// MarshalText writes the rate in plain bytes a second.
func (r Rate) MarshalText() ([]byte, error) {
	return strconv.AppendInt(nil, int64(r), 10), nil
}

// UnmarshalText reads a rate; "/s" may be left out.
func (r *Rate) UnmarshalText(text []byte) error {
	return (*Size)(r).UnmarshalText([]byte(strings.TrimSuffix(string(text), "/s")))
}
