package lens

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limit is what the lens of the tests has for a limit, wherever they run.
const limit = 64 << 20

// opened makes a lens of a mode and its view.
func opened(t *testing.T, mode Mode) (*Lens, *View) {
	t.Helper()
	v, err := NewView()
	if err != nil {
		t.Fatal(err)
	}
	v.SetLimit(limit)
	l, err := v.Open(mode)
	for _, errno := range []error{unix.EBUSY, unix.EINVAL, unix.ENOSYS, unix.EPERM} {
		if errors.Is(err, errno) {
			t.Skipf("no lens here: %v", err)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return l, v
}

// outside is the host's first line.
func outside(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

func TestExact(t *testing.T) {
	l, _ := opened(t, Exact)
	p := begin(t, l)
	p.want(inside, "plain /proc/meminfo")
	p.want(outside(t), "cloexec /proc/meminfo")
	p.want(outside(t), "openat2 /proc/meminfo")
	for range 3 { // as before, the second time
		p.want(info, "sysinfo")
	}
	p.want("no such file or directory", "plain /proc/meminfo2")
	p.want("no such file or directory", "plain /nowhere/meminfo")
}

func TestWide(t *testing.T) {
	l, _ := opened(t, Wide)
	p := begin(t, l)
	for _, verb := range []string{"plain", "cloexec", "openat2"} {
		p.want(inside, "%s /proc/meminfo", verb)
	}
	p.want("invalid argument", "openmode /proc/meminfo") // a mode is for O_CREAT
	if got := p.do("flags"); !strings.HasPrefix(got, "0 0 bad file descriptor, ") || !strings.Contains(got, "1 0 bad file descriptor") {
		t.Errorf("flags of the descriptor: %s", got)
	} else if os.Geteuid() == 0 && strings.Count(got, "operation not permitted") != 2 {
		t.Errorf("root may write what all others read: %s", got)
	}
}

// TestNames: a file may be named in more than one way.
func TestNames(t *testing.T) {
	l, _ := opened(t, Exact)
	p := begin(t, l)
	for _, name := range []string{"//proc/meminfo", "/proc/./meminfo", "/proc/self/../meminfo", "/sys/../proc//meminfo"} {
		p.want(inside, "plain %s", name)
	}
	p.want(inside, "openat /proc meminfo")
	p.want(inside, "openat /proc/self ../meminfo")
	p.want(inside, "openat /tmp /proc/meminfo")
	p.want("no such file or directory", "openat /tmp meminfo")
	p.want("done", "chdir /proc")
	p.want(inside, "plain meminfo")
	p.want(inside, "plain ./meminfo")
	p.want("done", "chdir /tmp")
	p.want("no such file or directory", "plain meminfo")
	p.want(inside, "plain ../proc/meminfo")

	dir := t.TempDir()
	up := strings.Repeat("/..", strings.Count(dir, "/")+1)
	if err := os.MkdirAll(dir+"/deep"+strings.Repeat("/deeper", strings.Count(up, "/")), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("deep"+strings.Repeat("/deeper", strings.Count(up, "/")), dir+"/link"); err != nil {
		t.Fatal(err)
	}
	p.want(inside, "plain %s/deep%s/proc/meminfo", dir, up)
	p.want("no such file or directory", "plain %s/link%s/proc/meminfo", dir, up)
	p.want("no such file or directory", "plain /nowhere/../proc/meminfo")
	p.want("not a directory", "plain /proc/version/../../proc/meminfo")
}

// TestSetLimit: who asks once a limit was set is told of that one, however often it asked
// just before.
func TestSetLimit(t *testing.T) {
	l, v := opened(t, Exact)
	p := begin(t, l)
	for i := range int64(10) {
		for range 2 {
			p.do("sysinfo")
		}
		n := limit - i*(1<<20)
		v.SetLimit(n)
		if got, want := p.do("sysinfo"), strconv.FormatInt(n, 10)+" "; !strings.HasPrefix(got, want) {
			t.Fatalf("%s, want %s", got, want)
		}
	}
}

// TestServes: a lens in exact has a new picture made when the last is 50 ms old, though
// that does for one in bind.
func TestServes(t *testing.T) {
	_, v := opened(t, Exact)
	v.SetLimit(limit)
	begun := time.Now()
	made := v.pictures.Load()
	for _, c := range []struct {
		after, serves time.Duration
		made          uint32
	}{
		{0, fresh, 1},
		{fresh - 1, fresh, 1},
		{fresh, lasting, 1},
		{fresh, fresh, 2},
		{step, lasting, 2},
		{fresh + lasting, lasting, 3},
		{fresh + lasting, fresh, 3},
	} {
		now := begun.Add(c.after)
		_, until, picture, ok := v.sysinfo(now, c.serves)
		if !ok || picture != made+c.made || !until.After(now) {
			t.Errorf("after %v, where one serves for %v: picture %d, want %d; for %v more, %v", c.after, c.serves, picture-made, c.made, until.Sub(now), ok)
		}
	}
}

// TestAgree: sysinfo(2) and /proc/meminfo say the same, where what is free and what is
// available differ: the limit is above what is used.
func TestAgree(t *testing.T) {
	l, v := opened(t, Exact)
	m, err := v.Budget().Read()
	if err != nil {
		t.Fatal(err)
	}
	v.SetLimit(m.HostTotal / 2)
	v.mu.Lock()
	err = v.readMemory(time.Now(), fresh)
	differ := v.memory.MemFree != v.memory.MemAvailable && v.memory.MemFree > 0
	v.mu.Unlock()
	if err != nil || !differ {
		t.Skipf("what is free and what is available are the same here (%v)", err)
	}
	begin(t, l).want("they agree", "agree")
}

// TestRefused: what the kernel refuses it still does, with its own error.
func TestRefused(t *testing.T) {
	l, _ := opened(t, Exact)
	p := begin(t, l)
	p.want("[bad address bad address bad address bad address bad file descriptor]", "wrong")
	p.want(inside, "edge /proc/meminfo whole")
	p.want("bad address", "edge /proc/meminfo cut")
	p.want("too many open files", "full")
}

// TestHeld: who holds the file open sees what becomes of the container, and has an
// offset of his own.
func TestHeld(t *testing.T) {
	l, v := opened(t, Exact)
	p := begin(t, l)
	p.want("done", "hold")
	p.want(inside, "again")
	p.want("0 done", "offset")
	v.SetLimit(limit / 2)
	for p.do("again") != "MemTotal:          32768 kB" { // until the test's own deadline
		continue
	}
	v.SetLimit(0)
	for p.do("again") == "MemTotal:          32768 kB" {
		continue
	}
	p.want(p.do("again"), "plain /proc/meminfo")
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.meminfo.page.held() {
		t.Error("nobody seems to hold it open")
	}
	p.want("done", "close")
	if v.meminfo.page.held() {
		t.Error("somebody seems to hold it open")
	}
}

// TestUsers: root's lens looks into the memory of other users, one after the other,
// and of its own, by either way.
func TestUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may start others' programs")
	}
	for name, way := range map[string]func() bool{"process_vm_readv": byFile, "/proc/PID/mem": func() bool { return true }} {
		t.Run(name, func(t *testing.T) {
			defer func(old func() bool) { byFile = old }(byFile)
			byFile = way
			l, _ := opened(t, Exact)
			root := begin(t, l)
			one := beginAs(t, l, &syscall.Credential{Uid: 1000, Gid: 1000})
			other := beginAs(t, l, &syscall.Credential{Uid: 1001, Gid: 1000})
			for range 3 {
				for _, p := range []*program{one, root, other, one, other, root} {
					p.want(inside, "plain /proc/meminfo")
					p.want(info, "sysinfo")
					p.want(inside, "openat /proc meminfo")
				}
			}
		})
	}
}

// TestStuck: a worker whose memory cannot be looked into holds nobody else up.
func TestStuck(t *testing.T) {
	l, _ := opened(t, Exact)
	p := begin(t, l)
	if said := p.do("stuck"); said != "done" {
		t.Skipf("no userfaultfd(2), which needs root here: %s", said)
	}
	other := begin(t, l)
	for range 100 {
		other.want(inside, "plain /proc/meminfo")
	}
}

// TestNoPage: where no text can be handed out, sysinfo(2) is the host's as well.
func TestNoPage(t *testing.T) {
	l, _ := opened(t, Exact)
	p := begin(t, l)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 0, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	host, said := p.do("plain /proc/meminfo"), p.do("sysinfo")
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if want := outside(t); host != want {
		t.Errorf("%s, not %s", host, want)
	}
	if said == info {
		t.Errorf("sysinfo(2) alone is answered: %s", said)
	}
	p.want(inside, "plain /proc/meminfo")
	p.want(info, "sysinfo")
}

func TestNothingLimits(t *testing.T) {
	v, err := NewView()
	if err != nil {
		t.Fatal(err)
	}
	if m, err := v.Budget().Read(); err != nil || m.Limited {
		t.Skipf("there is a limit here, or %v", err)
	}
	l, err := v.Open(Exact)
	if err != nil {
		t.Skip(err)
	}
	begin(t, l).want(outside(t), "plain /proc/meminfo")
}

// TestStopped: memsup may be stopped at any moment of an answer, or frozen with all of
// the container as docker pause does it.
func TestStopped(t *testing.T) {
	if l, _ := opened(t, Exact); !l.patient {
		t.Skip("before Linux 5.19 that gives descriptor 0")
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "LENS_PROGRAM=serve")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(chan string)
	go func() { b, _ := io.ReadAll(out); said <- string(b) }()
	stops := 0
	for {
		select {
		case got := <-said:
			if err := cmd.Wait(); err != nil || got != "done\n" {
				t.Errorf("%v, %q", err, got)
			}
			t.Logf("stopped %d times", stops)
			return
		default:
			_ = cmd.Process.Signal(unix.SIGSTOP)
			_ = cmd.Process.Signal(unix.SIGCONT)
			stops++
		}
	}
}

// TestSlow: whose memory is kept back holds nobody up, however often.
func TestSlow(t *testing.T) {
	l, _ := opened(t, Exact)
	p := begin(t, l)
	if got := p.do("slow %d", atMost+1); got == "operation not permitted" {
		t.Skip("userfaultfd(2) is for root")
	} else if got != "done" {
		t.Error(got)
	}
}

// TestTwoLenses: each has its own thread and filter.
func TestTwoLenses(t *testing.T) {
	exact, v := opened(t, Exact)
	wide, err := v.Open(Wide)
	if err != nil {
		t.Fatal(err)
	}
	begin(t, exact).want(outside(t), "cloexec /proc/meminfo")
	begin(t, wide).want(inside, "cloexec /proc/meminfo")
	begin(t, exact).want(inside, "plain /proc/meminfo")
	if got := firstLine(unix.Open("/proc/meminfo", unix.O_RDONLY, 0)); got != outside(t) {
		t.Errorf("memsup itself reads %s", got)
	}
}
