package policy

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind takes over what a line says of a process type.
func (x *transcript) kind(f []string) {
	kind := slices.IndexFunc(x.c.Types, func(t Type) bool { return t.Name == f[0] })
	if kind < 0 {
		kind = len(x.c.Types)
		x.c.Types = append(x.c.Types, Type{Name: f[0]})
	}
	k := &x.c.Types[kind]
	low, high, _ := strings.Cut(f[1], "..")
	k.Min, k.Max, k.Replacing, k.InPlace = int(x.number(low)), int(x.number(high)), false, false
	for _, field := range f[2:] {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "priority":
			k.Priority = int(x.number(value))
		case "memory":
			k.Memory = x.size(value)
		case "recycle":
			k.Recycle = x.size(value)
		case "release":
			k.Release = int(x.number(value))
		case "master":
			k.MasterChooses = true
		case "norecycle":
			k.NoRecycle = true
		case "replacing":
			k.Replacing = true
		case "inplace":
			k.Replacing, k.InPlace = true, true
		case "demand":
			k.Demand = map[string]Demand{"backlog": Backlog, "cpu": Busyness, "command": Number}[value]
		case "uses":
			k.Uses = nil
			for n := range strings.SplitSeq(value, ",") {
				k.Uses = append(k.Uses, int(x.number(n)))
			}
		default:
			x.t.Fatalf("type: %q", field)
		}
	}
}

// worker takes over what a line says of a worker.
func (x *transcript) worker(f []string) {
	kind, index := x.name(f[0])
	if f[1] == "gone" {
		x.remove(kind, index)
		return
	}
	w := x.find(kind, index)
	first := w == nil
	if first {
		x.o.Workers = append(x.o.Workers, Worker{Type: kind, Index: index, Since: x.o.Now})
		w = &x.o.Workers[len(x.o.Workers)-1]
	}
	for _, field := range f[1:] {
		switch key, value, _ := strings.Cut(field, "="); key {
		case "starting":
			w.Phase = Starting
		case "extra":
			w.Extra = true
		case "ready":
			w.Phase, w.Extra = Ready, false
			if first {
				w.Since -= loading
			}
		case "stopping":
			w.Phase = Stopping
		case "cost":
			w.Cost = x.size(value)
		case "peak":
			w.Peak = x.size(value)
		case "growth":
			w.Growth = x.size(value)
		case "cpu":
			w.CPU = x.number(value)
		case "stop":
			w.StopTime = x.time(value)
		case "age":
			w.Since = x.o.Now - x.time(value)
		default:
			x.t.Fatalf("worker: %q", field)
		}
	}
}

func (x *transcript) change(what string, by, rate int64) {
	switch what {
	case "free":
		x.o.Available, x.o.Headroom, x.o.Used = x.o.Available+by, x.o.Headroom+by, x.o.Used-by
	case "available":
		x.o.Available += by
	case "headroom":
		x.o.Headroom += by
	default:
		kind, index := x.name(what)
		w := x.find(kind, index)
		w.Cost, w.Growth = w.Cost+by, rate
	}
}

func (x *transcript) free(n int64) {
	x.o.Available, x.o.Headroom, x.o.Used = n, n, x.o.Limit-n
}

func (x *transcript) find(kind, index int) *Worker {
	for i := range x.o.Workers {
		if w := &x.o.Workers[i]; w.Type == kind && w.Index == index {
			return w
		}
	}
	return nil
}

func (x *transcript) remove(kind, index int) {
	for i := range x.o.Workers {
		if w := &x.o.Workers[i]; w.Type == kind && w.Index == index {
			x.o.Workers = append(x.o.Workers[:i], x.o.Workers[i+1:]...)
			return
		}
	}
}

func (x *transcript) name(s string) (kind, index int) {
	name, number, _ := strings.Cut(s, ".")
	return x.typeOf(name), int(x.number(number))
}

func (x *transcript) typeOf(name string) int {
	i := slices.IndexFunc(x.c.Types, func(t Type) bool { return t.Name == name })
	if i < 0 {
		x.t.Fatalf("no type %q", name)
	}
	return i
}

// number, size and time read what a word says; what they cannot read fails the test.
func (x *transcript) number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		x.t.Fatal(err)
	}
	return n
}

func (x *transcript) size(s string) int64 {
	number, unit := strings.TrimSuffix(s, "iB"), int64(1)
	switch {
	case strings.HasSuffix(number, "K"):
		number, unit = strings.TrimSuffix(number, "K"), kib
	case strings.HasSuffix(number, "M"):
		number, unit = strings.TrimSuffix(number, "M"), mib
	case strings.HasSuffix(number, "G"):
		number, unit = strings.TrimSuffix(number, "G"), gib
	}
	return x.number(number) * unit
}

func (x *transcript) time(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		x.t.Fatal(err)
	}
	return d
}
