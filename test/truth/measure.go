package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/budget"
)

// row is what one place told, in bytes.
type row struct {
	Name   string           `json:"name"`
	Layer  string           `json:"layer"` // the cgroup's version and how it was made
	Place  string           `json:"place"`
	Limit  int64            `json:"limit"`    // MEM_LIMIT
	Told   int64            `json:"told"`     // MEM_AVAILABLE
	Head   int64            `json:"headroom"` // what the policy counts on
	Got    int64            `json:"got"`      // truly taken
	End    string           `json:"end"`      // killed or refused
	Grain  int64            `json:"grain"`    // of the kernel's own accounting
	Others map[string]int64 `json:"others"`   // what the formulas of others say
}

// others are the columns beside memsup's.
var others = []string{"docker stats", "kubelet", "libuv", "JDK", "lxcfs", "free"}

// near is how far from the truth a promise may be, and over how much of what was got
// a promise may exceed it.
func (r *row) near() int64 { return max(r.Limit/50, 4<<20) }
func (r *row) over() int64 { return r.Got / 100 }

// verdicts are the three claims of memsup's: it is near, does not promise what there
// is not, and nobody is nearer.
func (r *row) verdicts() (near, honest, nearest bool) {
	off := distance(r.Told, r.Got)
	nearest = true
	for _, told := range r.Others {
		nearest = nearest && distance(told, r.Got) >= off-r.Grain
	}
	return off <= r.near(), r.Told-r.Got <= r.over(), nearest
}

func distance(a, b int64) int64 { return max(a-b, b-a) }

// taking is how the taker takes.
type taking struct {
	as, data     int64
	huge, locked bool
}

func measure(args []string) error {
	r := row{Others: map[string]int64{}}
	var t taking
	p := preparation{}
	flags := flag.NewFlagSet("measure", flag.ExitOnError)
	flags.StringVar(&r.Name, "name", "", "the row's name")
	flags.StringVar(&r.Place, "place", "", "the place in words")
	flags.StringVar(&r.Layer, "layer", "", "the kernel and the container in words")
	flags.Func("as", "RLIMIT_AS of the taker", sizeTo(&t.as))
	flags.Func("data", "RLIMIT_DATA of the taker", sizeTo(&t.data))
	flags.BoolVar(&t.huge, "huge", false, "huge pages")
	flags.BoolVar(&t.locked, "locked", false, "locked memory")
	for _, s := range steps {
		flags.Func(s.name, "step: "+s.says, func(text string) error { return s.do(&p, text) })
	}
	_ = flags.Parse(args) // does the steps as it comes to them
	defer p.end()
	if t.locked { // or this process goes to the swap, and the taker gets its memory
		if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
			return err
		}
	}
	taker, err := newTaker(t)
	if err != nil {
		return err
	}
	if err := r.ask(t); err != nil {
		return err
	}
	if r.Got, r.End, err = taker.run(); err != nil {
		return err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	// One write: the kernel may have had enough of this process, too.
	near, honest, nearest := r.verdicts()
	fmt.Printf("TRUTH %s\nVALUE {\"near\":%v,\"honest\":%v,\"nearest\":%v}\n", text, near, honest, nearest)
	return nil
}

// ask fills in what memsup says and what the others would.
func (r *row) ask(t taking) error {
	b, err := budget.Open()
	if err != nil {
		return err
	}
	defer b.Close()
	m, err := b.Read()
	if err != nil {
		return err
	}
	r.Limit, r.Told, r.Head = m.Limit, m.Available, m.Headroom
	// Each CPU keeps up to 64 pages charged ahead, and as many that memory.stat does not
	// know of yet (MEMCG_CHARGE_BATCH).
	r.Grain = int64(runtime.NumCPU()*2*64) << 12
	for _, n := range []int64{t.as, t.data} {
		if n > 0 {
			r.Limit = min(r.Limit, n)
		}
	}
	r.Told = min(r.Told, r.Limit)
	r.Head = min(r.Head, r.Told)
	return r.askOthers(b)
}

// child is the process that takes, waiting for the word.
type child struct {
	cmd   *exec.Cmd
	word  io.WriteCloser
	taken *int64 // shared memory: what it has touched, in bytes
}

// newTaker starts the taker and waits until it has all that it needs but memory:
// what it costs itself is used already when memsup is asked.
func newTaker(t taking) (*child, error) {
	fd, err := unix.MemfdCreate("taken", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	shared := os.NewFile(uintptr(fd), "taken")
	if err := shared.Truncate(int64(os.Getpagesize())); err != nil {
		return nil, err
	}
	page, err := unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	c := &child{taken: (*int64)(unsafe.Pointer(&page[0]))}
	*c.taken = 0
	c.cmd = exec.Command("/proc/self/exe", "taker", strconv.FormatBool(t.huge), strconv.FormatBool(t.locked),
		strconv.FormatInt(t.as, 10), strconv.FormatInt(t.data, 10))
	c.cmd.ExtraFiles = []*os.File{shared}
	c.cmd.Stderr = os.Stderr
	if c.word, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	ready, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(ready, make([]byte, 1)); err != nil {
		return nil, fmt.Errorf("the taker is not ready: %w", err)
	}
	return c, nil
}

// run lets the taker take, and counts when it has ended.
func (c *child) run() (got int64, end string, err error) {
	if err := c.word.Close(); err != nil {
		return 0, "", err
	}
	err = c.cmd.Wait()
	var exit *exec.ExitError
	switch status := c.cmd.ProcessState.Sys().(syscall.WaitStatus); {
	case err == nil:
		end = "refused"
	case errors.As(err, &exit) && status.Signaled() && status.Signal() == syscall.SIGKILL:
		end = "killed"
	default:
		return 0, "", err
	}
	return *c.taken, end, nil
}

// step is one piece that the taker takes: of anonymous memory, all of it touched.
const step = 128 << 10

// taker is the process that takes. It offers itself to the OOM killer and says when
// it has started.
func taker(args []string) error {
	huge, locked := args[0] == "true", args[1] == "true"
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0); err != nil {
		return err
	}
	page, err := unix.Mmap(3, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	taken := (*int64)(unsafe.Pointer(&page[0]))
	if locked {
		if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
			return err
		}
	}
	piece := uintptr(step)
	advice := unix.MADV_NOHUGEPAGE
	if huge {
		piece, advice = 4<<20, unix.MADV_HUGEPAGE
		if err := hugePages(true); err != nil {
			return err
		}
	}
	own, err := limitSelf(args[2], args[3])
	if err != nil {
		return err
	}
	*taken = own
	flags := uintptr(unix.MAP_PRIVATE | unix.MAP_ANON | unix.MAP_NORESERVE)
	if _, err := os.Stdout.Write([]byte{1}); err != nil {
		return err
	}
	if _, err := os.Stdin.Read(make([]byte, 1)); err != io.EOF {
		return err
	}
	for {
		at, _, errno := unix.RawSyscall6(unix.SYS_MMAP, 0, piece, unix.PROT_READ|unix.PROT_WRITE, flags, ^uintptr(0), 0)
		if errno != 0 {
			os.Exit(0) // refused
		}
		_, _, _ = unix.RawSyscall(unix.SYS_MADVISE, at, piece, uintptr(advice))
		for i := uintptr(0); i < piece; i += 4096 {
			*(*byte)(unsafe.Add(unsafe.Pointer(nil), at+i)) = 1
			*taken += 4096
		}
	}
}

// limitSelf sets the resource limits, and returns what of them is used already: they
// count the whole of the process.
func limitSelf(as, data string) (own int64, err error) {
	for _, l := range []struct {
		text, field string
		resource    int
	}{{as, "VmSize:", unix.RLIMIT_AS}, {data, "VmData:", unix.RLIMIT_DATA}} {
		n, err := strconv.ParseInt(l.text, 10, 64)
		if err != nil || n == 0 {
			continue
		}
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: uint64(n), Max: uint64(n)}); err != nil {
			return 0, err
		}
		text, err := os.ReadFile("/proc/self/status")
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(string(text), l.field)
		var kb int64
		if _, err := fmt.Sscan(rest, &kb); err != nil {
			return 0, err
		}
		own = max(own, kb<<10)
	}
	return own, nil
}
