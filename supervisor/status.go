package supervisor

// Status is what GET /v1/status answers: bytes and milliseconds; what is not
// known is left out. Its fields are stable within a major version.
type Status struct {
	Version   string       `json:"version"`
	Health    string       `json:"health"` // ok, short, failing, stopping: then a reason in words
	Mode      string       `json:"mode"`   // act, observe, command
	UptimeMS  int64        `json:"uptime_ms"`
	Container Container    `json:"container"`
	Types     []TypeStatus `json:"types"`
	Workers   []Worker     `json:"workers"`
	Decisions []Decision   `json:"decisions"` // newest last, at most 64
}

// Container is the memory and CPU that all workers share.
type Container struct {
	Limit     *int64    `json:"limit"`
	Used      *int64    `json:"used"`
	Available *int64    `json:"available"`
	Headroom  *int64    `json:"headroom"`
	Reserve   *int64    `json:"reserve"`
	Swap      *int64    `json:"swap"` // swap in use
	Pressure  *Pressure `json:"pressure"`
	CPULimit  *float64  `json:"cpu_limit"` // CPUs
	OOMKills  int64     `json:"oom_kills"` // since memsup started
	Ceiling   *int64    `json:"ceiling"`   // learned from a kill
	Sources   []string  `json:"sources"`   // the rung, and the files that decided limit and cpu_limit
	Rung      *string   `json:"rung"`      // how pressure is heard
}

// Pressure is PSI over the last ten seconds, in percent of the time.
type Pressure struct {
	Some float64 `json:"some"`
	Full float64 `json:"full"`
}

// TypeStatus is one process type.
type TypeStatus struct {
	Name          string  `json:"name"`
	Running       int     `json:"running"`
	Ready         int     `json:"ready"`
	Wanted        int     `json:"wanted"`
	Min           int     `json:"min"`
	Max           int     `json:"max"`
	Pinned        bool    `json:"pinned"`
	Cost          *int64  `json:"cost"`
	Costs         *Costs  `json:"costs"`
	BlockedReason *string `json:"blocked_reason"`
	Demand        *string `json:"demand"` // what asks for more or fewer, in words
}

// Worker is one worker.
type Worker struct {
	Name     string   `json:"name"` // web.1
	Type     string   `json:"type"`
	PID      *int     `json:"pid"`
	State    string   `json:"state"`
	UptimeMS int64    `json:"uptime_ms"`
	Memory   *int64   `json:"memory"`
	Peak     *int64   `json:"peak"` // memory.peak of its own cgroup, cache included
	CPU      *float64 `json:"cpu"`  // percent of one CPU since the look before, the first time since its start
	Restarts int      `json:"restarts"`
	LastExit *string  `json:"last_exit"`
	// StatusText is what the worker says of itself, STATUS= of sd_notify(3).
	StatusText *string `json:"status_text"`
}

// Decision is one thing that memsup did, or in observe mode would have done.
type Decision struct {
	At     string `json:"at"` // RFC 3339 with milliseconds, UTC
	Action string `json:"action"`
	Worker string `json:"worker"`
	Reason string `json:"reason"`
	// NoticeUS is how many microseconds passed from the kernel's notification
	// until the worker was sent its signal, where one led to the decision.
	NoticeUS *int64 `json:"notice_us,omitempty"`
}

// Costs are what a type's workers were measured to have, in bytes: when they were
// just ready, five minutes later (null where none was so old), and at most.
type Costs struct {
	Start int64  `json:"start"`
	Warm  *int64 `json:"warm"`
	Peak  int64  `json:"peak"`
}
