package policy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// TestTranscripts runs testdata/*.txt. A transcript is a list of blocks, parted
// by empty lines: what is given, a line of dashes, and what is decided.
//
//	reserve 25MiB | 10%
//	type web 1..4 priority=10 memory=30MiB recycle=300MiB
//	type batch 1..1 norecycle release=2
//	type web 1..4 master   which chooses who goes
//	type web 2..2 replacing  asks whether memory holds one more
//	type web 2..4 inplace    asks whether it holds one in place of another
//	limit 256MiB           and unlimited, kills, max, some, full (per mille), oomgroup
//	reached                the limit was, at the next look
//	free 200MiB            headroom and available, and used is the rest
//	available 200MiB       alone, as with active page cache; headroom, used: likewise
//	web.1 ready cost=30MiB peak=90MiB growth=1MiB cpu=200 stop=3s age=40s
//	                       one that is new and ready has loaded, unless its age says less
//	web.1 gone
//	web.3 extra            it is to take another's place; until it is ready
//	exit web.1 ready oom grown asked extra
//	demand and limits      see transcript.demand
//	wanted web 3           what earlier looks decided
//	at 10s                 one look
//	until 20s every 200ms free -10MiB/s web.1 +10MiB/s
//	                       looks until something is decided; without `every`,
//	                       NextLook says when
//
// What is given stays. A decision is carried out: a new worker is starting, a
// stopped one is stopping until it is gone.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newTranscript(t).run(string(text))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(text) {
				t.Errorf("decided otherwise; got\n%s", difference(string(text), got))
			}
		})
	}
}

// difference names the first line that differs, with what surrounds it.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range g {
		if i >= len(w) || w[i] != g[i] {
			return fmt.Sprintf("line %d: %s\nwant:   %s", i+1, g[i], strings.Join(w[min(i, len(w)-1):min(i+1, len(w))], ""))
		}
	}
	return fmt.Sprintf("line %d: the end", len(g))
}

type transcript struct {
	t     *testing.T
	c     Config
	o     Observation
	s     State
	fine  map[string]float64 // parts of a byte that a rate left
	fresh map[int]bool       // types whose demand is measured again and again
	lines []string
}

func newTranscript(t *testing.T) *transcript {
	return &transcript{t: t, o: Observation{Limited: true}, fine: map[string]float64{}, fresh: map[int]bool{}}
}

func (x *transcript) run(text string) string {
	var out []string
	for block := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n\n") {
		input, _, _ := strings.Cut(block, "\n----")
		x.lines = nil
		looked := false
		for line := range strings.SplitSeq(input, "\n") {
			if fields := strings.Fields(line); len(fields) > 0 && fields[0] != "#" {
				looked = x.line(fields) || looked
			}
		}
		if looked {
			input += "\n----\n" + strings.Join(append(x.lines, x.status()...), "\n")
		}
		out = append(out, input)
	}
	return strings.Join(out, "\n\n") + "\n"
}

func (x *transcript) line(f []string) (looked bool) {
	switch o := &x.o; f[0] {
	case "reserve":
		x.c.Reserve, x.c.ReservePercent = 0, 0
		if p, ok := strings.CutSuffix(f[1], "%"); ok {
			x.c.ReservePercent, _ = strconv.ParseFloat(p, 64)
		} else {
			x.c.Reserve = x.size(f[1])
		}
	case "type":
		x.kind(f[1:])
	case "unlimited":
		o.Limited = false
	case "reached":
		o.LimitReached = true
	case "oomgroup":
		o.OOMGroup = true
	case "limit":
		o.Limit = x.size(f[1])
	case "free":
		x.free(x.size(f[1]))
	case "available":
		o.Available = x.size(f[1])
	case "headroom":
		o.Headroom = x.size(f[1])
	case "used":
		o.Used = x.size(f[1])
	case "kills":
		o.OOMKills = x.number(f[1])
	case "max":
		o.MaxEvents = x.number(f[1])
	case "some":
		o.PressureSome = x.number(f[1])
	case "full":
		o.PressureFull = x.number(f[1])
	case "exit":
		kind, index := x.name(f[1])
		has := func(word string) bool { return strings.Contains(" "+strings.Join(f[2:], " ")+" ", " "+word+" ") }
		o.Exits = append(o.Exits, Exit{kind, index, has("ready"), has("oom"), has("asked"), has("grown"), has("extra")})
		x.remove(kind, index)
	case "wanted":
		x.s.fit(&x.c, o)
		x.s.types[x.typeOf(f[1])].wanted = int(x.number(f[2]))
	case "at":
		x.look(x.time(f[1]))
		if len(x.lines) == 0 {
			x.lines = []string{"nothing"}
		}
		return true
	case "until":
		x.until(f[1:])
		return true
	default:
		if !x.demand(f) {
			x.worker(f)
		}
	}
	return false
}

func (x *transcript) until(f []string) {
	end, every := x.time(f[0]), time.Duration(0)
	if len(f) > 1 && f[1] == "every" {
		every = x.time(f[2])
		f = f[2:]
	}
	rates := f[1:]
	for x.o.Now < end && len(x.lines) == 0 {
		step := every
		if step == 0 {
			step = x.s.NextLook(&x.o)
		}
		step = min(step, end-x.o.Now)
		for i := 0; i < len(rates); i += 2 {
			rate := float64(x.size(strings.TrimSuffix(rates[i+1], "/s")))
			change := x.fine[rates[i]] + rate*step.Seconds()
			whole := int64(change)
			x.fine[rates[i]] = change - float64(whole)
			x.change(rates[i], whole, int64(rate))
		}
		x.look(x.o.Now + step)
	}
	if len(x.lines) == 0 {
		x.lines = []string{"nothing"}
	}
}

// look decides once, writes the decisions down and carries them out.
func (x *transcript) look(now time.Duration) {
	x.o.Now = now
	x.measureAnew()
	for _, a := range x.s.Decide(&x.c, &x.o) {
		name := x.c.Types[a.Type].Name
		if a.Kind == Up {
			a.Index = 1
			for x.find(a.Type, a.Index) != nil {
				a.Index++
			}
			x.o.Workers = append(x.o.Workers, Worker{Type: a.Type, Index: a.Index, Since: now})
		} else {
			x.find(a.Type, a.Index).Phase = Stopping
		}
		line := fmt.Sprintf("%v %v %s.%d: %s", now.Round(time.Millisecond), a.Kind, name, a.Index, a.Reason)
		if a.First {
			line += " (memory holds both)"
		}
		x.lines = append(x.lines, line)
	}
	x.o.Exits, x.o.LimitReached = x.o.Exits[:0], false
}

func (x *transcript) status() []string {
	var out []string
	for i := range x.c.Types {
		line := fmt.Sprintf("%s wanted %d", x.c.Types[i].Name, x.s.Wanted(i))
		if block := x.s.Blocked(i).String(); block != "" {
			line += ": " + block
		}
		out = append(out, line)
		if holds, why := x.s.Holds(i); x.c.Types[i].Replacing {
			out = append(out, fmt.Sprintf("one more of %s fits: %v, passing %v %v", x.c.Types[i].Name, holds, why.Passing(), why))
		}
	}
	if short, how := x.s.Short(); short {
		out = append(out, "short: "+how)
	}
	if ceiling, known := x.s.Ceiling(); known {
		out = append(out, "ceiling "+size(ceiling))
	}
	return out
}
