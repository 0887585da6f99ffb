//go:build container

package container

import (
	"strings"
	"testing"
	"time"
)

// Workers are replaced as many at once as fit, here some of six: the reserve stays free,
// and no request is dropped.
func TestReplacedTogether(t *testing.T) {
	t.Parallel()
	c := start(t, &workersImage, append(memory("320m"), files(t, "together")...), "--port", "8080")
	old := map[int]bool{}
	c.eventually(patience, "six workers ready", func() bool {
		s, err := c.status()
		if err != nil || len(s.Types) == 0 || s.Types[0].Ready < 6 {
			return false
		}
		for _, w := range s.Workers {
			old[w.PID] = true
		}
		return true
	})
	rush := c.rush(8, "8080")
	c.eventually(patience, "warm", func() bool { all, _ := rush.results(); return all > 5000 })
	c.exec("memsup", "restart", "web")
	begun, looks := time.Now(), 0
	most, least, reserve := 0, int64(1)<<62, int64(0)
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for left := 6; left > 0; <-look.C {
		s, err := c.status()
		if err != nil {
			t.Fatal(err)
		}
		left = 0
		coming := 0
		for _, w := range s.Workers {
			switch {
			case old[w.PID]:
				left++
			case w.State == "starting":
				coming++
			}
		}
		most, least, reserve = max(most, coming), min(least, s.Container.Headroom), s.Container.Reserve
		if looks++; time.Since(begun) > patience {
			t.Fatalf("%d are not replaced after %s", left, patience)
		}
	}
	rush.stop()
	all, failures := rush.results()
	t.Logf("%d at once, all in %s, by %d looks; %.1f MiB of headroom at the least, reserve %.1f MiB; %d requests",
		most, time.Since(begun).Round(time.Millisecond), looks, float64(least)/(1<<20), float64(reserve)/(1<<20), all)
	if most < 2 || most > 5 {
		t.Errorf("%d were replaced at once", most)
	}
	if least < reserve {
		t.Errorf("headroom was %d, under the reserve of %d", least, reserve)
	}
	if len(failures) > 0 || all == 0 {
		t.Errorf("of %d requests %d failed, as %v", all, len(failures), failures)
	}
	for _, line := range c.err() {
		for _, word := range []string{"rolled back", "stopped first", "memsup: down"} {
			if strings.Contains(line, word) {
				t.Error(line)
			}
		}
	}
	c.stop(0)
}
