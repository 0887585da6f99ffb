package budget

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// processes sums the memory of every process that can be seen below /proc. Each
// counts by its proportional set size (Pss of smaps_rollup): a page that n
// processes share counts by one nth in each, so nothing counts twice.
//
// smaps_rollup is dear, so each look reads it of as many processes as a short time
// allows, in turn, and follows the others by statm: their size is the last one
// that was read, and what their resident anonymous memory changed since.
//
// Where smaps_rollup may not be read (a process of another user) or is missing
// (before Linux 4.14), /proc/PID/status stands in: RssAnon counts in full, also
// pages still shared since a fork; of RssShmem, which processes of one user
// commonly share, the largest of the user's counts once; mapped files count
// nothing, as the kernel can drop them. Kernel threads and zombies have no memory.
type processes struct {
	root  string // where proc is mounted
	known map[int]*process
	looks uint64
	next  int // the pid from which on it is whose turn it is
	buf   []byte
}

func newProcesses(root string) *processes {
	return &processes{root: root, known: make(map[int]*process), buf: make([]byte, 8<<10)}
}

// process is what is known of one process, in bytes.
type process struct {
	look    uint64 // when it was last seen
	exact   bool   // it was measured, by one of the two ways
	refused bool   // by status
	user    string
	mapped  int64 // the part of size that is of files
	size    int64 // when it was measured, shmem left out where refused
	shmem   int64 // else a part of size
	then    int64 // resident anonymous memory when it was measured
	now     int64 // resident anonymous memory
}

// turn is the time that one look may spend on smaps_rollup, plus that of the one
// process that exceeds it.
const turn = 10 * time.Millisecond

func (p *processes) ask(time.Time) (answer, error) {
	pids, err := p.list()
	if err != nil {
		return answer{}, err
	}
	p.looks++
	pids = slices.DeleteFunc(pids, func(pid int) bool { return !p.follow(pid) })
	for pid, known := range p.known {
		if known.look != p.looks {
			delete(p.known, pid)
		}
	}
	if len(pids) == 0 {
		return answer{}, &os.PathError{Op: "read", Path: p.root, Err: errors.New("no process can be seen")}
	}
	p.measure(pids, time.Now().Add(turn))
	return p.sum(), nil
}

func (p *processes) close() {}

// list lists the processes in ascending order.
func (p *processes) list() ([]int, error) {
	dir, err := os.Open(p.root)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// follow reads statm. It is false where a process has no memory, or is gone.
func (p *processes) follow(pid int) bool {
	text, err := p.read(pid, "/statm")
	if err != nil {
		return false
	}
	resident, shared, ok := parseStatm(text)
	if !ok || resident == 0 {
		return false
	}
	known := p.known[pid]
	if known == nil {
		known = &process{}
		p.known[pid] = known
	}
	known.look, known.now = p.looks, max(0, resident-shared)
	return true
}

// measure measures the processes that never were, then the others in turn, until
// the time is over, and at least one.
func (p *processes) measure(pids []int, until time.Time) {
	for _, pid := range pids {
		if known := p.known[pid]; !known.exact {
			p.exact(pid, known)
			if time.Now().After(until) {
				return
			}
		}
	}
	from, _ := slices.BinarySearch(pids, p.next)
	for i := range pids {
		pid := pids[(from+i)%len(pids)]
		p.next = pid + 1
		p.exact(pid, p.known[pid])
		if time.Now().After(until) {
			return
		}
	}
}

// exact measures one process. One that is gone keeps what was known of it until
// the next look.
func (p *processes) exact(pid int, known *process) {
	text, err := p.read(pid, "/smaps_rollup")
	if err == nil {
		if size, mapped, shmem, ok := parseRollup(text); ok {
			*known = process{look: known.look, exact: true, size: size, mapped: mapped, shmem: shmem, now: known.now, then: known.now}
		}
		return
	}
	if err == syscall.ESRCH {
		return
	}
	if text, err = p.read(pid, "/status"); err == nil {
		anon, shmem := parseRss(text, known.now)
		user, _, _ := bytes.Cut(bytes.TrimSpace(statusField(text, "Uid:")), []byte("\t"))
		*known = process{
			look: known.look, exact: true, refused: true, user: string(user), size: anon, shmem: shmem,
			now: known.now, then: known.now,
		}
	}
}

// sum is all of it as the usage of a cgroup, and the mapped files as what can be
// reclaimed of it.
func (p *processes) sum() answer {
	const file = "/PID/smaps_rollup"
	var used, mapped, shmem int64
	refused := 0
	shared := make(map[string]int64)
	for _, known := range p.known {
		used = add(used, max(0, known.size+known.now-known.then))
		mapped = add(mapped, known.mapped)
		if known.refused {
			refused++
			shared[known.user] = max(shared[known.user], known.shmem)
		} else {
			shmem = add(shmem, known.shmem)
		}
	}
	for _, n := range shared {
		used, shmem = add(used, n), add(shmem, n)
	}
	l := level{
		dir:   p.root,
		usage: told(p.root+file, strconv.FormatInt(used, 10)),
		stat: told(p.root+file, fmt.Sprintf("anon %d\nfile %d\nshmem %d\ninactive_file 0\nactive_file %d",
			max(0, used-mapped-shmem), add(mapped, shmem), shmem, mapped)),
	}
	l.untold()
	return answer{levels: []level{l}, notes: []Source{
		bytesSource("mapped files", p.root+file, mapped),
		{Name: "processes", File: p.root, Value: strconv.Itoa(len(p.known))},
		{Name: "processes by status alone", File: p.root + "/PID/status", Value: strconv.Itoa(refused)},
	}}
}

// read reads a file of a process into the one buffer, which is larger than any of
// these files.
func (p *processes) read(pid int, name string) ([]byte, error) {
	fd, err := open(p.root + "/" + strconv.Itoa(pid) + name)
	if err != nil {
		return nil, err
	}
	defer closeFile(fd)
	for {
		n, err := syscall.Pread(fd, p.buf, 0)
		if err != syscall.EINTR {
			return p.buf[:max(0, n)], err
		}
	}
}

var pageSize = int64(os.Getpagesize())

// parseStatm parses /proc/PID/statm: pages of address space, resident ones, and of
// those the ones of files and shared memory (proc(5)). The results are bytes.
func parseStatm(text []byte) (resident, shared int64, ok bool) {
	_, text, _ = bytes.Cut(text, []byte(" "))
	first, text, _ := bytes.Cut(text, []byte(" "))
	second, _, _ := bytes.Cut(text, []byte(" "))
	resident, ok = parseNumber(first)
	shared, okShared := parseNumber(second)
	if !ok || !okShared || resident > maxPages || shared > resident {
		return 0, 0, false
	}
	return resident * pageSize, shared * pageSize, true
}

// maxPages is above any number of pages that there can be, and small enough to be
// made bytes.
const maxPages = 1 << 46

// parseRollup parses /proc/PID/smaps_rollup: Pss, the part of it that is neither
// Pss_Anon nor Pss_Shmem, and the latter. Before Linux 5.4 these are missing, and
// nothing counts as reclaimable.
func parseRollup(text []byte) (size, mapped, shmem int64, ok bool) {
	size, ok = kilobytes(text, "Pss:")
	anon, okAnon := kilobytes(text, "Pss_Anon:")
	shmem, okShmem := kilobytes(text, "Pss_Shmem:")
	if okAnon && okShmem {
		mapped = max(0, size-add(anon, shmem))
	}
	return size, mapped, shmem, ok
}

// parseRss parses RssAnon and RssShmem of /proc/PID/status, which is there from
// Linux 4.5 on; before, private stands in for the first.
func parseRss(text []byte, private int64) (anon, shmem int64) {
	anon, ok := kilobytes(text, "RssAnon:")
	if !ok {
		anon = private
	}
	shmem, _ = kilobytes(text, "RssShmem:")
	return anon, shmem
}

// kilobytes is the value of the line that begins with key, in bytes.
func kilobytes(text []byte, key string) (int64, bool) {
	return parseKB(bytes.TrimLeft(statusField(text, key), "\t "))
}
