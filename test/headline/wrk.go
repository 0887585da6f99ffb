package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// answers are what was answered within one second.
type answers struct {
	Second int64 `json:"second"` // since the load's first
	Good   int   `json:"good"`
	Bad    int   `json:"bad"`
}

// report is what wrk says of its run.
type report struct {
	Requests int   `json:"requests"`
	Micros   int64 `json:"micros"` // how long it took

	// Failures: sockets' errors, answers after more than wrk's timeout, and
	// answers whose status is 400 or more.
	Connect int `json:"connect"`
	Read    int `json:"read"`
	Write   int `json:"write"`
	Timeout int `json:"timeout"`
	Status  int `json:"status"`

	// Latencies in microseconds.
	P50 int64 `json:"p50"`
	P99 int64 `json:"p99"`
	Max int64 `json:"max"`

	Answers []answers `json:"answers"`
}

// failed is the number of failed requests.
func (r *report) failed() int { return r.Connect + r.Read + r.Write + r.Timeout + r.Status }

// rate is good answers a second. wrk does not count as requests what was not
// answered.
func (r *report) rate() float64 { return float64(r.Requests-r.Status) / (float64(r.Micros) / 1e6) }

// parseReport reads what report.lua prints among wrk's own lines.
func parseReport(in io.Reader) (*report, error) {
	var r report
	var first int64
	done := false
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var second int64
		var all, bad int
		if n, _ := fmt.Sscanf(lines.Text(), "tick %d %d %d", &second, &all, &bad); n == 3 {
			if first == 0 {
				first = second
			}
			r.Answers = append(r.Answers, answers{Second: second - first, Good: all - bad, Bad: bad})
		}
		n, _ := fmt.Sscanf(lines.Text(), "done requests=%d duration_us=%d connect=%d read=%d write=%d timeout=%d status=%d p50_us=%d p99_us=%d max_us=%d",
			&r.Requests, &r.Micros, &r.Connect, &r.Read, &r.Write, &r.Timeout, &r.Status, &r.P50, &r.P99, &r.Max)
		done = done || n == 10
	}
	switch {
	case lines.Err() != nil:
		return nil, lines.Err()
	case !done:
		return nil, errors.New("wrk came to no end")
	case r.Micros <= 0:
		return nil, errors.New("wrk says that it took no time")
	}
	return &r, nil
}
