// Package sim simulates a container whose workers share one memory limit: what
// they take as they serve requests, how requests come, wait and are lost, and the
// kernel that kills when memory ends. A Controller starts and stops the workers:
// memsup's own policy, driven as the supervisor does it, or another program's rules.
//
// Time is virtual, and the only chance is a generator with a seed: the same
// scenario gives the same result. Requests are a fluid of rates, so that an hour
// takes milliseconds.
package sim

import (
	"time"

	"github.com/memsup/memsup/policy"
)

// Scenario is one container and what comes upon it.
type Scenario struct {
	Name string
	// Seed chooses what chance brings: which of the measured lives a worker
	// leads, and when in a stretch its peak comes. Seeds are more of them, for
	// RunSeeds.
	Seed  uint64
	Seeds []uint64
	// Span is how long the simulation runs, Warm how long of it counts as the
	// start: starts and stops are counted after it.
	Span, Warm time.Duration
	// CPUs is the CPU limit.
	CPUs float64
	// Limit is the memory limit in bytes, and Limits what becomes of it.
	Limit  int64
	Limits []Limit
	// OOMGroup is memory.oom.group: one kill by the kernel ends the container,
	// which starts anew ten seconds later.
	OOMGroup bool
	// ReservePercent is the part of the limit to keep free of workers; where it is
	// 0, ReserveBytes are.
	ReservePercent float64
	ReserveBytes   int64
	// Base is anonymous memory of others, in bytes, besides the profiles' own.
	Base int64
	// Cache is the page cache that the container would fill, in bytes, and Active
	// the part of it that it uses again and again.
	Cache, Active int64
	Types         []Type
}

// Limit is a memory limit from an instant on.
type Limit struct {
	At    time.Duration
	Bytes int64
}

// Type is a process type and the requests that come for it.
type Type struct {
	Name    string
	Profile *Profile
	// Alone says that the workers have no master: each holds for itself what
	// they would share with it.
	Alone    bool
	Min, Max int
	Priority int
	// Wait is what a request waits for others, such as a database, besides the
	// measured time.
	Wait time.Duration
	Load Load
	// Ready is how long after its start a worker is taken to be ready; 0 is when its
	// memory has settled.
	Ready time.Duration
	// Queue is the length of the accept queue, Timeout how long a client waits in
	// it.
	Queue   int
	Timeout time.Duration
	// Stop is how long a worker takes to end where that is more than the
	// profile's, as with requests that last long.
	Stop time.Duration
	// Weight is what one second of serving it is worth; 0 is 1.
	Weight float64
}

// Reserve is what a policy keeps free of workers under a limit, in bytes.
func (s *Scenario) Reserve(limit int64) int64 {
	c := policy.Config{Reserve: s.ReserveBytes, ReservePercent: s.ReservePercent}
	return c.ReserveFor(limit)
}

// Controller starts and stops the workers of a container.
type Controller interface {
	// Begin is called when the container starts, and again when it starts anew.
	Begin(*Container)
	// Look is called at the start, when the time has come that the look before
	// asked for, and after a worker has ended. It says how long the next may be
	// away.
	Look(*Container) time.Duration
	// Ended tells that a worker is gone, and how.
	Ended(*Container, *Worker, End)
}

// End is how a worker ended.
type End uint8

const (
	Stopped End = iota // after its stop signal
	Killed             // by SIGKILL from the controller
	OOM                // by the kernel for memory
)
