package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/procfile"
)

// reserve is memory in bytes, or in percent of the limit where percent is
// above zero.
type reserve struct {
	bytes   int64
	percent float64
}

func parseReserve(s string) (reserve, error) {
	number, ok := strings.CutSuffix(s, "%")
	if !ok {
		n, err := procfile.ParseSize(s)
		return reserve{bytes: n}, err
	}
	p, err := strconv.ParseFloat(number, 64)
	if err != nil || !(0 <= p && p < 100) {
		return reserve{}, fmt.Errorf("%q is no part of the limit; write a percentage from 0%% to below 100%%", s)
	}
	return reserve{percent: p}, nil
}

// parseLimit reads a size of 1 MiB or more: a smaller one has lost its unit.
func parseLimit(s string) (int64, error) {
	n, err := procfile.ParseSize(s)
	if _, bare := strconv.Atoi(s); err == nil && n < 1<<20 && bare == nil {
		return 0, fmt.Errorf("%q is bytes, less than 1 MiB; write a unit, such as 256MiB", s)
	}
	if err == nil && n < 1<<20 {
		return 0, fmt.Errorf("%q is less than 1 MiB; write a size such as 256MiB", s)
	}
	return n, err
}

// parseDuration reads a duration of 0 or more.
func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if _, bare := strconv.Atoi(s); bare == nil && d == 0 && s != "0" {
		return 0, fmt.Errorf("%q has no unit; write %ss", s, s)
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is no duration; write a number and ms, s, m or h, such as 8s", s)
	case d < 0:
		return 0, fmt.Errorf("%q is negative; write 0s or more", s)
	}
	return d, nil
}

// parsePositive reads a duration that cannot be 0.
func parsePositive(s string) (time.Duration, error) {
	d, err := parseDuration(s)
	if err == nil && d == 0 {
		err = fmt.Errorf("%q is no time at all; write more than 0s", s)
	}
	return d, err
}

// parseInterval reads how often something is done; 0 and "off" are never.
func parseInterval(s string) (time.Duration, error) {
	if s == "off" {
		return 0, nil
	}
	d, err := parseDuration(s)
	if err == nil && d > 0 && d < shortestInterval {
		err = fmt.Errorf("%q is too often; write %v or more, or off", s, shortestInterval)
	}
	return d, err
}

const shortestInterval = 100 * time.Millisecond

func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "1", "on", "yes":
		return true, nil
	case "false", "0", "off", "no":
		return false, nil
	}
	return false, fmt.Errorf("%q is unknown; write true or false", s)
}

func parsePort(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 65535 {
		return 0, fmt.Errorf("%q is no TCP port; write a number from 1 to 65535", s)
	}
	return n, nil
}

// parseSignal reads TERM, SIGTERM or 15.
func parseSignal(s string) (unix.Signal, error) {
	if n, err := strconv.Atoi(s); err == nil && 1 <= n && n <= 64 {
		return unix.Signal(n), nil
	}
	name := strings.ToUpper(s)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if sig := unix.SignalNum(name); sig != 0 {
		return sig, nil
	}
	return 0, fmt.Errorf("%q is no signal; write a name such as TERM, or a number from 1 to 64", s)
}

// parseRewrite reads OLD:NEW,OLD:NEW; a NEW of 0 drops the signal.
func parseRewrite(s string) (map[unix.Signal]unix.Signal, error) {
	rewrite := make(map[unix.Signal]unix.Signal)
	for pair := range strings.SplitSeq(s, ",") {
		from, to, ok := strings.Cut(pair, ":")
		if !ok {
			return nil, fmt.Errorf("no colon in %q; write OLD:NEW, such as TERM:QUIT", pair)
		}
		old, err := parseSignal(from)
		if err != nil {
			return nil, err
		}
		sig := unix.Signal(0)
		if to != "0" {
			if sig, err = parseSignal(to); err != nil {
				return nil, err
			}
		}
		rewrite[old] = sig
	}
	return rewrite, nil
}

// parseCodes reads exit codes with commas between.
func parseCodes(s string) ([]int, error) {
	var codes []int
	for text := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > 255 {
			return nil, fmt.Errorf("%q is no exit code; write a number from 0 to 255", text)
		}
		codes = append(codes, n)
	}
	return codes, nil
}

// startLimit is how many failures one slot may have in which time.
type startLimit struct {
	count  int
	period time.Duration
}

func parseStartLimit(s string) (startLimit, error) {
	count, period, ok := strings.Cut(s, "/")
	n, err := strconv.Atoi(count)
	if !ok || err != nil || n < 1 {
		return startLimit{}, fmt.Errorf("%q is no start limit; write FAILURES/DURATION, such as 5/60s", s)
	}
	d, err := parsePositive(period)
	return startLimit{n, d}, err
}
