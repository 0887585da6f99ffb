package trap

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var all = func() (sigs []unix.Signal) {
	for sig := unix.Signal(1); sig <= 64; sig++ {
		switch sig {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGURG, unix.SIGPROF, unix.SIGCHLD,
			unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGABRT, unix.SIGSYS, 32, 33:
		default:
			sigs = append(sigs, sig)
		}
	}
	return sigs
}()

// The signals are a process's, so each test has one, which TRAP_TEST names.
func TestMain(m *testing.M) {
	run := map[string]func(chan unix.Signal){"each": each, "queued": queued, "storm": storm, "children": children}[os.Getenv("TRAP_TEST")]
	if run == nil {
		os.Exit(m.Run())
	}
	c := make(chan unix.Signal)
	if err := Signals(c, all...); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	run(c)
	fmt.Println("done")
	os.Exit(0)
}

func process(t *testing.T, name string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "TRAP_TEST="+name)
	cmd.Stderr = os.Stderr
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() { timer.Stop() })
	return cmd
}

func succeeds(t *testing.T, name string) {
	t.Helper()
	if out, err := process(t, name).Output(); err != nil || string(out) != "done\n" {
		t.Errorf("%v: %s", err, out)
	}
}

func expect(c chan unix.Signal, want unix.Signal) {
	if sig := <-c; sig != want {
		fmt.Printf("got %v, want %v\n", sig, want)
		os.Exit(1)
	}
}

// each sends every signal once.
func each(c chan unix.Signal) {
	for _, sig := range all {
		_ = unix.Kill(os.Getpid(), sig)
		expect(c, sig)
	}
}

func TestEach(t *testing.T) { succeeds(t, "each") }

// Started with every signal blocked, it catches them all the same.
func TestBlockedAtTheStart(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	everything, before := ^uint64(0), uint64(0)
	sigmask(unix.SIG_BLOCK, &everything, &before)
	defer sigmask(unix.SIG_SETMASK, &before, nil)
	succeeds(t, "each")
}

// queued sends more than anybody reads, and then reads them. Threads that are
// delivered to at the same time may change places.
func queued(c chan unix.Signal) {
	const rounds = 5000
	for range rounds {
		_ = unix.Kill(os.Getpid(), 40)
		_ = unix.Kill(os.Getpid(), 41)
	}
	n := map[unix.Signal]int{}
	for range 2 * rounds {
		n[<-c]++
	}
	if n[40] != rounds || n[41] != rounds {
		fmt.Println("got", n)
		os.Exit(1)
	}
}

func TestNoneIsLost(t *testing.T) { succeeds(t, "queued") }

// storm sends signals to threads that grow their stacks, allocate and collect.
func storm(c chan unix.Signal) {
	const each, threads = 20000, 4
	counted := make(chan int)
	go func() {
		n := 0
		for sig := range c {
			if sig == unix.SIGUSR2 {
				break
			}
			n++
		}
		counted <- n
	}()
	finished := make(chan struct{})
	for range threads {
		go func() {
			runtime.LockOSThread()
			for i := range each {
				_ = unix.Tgkill(os.Getpid(), unix.Gettid(), 42)
				if deep(i%1000) == 0 {
					runtime.GC()
				}
			}
			finished <- struct{}{}
		}()
	}
	for range threads {
		<-finished
	}
	_ = unix.Kill(os.Getpid(), unix.SIGUSR2)
	// The pipe holds 64 Ki, and the reader reads meanwhile.
	if n := <-counted; n == 0 || n > each*threads {
		fmt.Println("counted", n)
		os.Exit(1)
	}
}

func deep(n int) int {
	if n == 0 {
		return 0
	}
	return deep(n-1) + 1 + len(make([]byte, n%7))*0
}

func TestStorm(t *testing.T) { succeeds(t, "storm") }

// children get the default dispositions, not this process's pipe.
func children(c chan unix.Signal) {
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE) // as memsup does
	out, err := exec.Command("cat", "/proc/self/status").Output()
	if err != nil {
		fmt.Println(err)
	}
	os.Stdout.Write(out)
}

func TestChildrenHaveTheDefaults(t *testing.T) {
	cmd := process(t, "children")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		name, text, _ := strings.Cut(lines.Text(), ":\t")
		if name != "SigIgn" && name != "SigBlk" && name != "SigCgt" {
			continue
		}
		set, err := strconv.ParseUint(text, 16, 64)
		if err != nil {
			t.Error(err)
		}
		for _, sig := range all {
			if set&(1<<(sig-1)) != 0 {
				t.Errorf("a child of a process that catches signal %d has it in %s", sig, name)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
