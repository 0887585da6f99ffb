//go:build container

package container

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what was seen into docs/lens.md")

const (
	lensDoc = "../../docs/lens.md"
	boxed   = 64 << 20
)

// views are the ways in which programs are run, in the table's order.
var views = []struct {
	title string
	flags []string // memsup's
	caps  []string // docker's
}{
	{"without", nil, nil},
	{"exact", []string{"--lens", "exact"}, nil},
	{"wide", []string{"--lens", "wide"}, nil},
	{"bind", []string{"--lens", "bind"}, []string{"--cap-add", "SYS_ADMIN"}},
}

// Who sees the container's memory in which mode is what the table of docs/lens.md
// says: as root and as another user, under Docker's default profile, in 64 MiB.
func TestLensSeen(t *testing.T) {
	var names []string
	seen := map[string][]string{}
	for _, user := range []string{"0", "1000"} {
		for column, view := range views {
			if user != "0" && view.caps != nil {
				continue // no other user has the capability
			}
			flags := append(append(memory("64m"), "--cpus", "1", "--user", user), view.caps...)
			c := start(t, &lensImage, flags, append(view.flags, "--", "see.sh")...)
			if code := c.wait(); code != 0 {
				t.Errorf("%s as %s: status %d", view.title, user, code)
			}
			if err := c.err(); len(err) > 0 {
				t.Errorf("%s as %s: %q", view.title, user, err)
			}
			for _, line := range c.out() {
				name, value, _ := strings.Cut(line, ": ")
				n, err := strconv.ParseInt(value, 10, 64)
				if err != nil {
					t.Errorf("%s as %s: %s", view.title, user, line)
					continue
				}
				what := whose(t, n)
				switch {
				case user == "0" && column == 0:
					names = append(names, name)
					seen[name] = append(seen[name], what)
				case user == "0":
					seen[name] = append(seen[name], what)
				case seen[name][column] != what:
					t.Errorf("%s as %s: %s sees %s, and as root %s", view.title, user, name, what, seen[name][column])
				}
			}
		}
	}
	var table strings.Builder
	table.WriteString("| program | without | `exact` | `wide` | `bind` |\n|---|---|---|---|---|\n")
	for _, name := range names {
		fmt.Fprintf(&table, "| %s | %s |\n", name, strings.Join(seen[name], " | "))
	}
	compare(t, table.String())
}

// V8 makes its heap as large as memory lets it, also where no cgroup tells Node.js of a
// limit that memsup knows.
func TestLensHeap(t *testing.T) {
	heap := map[string]int64{}
	for _, mode := range []string{"off", "wide"} {
		c := start(t, &lensImage, nil, "--lens", mode, "--limit", "512MiB", "--", "node", "-e", `console.log(require("v8").getHeapStatistics().heap_size_limit)`)
		if code := c.wait(); code != 0 || len(c.out()) != 1 {
			t.Fatalf("status %d, %q, %q", code, c.out(), c.err())
		}
		heap[mode] = number(t, c.out()[0])
	}
	t.Logf("%d MiB without, %d MiB in wide", heap["off"]>>20, heap["wide"]>>20)
	if heap["wide"] > heap["off"]/2 || heap["wide"] > 512<<20 {
		t.Errorf("the heap does not follow: %v", heap)
	}
}

// whose number of bytes, or of CPUs, it is.
func whose(t *testing.T, n int64) string {
	host, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	if _, err := fmt.Sscanf(string(host), "MemTotal: %d kB", &total); err != nil {
		t.Fatal(err)
	}
	online, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	switch n {
	case boxed, 1:
		return "container"
	case total << 10, int64(strings.Count(string(online), "\nprocessor") + 1):
		return "host"
	}
	return strconv.FormatInt(n, 10)
}

// compare compares a table with that of docs/lens.md, or with -update puts it there.
func compare(t *testing.T, table string) {
	t.Helper()
	doc, err := os.ReadFile(lensDoc)
	if err != nil {
		t.Fatal(err)
	}
	marked := regexp.MustCompile(`(?s)(<!-- seen:begin -->\n).*?(<!-- seen:end -->)`)
	now := marked.ReplaceAllString(string(doc), "${1}"+table+"${2}")
	switch {
	case now == string(doc):
	case *update:
		if err := os.WriteFile(lensDoc, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("docs/lens.md has another table; write it by -update\n%s", table)
	}
}

// A shell that docker exec opens sees the container through memsup lens, which ends
// as its command does and takes it along when it is killed.
func TestLensExec(t *testing.T) {
	t.Parallel()
	c := start(t, &lensImage, memory("64m"), "--", "sleep", "1000")
	if text := c.exec("free", "-m"); regexp.MustCompile(`Mem: +64 `).MatchString(text) {
		t.Errorf("free alone says\n%s", text)
	}
	if text := c.exec("memsup", "lens", "--", "free", "-m"); !regexp.MustCompile(`Mem: +64 `).MatchString(text) {
		t.Errorf("memsup lens -- free -m says\n%s", text)
	}
	if _, err := docker("exec", c.id, "memsup", "lens", "--", "sh", "-c", "exit 7"); err == nil || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("exit 7 under memsup lens: %v", err)
	}
	if text := c.exec("memsup", "lens", "--", "memsup", "lens", "--", "cat", "/proc/1/comm"); text != "memsup" {
		t.Errorf("a lens in a lens: %s", text)
	}
	c.exec("sh", "-c", `memsup lens -- sleep 999 & while ! s=$(pgrep -x -P $! sleep); do :; done; kill -9 $!; while kill -0 $s 2>/dev/null; do :; done`)
	c.stop(143)
}

// Root's lens is that of whoever its workers become, and stays root's.
func TestLensUsers(t *testing.T) {
	t.Parallel()
	const look = `for i in 1 2 3; do head -n 1 /proc/meminfo; for u in 1000 1001; do setpriv --reuid $u --regid 1000 --clear-groups head -n 1 /proc/meminfo; done; done`
	c := start(t, &lensImage, memory("64m"), "--lens", "exact", "--", "sh", "-c", look)
	if code := c.wait(); code != 0 {
		t.Errorf("status %d", code)
	}
	if n := len(c.lines(" 65536 kB$")); n != 9 || len(c.out()) != 9 {
		t.Errorf("%d of 9 see the container:\n%s", n, strings.Join(c.out(), "\n"))
	}
}

// What is bound follows the limits, of CPU too, and so does sysinfo(2).
func TestLensFollows(t *testing.T) {
	t.Parallel()
	flags := append(memory("64m"), "--cpus", "1", "--cap-add", "SYS_ADMIN")
	c := start(t, &lensImage, flags, "--lens", "bind", "--", "sh", "-c", `while sleep 0.1; do echo $(grep -c ^processor /proc/cpuinfo) $(cat /sys/devices/system/cpu/online) $(grep ^MemTotal: /proc/meminfo) $(musl sysinfo); done`)
	c.await(1, `^1 0 MemTotal: 65536 kB 67108864$`)
	if _, err := docker("update", "--cpus", "2", "--memory", "128m", "--memory-swap", "128m", c.id); err != nil {
		t.Fatal(err)
	}
	c.await(1, `^2 0-1 MemTotal: 131072 kB 134217728$`)
	c.stop(143)
}

// What is bound is kept true beside a lens of another mode, through which nobody looks.
func TestLensFollowsBesideAnother(t *testing.T) {
	t.Parallel()
	flags := append(append(memory("64m"), "--cap-add", "SYS_ADMIN"), files(t, "twomodes")...)
	c := start(t, &lensImage, flags)
	c.await(1, `bound.1 \| MemTotal: 65536 kB$`)
	if _, err := docker("update", "--memory", "128m", "--memory-swap", "128m", c.id); err != nil {
		t.Fatal(err)
	}
	c.await(1, `bound.1 \| MemTotal: 131072 kB$`)
	c.stop(0)
}

// Where a lens cannot be, the worker starts without it, and one line says why.
func TestNoLens(t *testing.T) {
	t.Parallel()
	c := start(t, &lensImage, memory("64m"), "--lens", "bind", "--", "musl", "sysinfo")
	if code := c.wait(); code != 0 || len(c.out()) != 1 || whose(t, number(t, c.out()[0])) != "host" {
		t.Errorf("status %d, %q", code, c.out())
	}
	if err := c.err(); len(err) != 1 || !strings.Contains(err[0], "workers start without it") || !strings.Contains(err[0], "CAP_SYS_ADMIN") {
		t.Errorf("it says %q", err)
	}
}

// Workers of several users see the container, and none of them may do more with
// memsup for it: whose real user a thread has may send it signals (kill(2)).
func TestLensOfTwoUsers(t *testing.T) {
	t.Parallel()
	c := start(t, &lensImage, append(memory("64m"), files(t, "twousers")...))
	for _, worker := range []string{"first", "second"} {
		c.await(100, worker+`\.1 \| MemTotal:`)
	}
	if wrong := c.lines(`MemTotal: +(\d{1,4}|\d{6,}) kB$|may signal`); len(wrong) > 0 {
		t.Errorf("%d times: %s", len(wrong), wrong[0])
	}
	c.stop(0)
}

// No open gets a wrong descriptor, file or error, whatever signals there are, whoever
// is killed, and however busy memsup is. MEMSUP_STORM is how many opens each of the
// two kinds of programs makes.
func TestLensStorm(t *testing.T) {
	calls := 30000
	if given := os.Getenv("MEMSUP_STORM"); given != "" {
		calls = int(number(t, given))
	}
	flags := append(append(memory("64m"), files(t, "storm")...), "--env", "CALLS="+strconv.Itoa(calls), "--env", "LIMIT="+strconv.Itoa(boxed))
	c := start(t, &lensImage, flags)
	before := strings.Count(c.exec("ls", "/proc/1/fd"), "\n")
	for _, kind := range []string{"restart", "interrupt"} {
		ended := kind + `.* \d+ calls, \d+ interrupted, \d+ wrong$`
		c.eventually(patience+time.Duration(calls)*2*time.Millisecond, kind+" is done", func() bool { return len(c.lines(ended)) > 0 })
		line := c.await(1, ended)
		t.Log(line)
		if !strings.HasSuffix(line, " 0 wrong") || kind == "restart" && !strings.Contains(line, " 0 interrupted") {
			t.Error(line)
		}
	}
	c.await(1, `chaos.* victims$`)
	if wrong := c.lines(`a victim ended|a forked child`); len(wrong) > 0 {
		t.Errorf("%d were hurt: %s", len(wrong), wrong[0])
	}
	c.exec("memsup", "stop", "orphans")
	c.exec("memsup", "stop", "asking")
	c.eventually(patience, "memsup has no more files open than before", func() bool {
		return strings.Count(c.exec("ls", "/proc/1/fd"), "\n") <= before+2
	})
	c.stop(0)
}
