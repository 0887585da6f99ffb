package budget

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// rollup is a smaps_rollup of Linux 6.1, in KiB.
func rollup(pss, anon, shmem int) string {
	return fmt.Sprintf("55d0c0000000-7ffd00000000 ---p 00000000 00:00 0                          [rollup]\n"+
		"Rss:                9999 kB\nPss:            %8d kB\nPss_Dirty:             0 kB\nPss_Anon:       %8d kB\n"+
		"Pss_File:       %8d kB\nPss_Shmem:      %8d kB\nShared_Clean:          0 kB\nSwapPss:            4096 kB\n",
		pss, anon, pss-anon-shmem, shmem)
}

// statm is of a process with so many KiB resident and, of these, shared.
func statm(resident, shared int) string {
	pages := func(n int) int { return n << 10 / int(pageSize) }
	return fmt.Sprintf("100000 %d %d 1 0 500 0\n", pages(resident), pages(shared))
}

func status(uid, anon, shmem int) string {
	return fmt.Sprintf("Name:\tx\nUid:\t%d\t%d\t%d\t%d\nVmRSS:\t    9999 kB\nRssAnon:\t%8d kB\nRssFile:\t    1024 kB\nRssShmem:\t%8d kB\n",
		uid, uid, uid, uid, anon, shmem)
}

// processTree is a host of 1 GiB, half of it available, with processes of every kind.
func processTree(t *testing.T) string {
	t.Helper()
	root := socketRoot(t)
	for path, text := range map[string]string{
		// A master and its child, which share 64 MiB: each has half of it.
		"100/statm":        statm(80<<10, 8<<10),
		"100/smaps_rollup": rollup(40<<10, 32<<10, 0),
		"101/statm":        statm(88<<10, 8<<10),
		"101/smaps_rollup": rollup(48<<10, 40<<10, 4<<10),
		// Another user's, whose smaps_rollup may not be read, with one segment of
		// 16 MiB for both, and a third user's.
		"200/statm":  statm(30<<10, 20<<10),
		"200/status": status(33, 10<<10, 16<<10),
		"201/statm":  statm(30<<10, 20<<10),
		"201/status": status(33, 10<<10, 12<<10),
		"300/statm":  statm(5<<10, 1<<10),
		"300/status": status(34, 4<<10, 1<<10),
		// A kernel thread, a zombie, one that is going, and what is no process.
		"2/statm":        "0 0 0 0 0 0 0\n",
		"400/statm":      "0 0 0 0 0 0 0\n",
		"500/cmdline":    "",
		"self/statm":     statm(1<<10, 0),
		"1x/statm":       statm(1<<10, 0),
		"sys/vm/laptop":  "0\n",
		"600/statm":      "-1 x\n",
		"601/statm":      "1 9223372036854775807 2\n",
		"602/statm":      "1 2 3 4\n",
		"700/statm/file": "a directory\n",
	} {
		write(t, root+"/proc/"+path, text)
	}
	return root
}

const (
	// 40 + 48 of the two, 10 and 10 and 4 of the others, and the largest shared
	// memory of each of their users, 16 and 1.
	processesUse = (40 + 48 + 10 + 10 + 4 + 16 + 1) * mib
	mappedFiles  = (8 + 4) * mib
)

func TestProcesses(t *testing.T) {
	root := processTree(t)
	b := openPatient(t, root)
	if got := b.Rung(); got != "processes" {
		t.Fatalf("the rung is %s: %v", got, b.Missed())
	}
	want := Memory{
		Limit: 1 << 30, Used: processesUse, Available: 512 * mib, Headroom: 512 * mib,
		HostTotal: 1 << 30, HostAvailable: 512 * mib, LimitFrom: "/proc/meminfo", AvailableFrom: "/proc/meminfo",
	}
	if got := read(t, b); got != want {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	b.SetLimit(200 * mib)
	want.Limit, want.Limited, want.LimitFrom, want.AvailableFrom = 200*mib, true, "", ""
	want.Available, want.Headroom = 200*mib-processesUse+mappedFiles, 200*mib-processesUse
	if got := read(t, b); got != want {
		t.Errorf("with a limit: got\n%+v, want\n%+v", got, want)
	}
	parts, err := b.Parts()
	if want := (Parts{Anon: processesUse - mappedFiles - 21*mib, File: mappedFiles + 21*mib, Shmem: 21 * mib}); err != nil || parts != want {
		t.Errorf("Parts: got %+v, %v, want %+v", parts, err, want)
	}
	listed := map[string]string{}
	for _, s := range b.Sources() {
		listed[s.Name] = s.Value
	}
	for name, value := range map[string]string{
		"smaps_rollup": strconv.Itoa(processesUse), "processes": "5", "processes by status alone": "3",
		"mapped files": strconv.Itoa(mappedFiles),
	} {
		if listed[name] != value {
			t.Errorf("Sources: %s is %q, want %s", name, listed[name], value)
		}
	}
	for _, gone := range []string{"101", "201", "300"} {
		if err := os.RemoveAll(root + "/proc/" + gone); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, b).Used; got != (40+10+16)*mib {
		t.Errorf("with three gone: used %d", got)
	}
}

// TestProcessesHere sums the real ones, among them this one.
func TestProcessesHere(t *testing.T) {
	p := newProcesses("/proc")
	a, err := p.ask(time.Now().Add(patience))
	if err != nil {
		t.Skip("this kernel shows no /proc: ", err)
	}
	var in input
	used, _ := a.levels[0].usage.value(&in)
	own := p.known[os.Getpid()]
	if own == nil || own.now <= 0 || used < own.now/2 || in.err != nil {
		t.Errorf("this process: %+v, all: %d, %v", own, used, in.err)
	}
}

func TestOldRollup(t *testing.T) {
	size, mapped, _, ok := parseRollup([]byte("Rss: 100 kB\nPss:    50 kB\nShared_Clean: 1 kB\n"))
	if size != 50*kib || mapped != 0 || !ok {
		t.Errorf("before Linux 5.4: got %d, %d, %v", size, mapped, ok)
	}
	anon, shmem := parseRss([]byte("Name:\tx\nVmRSS:\t10 kB\n"), 7)
	if anon != 7 || shmem != 0 {
		t.Errorf("before Linux 4.5: got %d, %d", anon, shmem)
	}
}
