package sim_test

import (
	"fmt"
	"time"

	"github.com/memsup/memsup/sim"
)

// What memsup would do with workers of 80 MiB, 60 of which a master shares, in 512
// MiB.
func ExampleRun() {
	const mib = 1 << 20
	s := &sim.Scenario{
		Seed: 1, Span: 10 * time.Minute, CPUs: 2, Limit: 512 * mib, ReservePercent: 10,
		Types: []sim.Type{{Name: "web", Profile: sim.Constant(20*mib, 60*mib), Min: 1, Max: 8}},
	}
	r := sim.Run(s, &sim.Memsup{}, 2*time.Minute)
	last := r.Timeline[len(r.Timeline)-1]
	fmt.Printf("%d serving, %d MiB available\n", last.Types[0].Serving, last.Available/mib)
	// Output: 8 serving, 289 MiB available
}
