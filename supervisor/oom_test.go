package supervisor

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/budget"
)

// family is a worker that is a shell with children, which are cats that wait for their
// standard input. It tells of each that it has reaped.
type family struct {
	t        *testing.T
	pid      int
	children []int
	out      *bufio.Reader
}

func newFamily(t *testing.T, n int) *family {
	t.Helper()
	cmd := exec.Command("sh", "-c", `exec 3<&0; for i; do cat <&3 & echo $!; set -- "$@" $!; shift; done; exec 3<&-
		for child; do wait $child; echo reaped; done; exit 3`, "sh")
	for i := range n {
		cmd.Args = append(cmd.Args, fmt.Sprint(i))
	}
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	stdin, out := converse(t, cmd)
	f := &family{t: t, pid: cmd.Process.Pid, out: out}
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait()
	})
	for range n {
		var child int
		if _, err := fmt.Fscan(f.out, &child); err != nil {
			t.Fatal(err)
		}
		f.children = append(f.children, child)
	}
	_, _ = f.out.ReadString('\n')
	return f
}

// kill kills the first child as the kernel would, and waits until it was reaped.
func (f *family) kill() {
	f.t.Helper()
	if err := unix.Kill(f.children[0], unix.SIGKILL); err != nil {
		f.t.Fatal(err)
	}
	if line, err := f.out.ReadString('\n'); line != "reaped\n" {
		f.t.Fatal(line, err)
	}
}

// oomPlace is a supervisor of families whose kernel's count of kills the test sets.
type oomPlace struct {
	*supervisor
	kills int64
	log   string
}

func newOOMPlace(t *testing.T, families ...*family) *oomPlace {
	p := &oomPlace{log: filepath.Join(t.TempDir(), "termination-log")}
	if err := os.WriteFile(p.log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.supervisor = &supervisor{c: &Config{}, begin: time.Now(), byPID: map[int]*worker{}, testament: testament{path: p.log}}
	p.sys.memory = func() (budget.Memory, error) {
		return budget.Memory{Limit: 256 << 20, Limited: true, Used: 200 << 20, OOMKills: p.kills}, nil
	}
	web := &processType{Type: Type{Name: "web"}}
	p.types = []*processType{web}
	for _, f := range families {
		w := web.add()
		w.pid, w.state = f.pid, ready
		p.byPID[f.pid] = w
	}
	p.meter = newMeter()
	t.Cleanup(func() { close(p.meter.ask) })
	return p
}

// sample asks the meter, or takes in what it was asked already.
func (p *oomPlace) sample() {
	if !p.meter.busy {
		p.ask(p.now())
	}
	p.sampled(<-p.meter.results())
}

// found is what memsup finds out about a kill that it has just seen.
func (p *oomPlace) found(t *testing.T) string {
	t.Helper()
	seen := p.now()
	p.look(seen)
	if p.oomSince == 0 {
		t.Fatal("a kill was not seen")
	}
	p.look(seen + oomPatience)
	if p.oomSince == 0 {
		t.Fatal("nobody was asked who is gone")
	}
	p.sample()
	p.look(seen + oomPatience)
	if p.oomSince != 0 {
		t.Fatal("it still waits")
	}
	p.testament.close()
	text, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A worker that died of a SIGKILL which memsup did not send, while the kernel's count
// rose, was killed for memory; one count explains one worker.
func TestKilledWorker(t *testing.T) {
	p := newOOMPlace(t, newFamily(t, 0), newFamily(t, 0))
	p.budget = &budget.Budget{}
	p.kills++
	for i, want := range []string{"was killed by the kernel for memory", "was ended by SIGKILL"} {
		w := p.types[0].slots[i]
		pid := w.pid
		w.pid = 0
		delete(p.byPID, pid)
		p.workerEnded(w, pid, unix.WaitStatus(unix.SIGKILL))
		if w.lastExit != want {
			t.Errorf("%s: %s, want %s", w.name, w.lastExit, want)
		}
	}
}

// Where no worker's end explains a kill, the worker whose tree lost a process is named.
func TestKilledDescendant(t *testing.T) {
	one, two := newFamily(t, 2), newFamily(t, 2)
	p := newOOMPlace(t, one, two)
	p.sample()
	one.kill() // before anything was killed by the kernel
	p.sample()
	p.look(p.now())
	two.kill()
	p.kills++
	want := fmt.Sprintf("the kernel killed a process of web.2 for memory; pid %d; its size ", two.children[0])
	if text := p.found(t); !strings.Contains(text, want) || !strings.Contains(text, "; limit 256.0 MiB; last seen used 200.0 MiB; ") {
		t.Errorf("said %q, want %q", text, want)
	}
	slots := p.types[0].slots
	if said := slots[1].status(p.now()).LastExit; said == nil || !strings.Contains(*said, fmt.Sprint("its process ", two.children[0])) || slots[0].lastExit != "" {
		t.Errorf("status says %q of web.1 and %v of web.2", slots[0].lastExit, said)
	}
}

// The worker may have ended for the loss, with a status of its own.
func TestKilledDescendantOfOneThatEnded(t *testing.T) {
	f := newFamily(t, 1)
	p := newOOMPlace(t, f)
	p.sample()
	p.look(p.now())
	f.kill()
	p.kills++
	if line, err := f.out.ReadString('\n'); err == nil {
		t.Fatal("the worker said ", line)
	}
	p.types[0].slots[0].pid = 0
	delete(p.byPID, f.pid)
	p.workerEnded(p.types[0].slots[0], f.pid, 3<<8)
	if text := p.found(t); !strings.Contains(text, "a process of web.1 for memory") {
		t.Errorf("said %q", text)
	}
	if got := p.types[0].slots[0].lastExit; !strings.HasPrefix(got, "exited with status 3; the kernel killed its process") {
		t.Errorf("its last exit is %q", got)
	}
}

// What memsup has no time to find out before it ends is told at its end.
func TestKilledDescendantBeforeTheEnd(t *testing.T) {
	f := newFamily(t, 1)
	p := newOOMPlace(t, f)
	p.sample()
	p.look(p.now())
	p.lastOOM()
	f.kill()
	p.kills++
	if line, err := f.out.ReadString('\n'); err == nil {
		t.Fatal("the worker said ", line)
	}
	w := p.types[0].slots[0]
	w.pid = 0
	delete(p.byPID, f.pid)
	p.workerEnded(w, f.pid, 3<<8)
	p.lastOOM()
	p.testament.close()
	if text, err := os.ReadFile(p.log); err != nil || strings.Count(string(text), "\n") != 1 || !strings.Contains(string(text), "a process of web.1 for memory") {
		t.Errorf("said %q, %v", text, err)
	}
}

// Of several the one that lost the largest is named, and where none lost any, or one
// that is stopping alone, nobody.
func TestKilledDescendantOfSeveral(t *testing.T) {
	f := newFamily(t, 1)
	p := newOOMPlace(t, f)
	p.sample()
	p.look(p.now())
	p.kills++
	if text := p.found(t); !strings.Contains(text, "no worker itself, but a descendant of one or a process from outside") {
		t.Errorf("where nobody lost a process: %q", text)
	}
	w, other := p.types[0].slots[0], p.types[0].add()
	other.pid, other.state = 1<<30, ready
	p.oomClear = time.Second
	for _, c := range []struct {
		bytes, others int64
		state         state
		want          *worker
	}{{2, 1, ready, w}, {1, 2, ready, other}, {2, 1, stopping, other}, {0, -1, stopping, nil}} {
		w.lost.Target, w.lost.Bytes, w.lostAt, w.state = w.pid, c.bytes, 2*time.Second, c.state
		other.lost.Target, other.lost.Bytes, other.lostAt = other.pid, c.others, 2*time.Second
		if c.others < 0 {
			other.lostAt = time.Second
		}
		if got := p.loser(); got != c.want {
			t.Errorf("%+v: got %+v", c, got)
		}
	}
}
