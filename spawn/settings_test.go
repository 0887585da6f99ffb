package spawn

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func resource(t *testing.T, name string) Resource {
	t.Helper()
	for _, r := range Resources {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("no resource %s", name)
	return Resource{}
}

func pointer(n int) *int { return &n }

// settled runs a line of sh with these settings.
func settled(t *testing.T, s *Settings, before, line string) string {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return started(t, before, []string{"SPAWN_SETTINGS=" + string(text)}, "sh", "-c", line)
}

func TestSettingsThatNeedNoPrivilege(t *testing.T) {
	dir := t.TempDir()
	s := &Settings{
		Dir: dir, Umask: pointer(0o027), Nice: pointer(19), NoNewPrivs: true,
		Rlimits: []Rlimit{
			{resource(t, "nofile"), 64, 128},
			{resource(t, "core"), 0, 0},
			{resource(t, "nproc"), 4000, 5000},
			{resource(t, "as"), 1 << 40, 1 << 41},
			{resource(t, "stack"), 4 << 20, 8 << 20},
		},
	}
	for _, test := range []struct{ name, line, want string }{
		{"directory", "pwd -P", dir},
		{"umask", "umask", "0027"},
		{"nice value", "nice", "19"},
		{"no_new_privs", "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1"},
		{"open files", "ulimit -Sn; ulimit -Hn", "64\n128"},
		{"core size", "ulimit -Sc; ulimit -Hc", "0\n0"},
		{"address space", "ulimit -Sv; ulimit -Hv", "1073741824\n2147483648"},
		{"stack", "ulimit -Ss; ulimit -Hs", "4096\n8192"},
		{"processes", "grep processes /proc/self/limits | tr -s ' '", "Max processes 4000 5000 processes"},
	} {
		if got := settled(t, s, "", test.line); strings.TrimSpace(got) != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

// However much the program is given, its limits of memory come too late for it to
// need more.
func TestMemoryLimitIsNotTheShims(t *testing.T) {
	var env []string
	for i := range 12 {
		env = append(env, fmt.Sprintf("LONG_%d=%s", i, strings.Repeat("x", 100_000)))
	}
	for _, name := range []string{"data", "as"} {
		text, err := json.Marshal(&Settings{Rlimits: []Rlimit{{resource(t, name), 16 << 20, 16 << 20}}})
		if err != nil {
			t.Fatal(err)
		}
		if got := started(t, "", append(env, "SPAWN_SETTINGS="+string(text)), "echo", "up"); got != "up" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// What the settings leave out is as memsup was started: the Go runtime raises the
// soft limit of open files in memsup and in the shim, and the program has the old
// one.
func TestSettingsLeaveTheRest(t *testing.T) {
	for _, s := range []*Settings{nil, {Umask: pointer(0o77)}, {Rlimits: []Rlimit{{resource(t, "core"), 0, 0}}}} {
		if got := settled(t, s, "ulimit -Sn 77; ", "ulimit -Sn"); got != "77" {
			t.Errorf("%+v: got %q", s, got)
		}
	}
}

// A program's relative path is looked up in its directory, with a shim and
// without one.
func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/here", []byte("#!/bin/sh\npwd -P\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, s := range []Settings{{Dir: dir}, {Dir: dir, Umask: pointer(0o77)}} {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := started(t, "", []string{"SPAWN_SETTINGS=" + string(text)}, "./here"); got != dir {
			t.Errorf("%+v: got %q, want %q", s, got, dir)
		}
	}
	_, err := Start(&Spec{Argv: []string{"/bin/true"}, Files: []uintptr{0, 1, 2}, Settings: &Settings{Dir: dir + "/nowhere"}})
	if err == nil || !strings.Contains(err.Error(), "cannot run /bin/true: change to directory "+dir+"/nowhere: no such file or directory") {
		t.Errorf("a directory that is not there: %v", err)
	}
}

// A setting that cannot be made ends the process before its program runs, and
// says which.
func TestShimSaysWhatItCannotDo(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ words, want string }{
		{"dir=/nowhere", "memsup: cannot run true: change to directory /nowhere: no such file or directory"},
		{"rlimit-nofile=unlimited:unlimited", "memsup: cannot run true: set the limit nofile=unlimited:unlimited: operation not permitted"},
		{"nonsense=1", "memsup: memsup-spawn is memsup's own helper and is not run by hand"},
		{"rlimit-nofile=1:x", "memsup: memsup-spawn is memsup's own helper and is not run by hand"},
	} {
		cmd := exec.Command(exe)
		cmd.Args = []string{ShimName, "ignored=0", "blocked=0", test.words, "--", "/bin/true", "true"}
		out, err := cmd.CombinedOutput()
		if err == nil || strings.TrimSpace(string(out)) != test.want {
			t.Errorf("%s: %v, %q", test.words, err, out)
		}
	}
}

func TestOrderIsReadAsWritten(t *testing.T) {
	s := &Spec{
		Argv: []string{"x"}, Files: []uintptr{0, 1, 2}, ListenPID: true, Foreground: true, Terminal: true, Default: true,
		Settings: &Settings{
			User: &User{1000, 1001, []int{1001, 27}}, Ambient: 1<<10 | 1<<40, Dir: "/a=b/-- c", Umask: pointer(0), Nice: pointer(-20), NoNewPrivs: true,
		},
	}
	for i, r := range Resources {
		s.Settings.Rlimits = append(s.Settings.Rlimits, Rlimit{r, uint64(i), Unlimited})
	}
	got, err := parseOrder(append(s.order("/bin/x", true)[1:], "x", "--", "uid=0"))
	want := order{
		cgroup: 3, listenPID: true, foreground: true, terminal: true, settings: *s.Settings,
		path: "/bin/x", argv: []string{"x", "--", "uid=0"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
	for _, words := range [][]string{nil, {"--"}, {"--", "/bin/x"}, {"ignored=0"}, {"uid=x", "--", "/bin/x", "x"}, {"nofile=1:1", "--", "/bin/x", "x"}} {
		if o, err := parseOrder(words); err == nil {
			t.Errorf("%q is taken for %+v", words, o)
		}
	}
}

func needsRoot(t *testing.T) {
	t.Helper()
	if held, _, _, err := HeldCapabilities(); err != nil || os.Getuid() != 0 || held&(1<<unix.CAP_SETUID) == 0 {
		t.Skip("only root can become another user")
	}
}

// Another user: all four ids of it, its groups and no other, no capability but
// the ambient ones, and no process of the user's counted against the shim.
func TestUser(t *testing.T) {
	needsRoot(t)
	s := &Settings{
		User: &User{65534, 65533, []int{65533, 27}}, Ambient: 1 << unix.CAP_NET_BIND_SERVICE, Nice: pointer(3), Umask: pointer(0o27), Dir: "/",
		Rlimits: []Rlimit{{resource(t, "nproc"), 0, 1}, {resource(t, "nofile"), 100, 200}},
	}
	got := settled(t, s, "", `exec grep -E '^(Uid|Gid|Groups|Cap...):' /proc/self/status`)
	bind := "0000000000000400"
	for _, want := range []string{
		"Uid:\t65534\t65534\t65534\t65534", "Gid:\t65533\t65533\t65533\t65533", "Groups:\t27 65533",
		"CapInh:\t" + bind, "CapPrm:\t" + bind, "CapEff:\t" + bind, "CapAmb:\t" + bind,
	} {
		if !strings.Contains(got+"\n", want+"\n") && !strings.Contains(got+"\n", want+" \n") {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	s.Ambient = 0
	if got := settled(t, s, "", "exec grep -E '^Cap(Inh|Prm|Eff|Amb):' /proc/self/status"); strings.Trim(got, "CapInhPrmEfAb:\t\n0") != "" {
		t.Errorf("without ambient capabilities it has\n%s", got)
	}
}

// A hard limit is raised before root is given up.
func TestHardLimitIsRaised(t *testing.T) {
	needsRoot(t)
	if held, _, _, _ := HeldCapabilities(); held&(1<<unix.CAP_SYS_RESOURCE) == 0 {
		t.Skip("only CAP_SYS_RESOURCE raises a hard limit")
	}
	s := &Settings{User: &User{65534, 65534, nil}, Rlimits: []Rlimit{{resource(t, "nofile"), 100, 200}}}
	if got := settled(t, s, "ulimit -n 150; ", "ulimit -Sn; ulimit -Hn"); got != "100\n200" {
		t.Errorf("a limit above the hard one: %q", got)
	}
}

// becomeUser makes a process with some threads of its own another user's and prints
// what they all are.
func becomeUser() {
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGUSR1), 0, 0, 0); err != nil {
		panic(err)
	}
	running, over := make(chan int), make(chan int)
	for range 4 {
		go func() { runtime.LockOSThread(); running <- unix.Gettid(); <-over }()
		<-running
	}
	u := &User{65534, 65533, []int{65533, 27}}
	if os.Getenv("SPAWN_BECOME") == "self" {
		u = &User{UID: os.Getuid(), GID: os.Getgid()}
	}
	if err := BecomeUser(u); errors.Is(err, unix.ENOTSUP) {
		fmt.Println("not where a C library makes the threads")
		return
	} else if err != nil {
		panic(err)
	}
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(tasks) < 5 {
		panic(fmt.Sprint(tasks, err))
	}
	seen := map[string]bool{}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			panic(err)
		}
		for line := range strings.Lines(string(text)) {
			name, _, _ := strings.Cut(line, ":")
			switch line = strings.Join(strings.Fields(line), " "); name {
			case "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapAmb":
				if !seen[line] {
					seen[line] = true
					fmt.Println(line)
				}
			}
		}
	}
	var sig int32
	_ = unix.Prctl(unix.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(&sig)), 0, 0, 0)
	fmt.Println("at the parent's end", sig)
}

// became is what all threads of such a process are.
func became(t *testing.T, whom string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "SPAWN_BECOME="+whom, "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

const noCapability = "CapInh: 0000000000000000\nCapPrm: 0000000000000000\nCapEff: 0000000000000000\nCapAmb: 0000000000000000\n"

// Every thread changes, and the signal at the parent's end is kept.
func TestBecome(t *testing.T) {
	needsRoot(t)
	want := "Uid: 65534 65534 65534 65534\nGid: 65533 65533 65533 65533\nGroups: 27 65533\n" + noCapability + "at the parent's end 10\n"
	if got := became(t, "another"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Who is the user already has no capability any more either.
func TestBecomeOneself(t *testing.T) {
	got := became(t, "self")
	if strings.HasPrefix(got, "not ") {
		t.Skip(got)
	}
	if !strings.HasSuffix(got, noCapability+"at the parent's end 10\n") || !strings.HasPrefix(got, "Uid: "+strconv.Itoa(os.Getuid())+" ") {
		t.Errorf("got\n%s", got)
	}
}

// Capabilities that the process holds anyway can be kept by its programs without
// another user.
func TestAmbientWithoutUser(t *testing.T) {
	needsRoot(t)
	got := settled(t, &Settings{Ambient: 1<<unix.CAP_KILL | 1<<unix.CAP_CHOWN}, "", "exec grep CapAmb /proc/self/status")
	if got != "CapAmb:\t0000000000000021" {
		t.Errorf("got %q", got)
	}
}

func TestCapabilityNames(t *testing.T) {
	for name, number := range map[string]int{
		"CHOWN": unix.CAP_CHOWN, "CAP_KILL": unix.CAP_KILL, "net_bind_service": unix.CAP_NET_BIND_SERVICE, "SYS_ADMIN": unix.CAP_SYS_ADMIN,
		"SYS_NICE": unix.CAP_SYS_NICE, "SYS_RESOURCE": unix.CAP_SYS_RESOURCE, "cap_syslog": unix.CAP_SYSLOG, "CHECKPOINT_RESTORE": unix.CAP_LAST_CAP,
	} {
		if c, ok := ParseCapability(name); !ok || c != 1<<number {
			t.Errorf("%s is %x, want number %d", name, c, number)
		}
	}
	if c, ok := ParseCapability("CAP_"); ok {
		t.Errorf("an empty name is %x", c)
	}
	if got := Capabilities(1<<unix.CAP_KILL | 1<<unix.CAP_BPF).String(); got != "KILL BPF" {
		t.Errorf("got %q", got)
	}
}
