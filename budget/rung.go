package budget

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// rung is the source that answered. A higher one knows more.
type rung uint8

const (
	rungHost rung = iota
	rungProcesses
	rungCgmanager
	rungSystemd
	rungCgroup1
	rungCgroup2
)

func (r rung) String() string {
	switch r {
	case rungCgroup1:
		return "cgroup v1"
	case rungCgroup2:
		return "cgroup v2"
	case rungSystemd:
		return "systemd"
	case rungCgmanager:
		return "cgmanager"
	case rungProcesses:
		return "processes"
	default:
		return "host"
	}
}

// v1 tells whether the levels' texts are those of cgroup v1.
func (r rung) v1() bool { return r == rungCgroup1 || r == rungCgmanager }

// Missed is a better source than the one that answers.
type Missed struct {
	Rung string // "cgroup", else its name as in Budget.Rung
	Why  string // why it does not answer here
}

// Missed lists the sources that were asked before the one that answers did, and
// why they do not answer. It is empty where cgroup files do.
func (b *Budget) Missed() []Missed {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.missed)
}

// climb asks the sources besides the cgroups' files and takes the best one that answers.
// The two on sockets are asked side by side: each may hang for all its time. The dear one
// is asked where neither answers, and none where the cgroups have the last word.
func (b *Budget) climb() {
	why, final := b.places.why()
	b.missed = []Missed{{"cgroup", why}}
	if final {
		return
	}
	systemd, cgmanager := newFeed(&systemd{root: b.root}), newFeed(&cgmanager{root: b.root})
	systemd.question()
	cgmanager.question()
	until := time.Now().Add(patience + moment)
	if b.take(rungSystemd, systemd, until) {
		cgmanager.close()
		return
	}
	if b.take(rungCgmanager, cgmanager, until) {
		return
	}
	processes := newFeed(newProcesses(b.root + "/proc"))
	processes.question()
	b.take(rungProcesses, processes, time.Now().Add(patience+moment))
}

// take makes a source that was asked the one that answers, if it does until then.
func (b *Budget) take(r rung, f *feed, until time.Time) bool {
	if a, ok := f.await(time.Until(until)); ok {
		b.rung, b.feed = r, f
		b.hear(a)
		return true
	}
	b.missed = append(b.missed, Missed{r.String(), f.err().Error()})
	if errors.Is(f.err(), os.ErrNotExist) {
		f.close()
	} else {
		b.late = append(b.late, late{r, f})
	}
	return false
}

// late is a source that is there and did not answer at Open, as systemd may not
// while the machine boots. The best comes first.
type late struct {
	rung rung
	feed *feed
}

// promote goes over to a better source that answers by now.
func (b *Budget) promote() {
	for i, l := range b.late {
		a, ok := l.feed.poll()
		if !ok {
			continue
		}
		if b.feed != nil {
			b.feed.close()
		}
		b.rung, b.feed = l.rung, l.feed
		b.hear(a)
		for _, worse := range b.late[i+1:] {
			worse.feed.close()
		}
		b.late = b.late[:i]
		for j, m := range b.missed {
			if m.Rung == l.rung.String() {
				b.missed = b.missed[:j]
				break
			}
		}
		return
	}
}

// ask has the best source that answers tell its numbers anew, where files do not.
func (b *Budget) ask() error {
	b.promote()
	if b.feed == nil {
		return nil
	}
	if a, ok := b.feed.ask(); ok {
		b.hear(a)
	}
	if err := b.feed.err(); err != nil {
		return fmt.Errorf("%s: %w", b.rung, err)
	}
	return nil
}

// hangUp ends all asking.
func (b *Budget) hangUp() {
	if b.feed != nil {
		b.feed.close()
	}
	for _, l := range b.late {
		l.feed.close()
	}
}

func (b *Budget) hear(a answer) { b.levels, b.quotas, b.notes = a.levels, a.quotas, a.notes }

// why says why no cgroup's files tell of memory. It is final where that is the
// answer: the machine's root cgroup has no limit.
func (p places) why() (why string, final bool) {
	if len(p.mounts) == 0 {
		return "no cgroup file system is mounted", false
	}
	if dirs := p.find("memory", false); len(dirs) > 0 {
		return dirs[0] + " has no memory.limit_in_bytes to read", false
	}
	dirs := p.find("memory", true)
	if len(dirs) == 0 {
		return "no cgroup with the memory controller is mounted", false
	}
	top := dirs[len(dirs)-1]
	var in input
	if text, err := in.all(top + "/cgroup.controllers"); err == nil {
		for _, controller := range bytes.Fields(text) {
			switch {
			case string(controller) != "memory":
			case dirs[0] != top:
				return dirs[0] + " has no memory controller, and the machine's root cgroup no limit", true
			default:
				return "this process is in the machine's root cgroup, which has no limit", true
			}
		}
		return top + " has no memory controller", false
	}
	return dirs[0] + " has no memory.max to read", false
}
