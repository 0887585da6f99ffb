package cost

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

const roleEnv = "MEMSUP_COST_TEST_ROLE"

// TestMain lets the test binary be the worker that its tests measure.
func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) == "worker" {
		beWorker()
		return
	}
	os.Exit(m.Run())
}

// A worker is a child that does what it is told, one line at a time, and ends
// with its standard input.
type worker struct {
	t   testing.TB
	pid int
	in  io.WriteCloser
	out *bufio.Reader
}

func startWorker(t testing.TB) *worker {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return startWorkerAs(t, exe, nil)
}

func startWorkerAs(t testing.TB, exe string, as *syscall.Credential) *worker {
	t.Helper()
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), roleEnv+"=worker", "GORACE=atexit_sleep_ms=0")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: as}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("worker: %v", err)
		}
	})
	w := &worker{t: t, pid: cmd.Process.Pid, in: in, out: bufio.NewReader(out)}
	w.do("hello 0")
	return w
}

// do has the worker do something, and returns when it is done.
func (w *worker) do(what string) {
	w.t.Helper()
	fmt.Fprintln(w.in, what)
	if answer, err := w.out.ReadString('\n'); answer != "done\n" {
		w.t.Fatalf("worker: %s: %q, %v", what, answer, err)
	}
}

func (w *worker) target() Target {
	return Target{PID: w.pid}
}

// beWorker obeys lines of a verb and a number, which some verbs do not need.
func beWorker() {
	debug.SetGCPercent(-1)
	var hold, report [2]int // forks live until hold closes, and write to report
	must(syscall.Pipe(hold[:]))
	must(syscall.Pipe(report[:]))
	var region []byte
	var children []int
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var verb string
		var n int
		if _, err := fmt.Sscan(in.Text(), &verb, &n); err != nil {
			panic(err)
		}
		switch verb {
		case "hello":
		case "anon":
			region = mapped(n<<20, syscall.MAP_PRIVATE)
		case "shmem":
			mapped(n<<20, syscall.MAP_SHARED)
		case "fork": // n children that share all pages
			for range n {
				children = append(children, fork(forked{hold: hold, report: report[1], region: region}))
			}
		case "session": // one child in a session of its own
			children = append(children, fork(forked{hold: hold, report: report[1], session: true}))
			await(report[0])
		case "orphan": // one grandchild in this group whose parent has ended
			reap(fork(forked{hold: hold, report: report[1], orphan: true}))
			await(report[0])
		case "write": // n of the children write to the shared pages
			for range n {
				syscall.Write(hold[1], []byte{0})
				await(report[0])
			}
		case "end": // all children end, and become zombies
			must(syscall.Close(hold[1]))
			for _, pid := range children {
				zombie(pid)
			}
		case "reap": // all children
			for _, pid := range children {
				reap(pid)
			}
		case "spin": // for ever
			spins := make(chan bool)
			go func() {
				close(spins)
				for {
					syscall.Getpid()
				}
			}()
			<-spins
		case "burn": // n milliseconds of this process's time
			var ru syscall.Rusage
			for ru.Utime.Nano()+ru.Stime.Nano() < int64(n)*1e6 {
				must(syscall.Getrusage(syscall.RUSAGE_SELF, &ru))
			}
		default:
			panic(verb)
		}
		fmt.Println("done")
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func mapped(size, flags int) []byte {
	b, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|flags)
	must(err)
	write(b)
	return b
}

// write touches every page.
//
//go:norace
//go:nosplit
func write(b []byte) {
	for i := 0; i < len(b); i += 4096 {
		b[i]++
	}
}

func await(fd int) {
	n, err := syscall.Read(fd, make([]byte, 1))
	if n != 1 {
		panic(fmt.Sprint(n, err))
	}
}

func reap(pid int) {
	_, err := syscall.Wait4(pid, nil, 0, nil)
	must(err)
}

// zombie waits until a child has ended and leaves it unreaped.
func zombie(pid int) {
	const pPID, wExited, wNoWait = 1, 4, 0x01000000
	_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPID, uintptr(pid), 0, wExited|wNoWait, 0, 0)
	if errno != 0 {
		panic(errno)
	}
}

// A forked is what a child of fork is given.
type forked struct {
	hold    [2]int
	report  int
	region  []byte
	session bool
	orphan  bool
}

// fork makes a child that shares all pages. In it there is one thread and no
// scheduler: it makes raw system calls alone, and no function call that could
// grow the stack.
//
//go:norace
//go:nosplit
func fork(f forked) int {
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		panic(errno)
	}
	if pid != 0 {
		return int(pid)
	}
	if f.session {
		syscall.RawSyscall(syscall.SYS_SETSID, 0, 0, 0)
	}
	if f.orphan {
		pid, _, _ = syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
		if pid != 0 {
			syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(f.hold[1]), 0, 0)
	var b [1]byte
	if f.session || f.orphan {
		syscall.RawSyscall(syscall.SYS_WRITE, uintptr(f.report), uintptr(unsafe.Pointer(&b[0])), 1)
	}
	for {
		n, _, _ := syscall.RawSyscall(syscall.SYS_READ, uintptr(f.hold[0]), uintptr(unsafe.Pointer(&b[0])), 1)
		if n != 1 {
			syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
		}
		write(f.region)
		syscall.RawSyscall(syscall.SYS_WRITE, uintptr(f.report), uintptr(unsafe.Pointer(&b[0])), 1)
	}
}

// exeFor copies the test binary to where any user may execute it.
func exeFor(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", strings.ReplaceAll(t.Name(), "/", "-"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/worker", text, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir + "/worker"
}
