package policy

import (
	"strings"
	"time"
)

// demand takes the lines of a transcript about demand and limits.
//
//	type jobs 1..4 demand=cpu uses=5,0
//	limits db=20 files=100
//	waiting web 3 of 128   connections
//	busy jobs 850          per mille, measured anew every 5s
//	number jobs 3          likewise
//	unmeasured jobs        any more
//	cpus 2000 used 1800    per mille
func (x *transcript) demand(f []string) (taken bool) {
	switch f[0] {
	case "limits":
		x.c.Limits = nil
		for _, field := range f[1:] {
			name, most, _ := strings.Cut(field, "=")
			x.c.Limits = append(x.c.Limits, Limit{name, int(x.number(most))})
		}
	case "waiting":
		m := x.measure(f[1])
		m.Waiting, m.Room = int(x.number(f[2])), int(x.number(f[4]))
	case "busy":
		m := x.measure(f[1])
		m.Busy, m.At, x.fresh[x.typeOf(f[1])] = x.number(f[2]), 0, true
	case "number":
		m := x.measure(f[1])
		m.Number, m.At, x.fresh[x.typeOf(f[1])] = int(x.number(f[2])), 0, true
	case "unmeasured":
		x.fresh[x.typeOf(f[1])] = false
	case "cpus":
		x.o.CPULimit, x.o.CPUUsed = x.number(f[1]), x.number(f[3])
	default:
		return false
	}
	return true
}

func (x *transcript) measure(name string) *Measure {
	kind := x.typeOf(name)
	for len(x.o.Demand) <= kind {
		x.o.Demand = append(x.o.Demand, Measure{})
	}
	return &x.o.Demand[kind]
}

// measureAnew dates what is being measured.
func (x *transcript) measureAnew() {
	for i := range x.o.Demand {
		if m := &x.o.Demand[i]; x.fresh[i] && (m.At == 0 || x.o.Now-m.At >= 5*time.Second) {
			m.At = x.o.Now
		}
	}
}
