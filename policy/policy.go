// Package policy decides how many workers of each process type run. It reads
// no clock, no file and no random number: Decide sees a configuration, the
// state that it left behind the last time, and one observation, and answers
// with actions, each with its reason in words and numbers. The same inputs
// always give the same answer.
//
// All sizes are bytes, all instants are durations since an origin that the
// caller keeps (memsup's start).
package policy

import "time"

// Config is what the user asked for.
type Config struct {
	// Reserve is the memory to keep free of workers, in bytes. Where
	// ReservePercent is above zero it decides instead: that percentage of the
	// limit, at least 16 MiB and at most 1 GiB.
	Reserve        int64
	ReservePercent float64
	Types          []Type
	// Limits are further ceilings, beside memory.
	Limits []Limit
}

// Type is one process type, in the Procfile's order.
type Type struct {
	Name     string
	Min, Max int
	// MaxFixed says that Max is a number the user gave, where `auto` is what
	// memory holds.
	MaxFixed bool
	// Priority says who keeps workers when memory is short: higher keeps.
	Priority int
	// Memory is the user's first estimate of one worker's cost, used until a
	// worker was measured; zero is unknown.
	Memory int64
	// Recycle is the size above which a worker is replaced; zero is never.
	Recycle int64
	// Release is another number where what the type runs is another: what was
	// learned of workers that started before says nothing of it.
	Release int
	// NoRecycle says that a worker which was stopped is not started again, so
	// that stopping one to replace it would lose it.
	NoRecycle bool
	// MasterChooses says that its workers belong to a master which chooses who
	// goes when there is to be one fewer; one of them can still be recycled.
	MasterChooses bool
	// Demand is what tells how many workers are wanted, up to what memory holds.
	Demand Demand
	// Uses is how much one worker uses of each of Config.Limits; what it is too
	// short for is zero.
	Uses []int
	// Replacing has each look find out whether one more worker would fit beside
	// all others, or with InPlace where one of them is stopped first: see State.Holds.
	Replacing bool `json:",omitempty"`
	InPlace   bool `json:",omitempty"`
}

// Phase is where a worker is in its life, as far as memory is concerned.
type Phase uint8

const (
	Starting Phase = iota // alive, not yet ready
	Ready
	Stopping // was sent its stop signal
)

// String is the word of the log and the status: starting, ready or stopping.
func (p Phase) String() string {
	switch p {
	case Starting:
		return "starting"
	case Ready:
		return "ready"
	default:
		return "stopping"
	}
}

// MarshalText is String.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText takes what String gives.
func (p *Phase) UnmarshalText(text []byte) error { return word(p, text, Starting, Ready, Stopping) }

// Worker is one running worker as it was last measured.
type Worker struct {
	Type  int // index in Config.Types
	Index int // the N of name.N, from 1
	Phase Phase
	// Since is when it started.
	Since time.Duration
	// Cost is what the container would get back if it ended, in bytes; zero is
	// not yet measured.
	Cost int64
	// Peak is the most that Cost has been since the worker started, between looks
	// too, as VmHWM of /proc/PID/status tells; zero is not known.
	Peak int64
	// Growth is how fast Cost has been growing, in bytes a second.
	Growth int64
	// CPU is the share of one processor that it used since the observation
	// before, in thousandths.
	CPU int64
	// StopTime is how long its type's workers were measured to take to stop;
	// zero is unknown.
	StopTime time.Duration
	// Extra is a worker that is to take the place of another one, which runs until
	// this one is ready. It is no part of the number that is wanted.
	Extra bool `json:",omitempty"`
}

// Exit is a worker's end since the observation before.
type Exit struct {
	Type, Index int
	Ready       bool // it had become ready
	OOM         bool // the kernel killed it for memory
	Asked       bool // memsup stopped it
	Grown       bool // it was added by an Up
	Extra       bool `json:",omitempty"` // it was Extra
}

// Observation is one look at the container and its workers.
type Observation struct {
	Now time.Duration
	// Limit is the most that the container may use. Limited is false where it
	// is only the host's memory.
	Limit   int64
	Limited bool
	// Used is memory.current of the level that decides, cache included.
	Used int64
	// Available is what can be taken before something refuses or kills.
	Available int64
	// Headroom is its cautious part, before the debits of starting workers.
	Headroom int64
	// OOMKills and MaxEvents are the kernel's running counts: memory.events'
	// oom_kill and max, or memory.oom_control's oom_kill and memory.failcnt.
	OOMKills, MaxEvents int64
	// LimitReached says that the highest use so far came up to the limit. It
	// matters where OOMKills rose, and may be left false elsewhere.
	LimitReached bool
	// OOMGroup is memory.oom.group: one kill ends the whole container.
	OOMGroup bool
	// PressureSome and PressureFull are the share of time lost to memory over
	// the last ten seconds in thousandths; zero where PSI is missing.
	PressureSome, PressureFull int64
	Workers                    []Worker
	Exits                      []Exit
	// Demand is what was measured of the demand for each of Config.Types; what it
	// is too short for is not measured.
	Demand []Measure
	// CPUUsed is how much all workers together used over the time of Demand's
	// Busy, and CPULimit what the container may use, in thousandths of a
	// processor; a CPULimit of zero is not known.
	CPUUsed, CPULimit int64
}

// Kind is what to do.
type Kind uint8

const (
	Up      Kind = iota // run one more of a type
	Down                // stop a worker and run one fewer of its type
	Recycle             // stop a worker, then start it anew
	Kill                // SIGKILL a worker that is stopping too slowly, or has no time to
)

// String is the word of the log and the status: up, down, recycle or kill.
func (k Kind) String() string {
	switch k {
	case Up:
		return "up"
	case Down:
		return "down"
	case Recycle:
		return "recycle"
	default:
		return "kill"
	}
}

// MarshalText is String.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText takes what String gives.
func (k *Kind) UnmarshalText(text []byte) error { return word(k, text, Up, Down, Recycle, Kill) }

// Action is one decision.
type Action struct {
	Kind Kind
	Type int // index in Config.Types
	// Index is the worker's; zero for Up, where the lowest free one is taken.
	Index  int
	Reason string
	// First says of a Recycle that memory holds the new worker beside the old one.
	First bool `json:",omitempty"`
}
