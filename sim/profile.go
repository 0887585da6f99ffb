package sim

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// Profile is a server's workers as they were measured: how memory goes with the
// requests that a worker has served, and what a request takes. The files of
// sim/profiles hold them.
type Profile struct {
	Name   string
	Server string // its name and version
	// Threads is how many requests one worker serves at once.
	Threads int
	// Start is from fork to the first answer, Stop from the stop signal to the end
	// of an idle worker.
	Start, Stop time.Duration
	// Service is a request's wall time on an idle server: mean, median and 99th
	// percentile.
	Service, Median, P99 time.Duration
	// CPU is the CPU time of one request.
	CPU time.Duration
	// Base is the anonymous memory of the container without any worker, in bytes.
	Base int64
	// Shared is what a worker shares with its master when it starts, in bytes. The
	// master holds it: it is a part of Base.
	Shared int64
	Lives  []Life
}

// Life is one worker's memory from its start on.
type Life []Row

// Row is one measurement of a worker.
type Row struct {
	Requests int64   // served so far
	Seconds  float64 // since the first row
	// Private is the anonymous memory that the container would get back, in
	// bytes; Peak the most of it since the row before.
	Private, Peak int64
	// Shared is what it still shares with its master, in bytes.
	Shared int64
}

// ParseProfile reads a profile in the format of sim/profiles. Errors name file and
// line.
func ParseProfile(file string, r io.Reader) (*Profile, error) {
	p := &parser{profile: &Profile{}, seen: map[string]bool{}}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		p.line++
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		if err := p.take(text); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, p.line, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", file, p.line+1, err)
	}
	if err := p.complete(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", file, p.line, err)
	}
	return p.profile, nil
}

type parser struct {
	profile *Profile
	line    int
	seen    map[string]bool
	rows    bool
}

// keys are the lines before the table, each of which has to be there once.
var keys = []string{"name", "server", "threads", "start_ms", "stop_ms", "service_ms", "cpu_ms", "base_bytes", "shared_bytes"}

const columns = "life requests seconds private peak shared"

func (p *parser) take(text string) error {
	if p.rows {
		return p.row(strings.Fields(text))
	}
	if strings.Join(strings.Fields(text), " ") == columns {
		p.rows = true
		return nil
	}
	key, value, _ := strings.Cut(text, " ")
	value = strings.TrimSpace(value)
	known := false
	for _, k := range keys {
		known = known || k == key
	}
	switch {
	case !known:
		return fmt.Errorf("unknown key %q; write one of %s, or the table's first line, %q", key, strings.Join(keys, ", "), columns)
	case p.seen[key]:
		return fmt.Errorf("%s stands twice", key)
	case value == "":
		return fmt.Errorf("%s has no value", key)
	}
	p.seen[key] = true
	return p.set(key, value)
}

func (p *parser) set(key, value string) (err error) {
	f := p.profile
	switch key {
	case "name":
		f.Name = value
	case "server":
		f.Server = value
	case "threads":
		var n int64
		if n, err = whole(value, 1, 1<<16); err == nil {
			f.Threads = int(n)
		}
	case "start_ms":
		err = spans(value, &f.Start)
	case "stop_ms":
		err = spans(value, &f.Stop)
	case "service_ms":
		err = spans(value, &f.Service, &f.Median, &f.P99)
	case "cpu_ms":
		err = spans(value, &f.CPU)
	case "base_bytes":
		f.Base, err = whole(value, 0, most)
	case "shared_bytes":
		f.Shared, err = whole(value, 0, most)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

const most = 1 << 50

func whole(text string, low, high int64) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%q is not a whole number from %d to %d", text, low, high)
	}
	return n, nil
}

func fraction(text string) (float64, error) {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(x) || x < 0 || x > 1e9 {
		return 0, fmt.Errorf("%q is not a number from 0 to 1e9", text)
	}
	return x, nil
}

// spans reads as many milliseconds as it is given places for.
func spans(text string, to ...*time.Duration) error {
	fields := strings.Fields(text)
	if len(fields) != len(to) {
		return fmt.Errorf("%q has %d numbers; write %d", text, len(fields), len(to))
	}
	for i, field := range fields {
		ms, err := fraction(field)
		if err != nil {
			return err
		}
		*to[i] = time.Duration(ms * float64(time.Millisecond))
	}
	return nil
}

func (p *parser) row(fields []string) error {
	f := p.profile
	if len(fields) != 6 {
		return fmt.Errorf("a row has %d columns; write %s", len(fields), columns)
	}
	life, err := whole(fields[0], 1, 1<<16)
	if err != nil {
		return fmt.Errorf("life: %w", err)
	}
	switch n := int64(len(f.Lives)); {
	case life == n+1:
		f.Lives = append(f.Lives, nil)
	case life != n:
		return fmt.Errorf("life %d follows life %d; lives stand in order, from 1", life, n)
	}
	var r Row
	if r.Seconds, err = fraction(fields[2]); err != nil {
		return fmt.Errorf("seconds: %w", err)
	}
	for _, c := range []struct {
		name string
		text string
		to   *int64
	}{
		{"requests", fields[1], &r.Requests},
		{"private", fields[3], &r.Private},
		{"peak", fields[4], &r.Peak},
		{"shared", fields[5], &r.Shared},
	} {
		if *c.to, err = whole(c.text, 0, most); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	rows := &f.Lives[life-1]
	last := len(*rows) - 1
	switch {
	case r.Peak < r.Private:
		return fmt.Errorf("peak %d is under private %d", r.Peak, r.Private)
	case last < 0 && r.Requests != 0:
		return fmt.Errorf("life %d begins at %d requests; the first row is taken at 0", life, r.Requests)
	case last >= 0 && r.Requests < (*rows)[last].Requests:
		return fmt.Errorf("requests %d is under the row before, %d", r.Requests, (*rows)[last].Requests)
	case last >= 0 && r.Seconds < (*rows)[last].Seconds:
		return fmt.Errorf("seconds %g is under the row before, %g", r.Seconds, (*rows)[last].Seconds)
	}
	*rows = append(*rows, r)
	return nil
}

func (p *parser) complete() error {
	for _, key := range keys {
		if !p.seen[key] {
			return fmt.Errorf("%s is missing", key)
		}
	}
	f := p.profile
	if len(f.Lives) == 0 {
		return fmt.Errorf("no rows; write %q and a row for each measurement", columns)
	}
	for i, life := range f.Lives {
		if life[len(life)-1].Requests == 0 {
			return fmt.Errorf("life %d has no row after its first request", i+1)
		}
	}
	if f.Service <= 0 {
		return fmt.Errorf("service_ms: a request takes no time")
	}
	return nil
}

// Constant is the profile of a worker that takes its size when it starts and
// keeps it. Shared is what a master holds once for all of its workers, beside
// their own bytes each.
func Constant(bytes, shared int64) *Profile {
	row := Row{Private: bytes, Peak: bytes, Shared: shared}
	later := row
	later.Requests, later.Seconds = 1000, 100
	return &Profile{
		Name: "constant", Server: "constant", Threads: 1,
		Start: 2 * time.Second, Stop: time.Second,
		Service: 100 * time.Millisecond, Median: 100 * time.Millisecond, P99: 100 * time.Millisecond,
		CPU: 10 * time.Millisecond, Base: shared, Shared: shared,
		Lives: []Life{{row, later}},
	}
}
