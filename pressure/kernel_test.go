package pressure

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These tests make cgroups of the running kernel and hurt a child in them.
// Where that is not to be had they are skipped with the reason; MEMSUP_LAB=1, set
// where cgroup v2 with the memory controller and PSI is known to be there, makes it
// a failure.

func unable(t *testing.T, why ...any) {
	t.Helper()
	if os.Getenv("MEMSUP_LAB") == "1" {
		t.Fatal(why...)
	}
	t.Skip(why...)
}

const childMode = "MEMSUP_PRESSURE_CHILD"

func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		_, _ = io.Copy(io.Discard, os.Stdin) // until it was moved into its cgroup
		for {
			if mode == "grow" {
				grow()
			} else {
				fill(mode)
			}
		}
	}
	os.Exit(m.Run())
}

// grow takes anonymous memory and keeps it.
func grow() {
	const chunk = 1 << 20
	if b, err := unix.Mmap(-1, 0, chunk, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE); err == nil {
		for i := 0; i < chunk; i += 4096 {
			b[i] = 1
		}
	}
}

// fill writes a file of more pages than there is room for.
func fill(path string) {
	f, err := os.Create(path)
	if err != nil {
		return
	}
	defer f.Close()
	chunk := make([]byte, 1<<20)
	for range 256 {
		_, _ = f.Write(chunk)
	}
}

// hurt starts a child that grows, or writes a file for ever, in the given cgroups.
// The channel is closed when it has ended; the test's end kills it.
func hurt(t *testing.T, mode string, cgroups ...string) (child *exec.Cmd, ended chan struct{}) {
	t.Helper()
	child = exec.Command(os.Args[0], "-test.run=^$")
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	child.Env = append(os.Environ(), childMode+"="+mode)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	ended = make(chan struct{})
	go func() {
		_ = child.Wait() // that it was killed is what is expected
		close(ended)
	}()
	t.Cleanup(func() {
		_ = child.Process.Kill()
		<-ended
	})
	for _, dir := range cgroups {
		put(t, dir+"/cgroup.procs", strconv.Itoa(child.Process.Pid))
	}
	stdin.Close()
	return child, ended
}

// mountOf is where a hierarchy is mounted: cgroup2, or cgroup v1's with the
// given controller.
func mountOf(t *testing.T, controller string) (string, bool) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		before, after, _ := strings.Cut(strings.TrimSpace(line), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if len(left) < 5 || len(right) < 3 {
			continue
		}
		if controller == "" && right[0] == "cgroup2" ||
			controller != "" && right[0] == "cgroup" && strings.Contains(","+right[2]+",", ","+controller+",") {
			return left[4], true
		}
	}
	return "", false
}

// cgroup2 makes a cgroup of version 2, with the memory controller where asked.
func cgroup2(t *testing.T, memory bool) string {
	t.Helper()
	mount, ok := mountOf(t, "")
	if !ok {
		unable(t, "cgroup v2 is not mounted")
	}
	controllers, _ := os.ReadFile(mount + "/cgroup.controllers")
	if memory && !strings.Contains(" "+strings.TrimSpace(string(controllers))+" ", " memory ") {
		unable(t, "cgroup v2 has no memory controller here")
	}
	if memory {
		if err := os.WriteFile(mount+"/cgroup.subtree_control", []byte("+memory"), 0); err != nil {
			unable(t, err)
		}
	}
	return makeCgroup(t, mount, func() { unable(t, "no cgroup can be made below "+mount) })
}

// cgroup1 makes a cgroup of version 1's memory controller.
func cgroup1(t *testing.T) string {
	t.Helper()
	mount, ok := mountOf(t, "memory")
	if !ok {
		t.Skip("cgroup v1 with the memory controller is not mounted")
	}
	return makeCgroup(t, mount, func() { t.Skip("no cgroup can be made below " + mount) })
}

func makeCgroup(t *testing.T, mount string, refused func()) string {
	t.Helper()
	dir, err := os.MkdirTemp(mount, "memsup-pressure-")
	if err != nil {
		refused()
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
	})
	return dir
}

// readOnly shows dir on a mount that is read-only for this goroutine alone. The
// goroutine's thread ends with it.
func readOnly(t *testing.T, dir string) string {
	t.Helper()
	runtime.LockOSThread()
	at := t.TempDir()
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	for _, err := range []error{
		unix.Unshare(unix.CLONE_NEWNS),
		unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""),
		unix.Mount(dir, at, "", unix.MS_BIND, ""),
		unix.Mount("", at, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""),
	} {
		if err != nil {
			unable(t, "no read-only mount can be made: ", err)
		}
	}
	return at
}

// until takes wakes until they have all of want, and returns them merged. They
// have to come before the child's end, where ended is given.
func until(t *testing.T, w *Watcher, want Source, ended <-chan struct{}) (all Wake, count int) {
	t.Helper()
	for all.Source&want != want {
		select {
		case k := <-w.Wakes():
			if count++; count == 1 {
				all.At = k.At
			}
			all.Source |= k.Source
		case <-ended:
			ended = nil
			if len(w.wakes) == 0 {
				t.Fatalf("the child ended before %v: %d wakes of %v", want, count, all.Source)
			}
		}
	}
	return all, count
}

// TestKernelEvents: memory.events speaks before a child is killed, on a
// read-only mount too.
func TestKernelEvents(t *testing.T) {
	for _, mount := range []string{"writable", "read-only"} {
		t.Run(mount, func(t *testing.T) {
			dir := cgroup2(t, true)
			put(t, dir+"/memory.max", "32M")
			place, rung, missed := dir, "PSI trigger and memory.events", ""
			if mount == "read-only" {
				place = readOnly(t, dir)
				rung, missed = "memory.events", "PSI trigger: "+place+"/memory.pressure: read-only file system"
			}
			w := Open(Place{Dir: place})
			defer w.Close()
			if w.Rung() != rung || lines(w) != missed {
				unable(t, w.Rung(), lines(w))
			}
			if _, _, ok := w.PSI(); !ok {
				t.Error("no PSI")
			}
			child, ended := hurt(t, "grow", dir)
			k, _ := until(t, w, Events, nil)
			<-ended
			if end := child.ProcessState; !strings.Contains(end.String(), "killed") {
				t.Errorf("the child ended otherwise: %v", end)
			}
			some, full, _ := w.PSI()
			t.Logf("the first wake came %v before the child's end; PSI some %v full %v", time.Since(k.At), some, full)
			if text := get(t, dir+"/memory.events"); !strings.Contains(text, "oom_kill 1") {
				t.Error(text)
			}
		})
	}
}

// TestKernelTrigger: a child that memory.high slows down makes the PSI trigger
// fire, and once more after that.
func TestKernelTrigger(t *testing.T) {
	dir := cgroup2(t, true)
	put(t, dir+"/memory.high", "16M")
	put(t, dir+"/memory.max", "256M")
	w := Open(Place{Dir: dir})
	defer w.Close()
	if !strings.Contains(w.Rung(), rungTrigger) {
		unable(t, lines(w))
	}
	start := time.Now()
	_, ended := hurt(t, "grow", dir)
	k, n := until(t, w, Stall, ended)
	some, full, ok := w.PSI()
	t.Logf("%d wakes in %v, %v; PSI some %v full %v", n, time.Since(start), k.Source, some, full)
	if !ok || some < 50*time.Millisecond {
		t.Errorf("it fired with some=%v", some)
	}
	until(t, w, Stall, ended)
}

// TestKernelGone: all files of a removed cgroup are let go at once.
func TestKernelGone(t *testing.T) {
	dir := cgroup2(t, false)
	w := Open(Place{Dir: dir})
	defer w.Close()
	if !strings.Contains(w.Rung(), rungTrigger) {
		unable(t, lines(w))
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	until(t, w, Gone, nil)
	if got := w.Rung(); got != Polling {
		t.Errorf("rung %q", got)
	}
	if _, _, ok := w.PSI(); ok {
		t.Error("PSI of a cgroup that is no more")
	}
	t.Log(lines(w))
}

// TestKernelRoot: the root cgroup's pressure is the host's.
func TestKernelRoot(t *testing.T) {
	mount, ok := mountOf(t, "")
	if _, err := os.Stat(mount + "/cgroup.events"); !ok || err == nil {
		t.Skip("the root cgroup cannot be seen")
	}
	w := Open(Place{Dir: mount})
	defer w.Close()
	if _, _, ok := w.PSI(); ok || w.Rung() != Polling {
		t.Errorf("rung %q, PSI %t", w.Rung(), ok)
	}
	t.Log(lines(w))
}

// TestKernelUnprivileged: without CAP_SYS_RESOURCE the trigger with the 2 s
// window is set, or, on kernels before 6.5, none.
func TestKernelUnprivileged(t *testing.T) {
	dir := cgroup2(t, false)
	runtime.LockOSThread() // which ends with the test
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&head, &caps[0]); err != nil {
		t.Fatal(err)
	}
	caps[0].Effective &^= 1 << unix.CAP_SYS_RESOURCE
	if err := unix.Capset(&head, &caps[0]); err != nil {
		t.Fatal(err)
	}
	w := Open(Place{Dir: dir})
	defer w.Close()
	t.Log(w.Rung(), lines(w))
	switch {
	case strings.HasPrefix(w.Rung(), rungSlowTrigger):
	case strings.Contains(lines(w), "memory.pressure: operation not permitted"):
		return
	default:
		unable(t, lines(w))
	}
	memory, high := dir, dir+"/memory.high"
	mode := "grow"
	if exists(high) {
		put(t, high, "16M")
	} else { // a hybrid host: PSI of version 2, a limit of version 1
		memory = cgroup1(t)
		put(t, memory+"/memory.limit_in_bytes", "64M")
		mode = filepath.Join(t.TempDir(), "large")
	}
	start := time.Now()
	_, ended := hurt(t, mode, dir, memory)
	_, n := until(t, w, Stall, ended)
	some, full, _ := w.PSI()
	t.Logf("%d wakes in %v; PSI some %v full %v", n, time.Since(start), some, full)
}

// TestKernelV1: cgroup v1 tells of an OOM kill through an eventfd, and of the
// cgroup's end.
func TestKernelV1(t *testing.T) {
	dir := cgroup1(t)
	put(t, dir+"/memory.limit_in_bytes", "32M")
	w := Open(Place{Dir: dir, V1: true})
	defer w.Close()
	if w.Rung() != rungControl {
		t.Skip(lines(w))
	}
	child, ended := hurt(t, "grow", dir)
	k, n := until(t, w, OOM, nil)
	<-ended
	end := child.ProcessState
	t.Logf("%d wakes, %v; the first came %v before the child's end (%v)", n, k.Source, time.Since(k.At), end)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	for w.Rung() != Polling {
		until(t, w, Gone, nil)
	}
	t.Log(lines(w))
}

// TestKernelV1Level: reclaim that finds it hard to make room is told.
func TestKernelV1Level(t *testing.T) {
	dir := cgroup1(t)
	put(t, dir+"/memory.limit_in_bytes", "32M")
	w := Open(Place{Dir: dir, V1: true})
	defer w.Close()
	if w.Rung() != rungControl {
		t.Skip(lines(w))
	}
	hurt(t, "grow", dir)
	k, n := until(t, w, Level, nil)
	t.Logf("%d wakes, %v", n, k.Source)
}

// TestKernelV1ReadOnly is what a container of Docker finds.
func TestKernelV1ReadOnly(t *testing.T) {
	at := readOnly(t, cgroup1(t))
	w := Open(Place{Dir: at, V1: true})
	defer w.Close()
	if got, want := lines(w), "cgroup.event_control: "+at+"/cgroup.event_control: read-only file system"; w.Rung() != Polling || !strings.HasSuffix(got, want) {
		t.Errorf("rung %q, missed %s", w.Rung(), got)
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
