package supervisor

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/spawn"
)

var nobody = &spawn.User{UID: 65534, GID: 65533, Groups: []int{65533}}

func limitOf(name string, n uint64) spawn.Rlimit {
	i := slices.IndexFunc(spawn.Resources[:], func(r spawn.Resource) bool { return r.Name == name })
	return spawn.Rlimit{Resource: spawn.Resources[i], Soft: n, Hard: n}
}

func needsRoot(t *testing.T) {
	t.Helper()
	held, _, _, err := spawn.HeldCapabilities()
	for _, c := range []int{unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_KILL, unix.CAP_CHOWN} {
		if err != nil || os.Getuid() != 0 || held&(1<<c) == 0 {
			t.Skip("only root can become another user")
		}
	}
}

// A worker is told the address space that its type leaves it.
func TestWorkerHasItsTypesSettings(t *testing.T) {
	r := launch(t, "procfile", "settled never", `web=echo $(umask) $(pwd -P) $(ulimit -n) $MEM_LIMIT`)
	r.want("0027 / 64 67108864")
	r.end(0)
}

// A command that is asked for the demand runs as its type does, without its limits.
func TestDemandCommandHasItsTypesSettings(t *testing.T) {
	t.Setenv("DEMAND", `[ $(umask) = 0027 ] && [ $(pwd -P) = / ] && [ $(ulimit -n) != 64 ] && echo 2`)
	r := launch(t, "procfile", "settled ready-now to-four command", `web=echo $PS; exec sleep 1000`)
	r.wantAnyOrder("web.1", "web.2")
	r.signal(unix.SIGTERM)
	r.end(0)
}

func TestErrandSettings(t *testing.T) {
	umask, nice := 0o27, 5
	all := spawn.Settings{
		User: nobody, Ambient: 1, Dir: "/", Umask: &umask, Nice: &nice, NoNewPrivs: true, Rlimits: []spawn.Rlimit{limitOf("as", 1)},
	}
	s := &supervisor{c: &Config{}}
	var got *spawn.Settings
	refused := errors.New("not started")
	s.sys.start = func(spec *spawn.Spec) (int, error) { got = spec.Settings; return 0, refused }
	for _, settings := range []*spawn.Settings{nil, &all} {
		typ := &processType{Type: Type{Settings: settings}}
		if err := s.send(typ, "true", nil, time.Second, nil); !errors.Is(err, refused) {
			t.Fatal(err)
		}
		if settings == nil && got == nil {
			continue
		}
		if got == nil || got.User != nobody || got.Ambient != 1 || got.Dir != "/" || got.Umask != &umask || !got.NoNewPrivs || got.Rlimits != nil || got.Nice != nil {
			t.Errorf("of %+v it has %+v", settings, got)
		}
	}
	if all.Rlimits == nil || all.Nice == nil {
		t.Error("the workers lost their limits")
	}
}

func TestAddressSpace(t *testing.T) {
	own := space(&Type{})
	for _, test := range []struct {
		limits []spawn.Rlimit
		want   int64
	}{
		{nil, own},
		{[]spawn.Rlimit{limitOf("nofile", 9)}, own},
		{[]spawn.Rlimit{limitOf("as", 1<<20)}, 1 << 20},
		{[]spawn.Rlimit{limitOf("as", 2<<20), limitOf("data", 1<<20)}, 1 << 20},
		{[]spawn.Rlimit{limitOf("as", spawn.Unlimited), limitOf("data", spawn.Unlimited)}, -1},
	} {
		if got := space(&Type{Settings: &spawn.Settings{Rlimits: test.limits}}); got != test.want {
			t.Errorf("%v: %d, want %d", test.limits, got, test.want)
		}
	}
}

// space is -1 where nothing limits it.
func space(t *Type) int64 {
	if n, limited := t.addressSpace(); limited {
		return n
	}
	return -1
}

// Types whose settings say the same run as the same.
func TestRunsAs(t *testing.T) {
	umask, same := 0o27, 0o27
	before := &Type{Settings: &spawn.Settings{Umask: &umask}, Login: []string{"USER=a"}}
	for _, test := range []struct {
		after Type
		runs  bool
	}{
		{Type{Settings: &spawn.Settings{Umask: &same}, Login: []string{"USER=a"}}, true},
		{Type{Settings: &spawn.Settings{Umask: &same}}, false},
		{Type{Settings: &spawn.Settings{Umask: &same, Dir: "/"}, Login: []string{"USER=a"}}, false},
		{Type{Login: []string{"USER=a"}}, false},
	} {
		if got := before.runsAs(&processType{Type: test.after}); got != test.runs {
			t.Errorf("%+v runs as before: %v", test.after, got)
		}
	}
}

// A reload that changes who a type runs as restarts its workers.
func TestReloadedSettingsRoll(t *testing.T) {
	for _, test := range []struct {
		after *spawn.Settings
		rolls bool
	}{{&spawn.Settings{Dir: "/"}, false}, {&spawn.Settings{Dir: "/tmp"}, true}, {nil, true}} {
		s := &supervisor{c: &Config{}}
		s.setTypes(&Config{Types: []Type{{Name: "web", Settings: &spawn.Settings{Dir: "/"}}}}, nil)
		w := s.types[0].add()
		w.state = ready
		s.setTypes(&Config{Types: []Type{{Name: "web", Settings: test.after}}}, nil)
		if w.roll != test.rolls {
			t.Errorf("with %+v a worker is to be restarted: %v", test.after, w.roll)
		}
	}
}

func TestLogIn(t *testing.T) {
	env := []string{"HOME=/root", "A=b", "USERS=2", "SHELL=/bin/zsh", "USER=root"}
	if got := (&Type{}).login(slices.Clone(env)); !slices.Equal(got, env) {
		t.Errorf("without a user of its own: %q", got)
	}
	got := (&Type{Login: []string{"USER=app", "LOGNAME=app"}}).login(slices.Clone(env))
	if want := []string{"A=b", "USERS=2", "USER=app", "LOGNAME=app"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A private directory is its owner's alone, until a worker of another user has to
// get to what is in it.
func TestOthersAreAdmitted(t *testing.T) {
	for _, test := range []struct {
		user    *spawn.User
		private bool
		mode    os.FileMode
	}{
		{nil, true, 0o700},
		{&spawn.User{UID: os.Geteuid()}, true, 0o700},
		{&spawn.User{UID: os.Geteuid() + 1}, true, 0o711},
		{&spawn.User{UID: os.Geteuid() + 1}, false, 0o700},
	} {
		dir := filepath.Join(t.TempDir(), "own")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		s := &supervisor{c: &Config{}, control: &control{path: dir + "/control.sock", private: test.private}}
		s.types = []*processType{{Type: Type{Settings: &spawn.Settings{User: test.user}}}, {Type: Type{}}}
		s.admitUsers()
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != test.mode {
			t.Errorf("%v, private %v: %v, %v", test.user, test.private, info.Mode(), err)
		}
	}
}

func TestPipesCanBeOpenedAgain(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	letReopen(int(w.Fd()))
	if info, err := w.Stat(); err != nil || info.Mode().Perm() != 0o622 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	file := filepath.Join(t.TempDir(), "log")
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	letReopen(int(f.Fd()))
	if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a file is now %v, %v", info.Mode(), err)
	}
}

// What memsup cannot remove as another user is given to that one, and an earlier
// memsup's is taken back; somebody else's is not.
func TestPrivateDirectoryIsHandedOver(t *testing.T) {
	needsRoot(t)
	dir := t.TempDir()
	path := dir + "/control.sock"
	for _, file := range []string{path, path + ".pressure"} {
		if err := os.WriteFile(file, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	owner := func(path string) int {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return int(info.Sys().(*syscall.Stat_t).Uid)
	}
	s := &supervisor{c: &Config{User: nobody}, control: &control{path: path}, relay: &relay{path: path + ".pressure"}}
	if err := s.handOver(nobody); err != nil || owner(dir) != 0 || owner(path) != 0 {
		t.Errorf("a directory of the user's choice: %v, %d, %d", err, owner(dir), owner(path))
	}
	s.control.private = true
	if err := s.handOver(nobody); err != nil || owner(dir) != nobody.UID || owner(path) != nobody.UID || owner(path+".pressure") != nobody.UID {
		t.Errorf("%v, %d, %d, %d", err, owner(dir), owner(path), owner(path+".pressure"))
	}
	other := &supervisor{c: &Config{User: &spawn.User{UID: 1}}}
	if other.takeBack(dir); owner(dir) != nobody.UID {
		t.Error("another user's directory was taken")
	}
	if s.takeBack(dir); owner(dir) != 0 {
		t.Errorf("it still belongs to %d", owner(dir))
	}
}

// The files of the types' sockets are the user's; without CAP_CHOWN they stay as they are
// and the control socket can be reached all the same. One that is another's by now is
// left alone.
func TestSocketsAreHandedOver(t *testing.T) {
	needsRoot(t)
	dir := filepath.Join(t.TempDir(), "own")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := &supervisor{c: &Config{}, control: &control{path: dir + "/control.sock", private: true}}
	said := listenTo(s)
	for _, path := range []string{dir + "/control.sock", dir + "/a", dir + "/b"} {
		opened, err := openSocket(Socket{Address: "unix://" + path, Mode: 0o600})
		if err != nil {
			t.Fatal(err)
		}
		defer opened.close()
		if path != dir+"/control.sock" {
			s.sockets = append(s.sockets, opened)
		}
	}
	if err := errors.Join(os.Remove(dir+"/b"), os.WriteFile(dir+"/b", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	owners := func() (owners []int) {
		for _, path := range []string{dir, dir + "/control.sock", dir + "/a", dir + "/b"} {
			var st unix.Stat_t
			if err := unix.Lstat(path, &st); err != nil {
				t.Fatal(err)
			}
			owners = append(owners, int(st.Uid))
		}
		return owners
	}
	lacking(t, unix.CAP_CHOWN, func() {
		if err := s.handOver(nobody); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o711 || !slices.Equal(owners(), []int{0, 0, 0, 0}) {
			t.Errorf("without CAP_CHOWN: %v, %v, owners %d", info.Mode(), err, owners())
		}
		if !strings.Contains(said.String(), "the sockets stay root's") {
			t.Errorf("the log says %q", said)
		}
	})
	if err := s.handOver(nobody); err != nil || !slices.Equal(owners(), []int{nobody.UID, nobody.UID, nobody.UID, 0}) {
		t.Errorf("owners %d, %v", owners(), err)
	}
}

// lacking does something while this thread has no use of a capability.
func lacking(t *testing.T, capability int, do func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	header, data := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
	if err := unix.Capget(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
	less := data
	less[0].Effective &^= 1 << capability
	if err := unix.Capset(&header, &less[0]); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Capset(&header, &data[0]); err != nil {
			t.Fatal(err)
		}
	}()
	do()
}

// memsup gives up root in all its threads, and goes on: it starts, watches and stops
// workers, who may open the outputs that root's pipes are.
func TestGivesUpRoot(t *testing.T) {
	needsRoot(t)
	r := launch(t, "procfile", "nobody", `web=cat /proc/$PPID/task/*/status | grep -E '^(Uid|Gid|Groups|Cap(Inh|Prm|Eff|Amb)):' | sort -u | tr -s '\t ' ' '
		echo reopened >/dev/stdout; echo up; exec sleep 1000`)
	none := "0000000000000000"
	r.want("CapAmb: "+none, "CapEff: "+none, "CapInh: "+none, "CapPrm: "+none)
	r.want("Gid: 65533 65533 65533 65533", "Groups: 65533 ", "Uid: 65534 65534 65534 65534")
	r.want("reopened", "up")
	if st := r.status(); len(st.Workers) != 1 || st.Workers[0].PID == nil {
		t.Errorf("workers %+v", st.Workers)
	}
	r.signal(unix.SIGTERM)
	r.end(0)
	for _, problem := range []string{"denied", "not permitted"} {
		if strings.Contains(r.stderr.String(), problem) {
			t.Errorf("the log complains: %s", problem)
		}
	}
}

// A worker of another user is started, told who it is, measured and stopped.
func TestWorkerOfAnotherUser(t *testing.T) {
	needsRoot(t)
	r := launch(t, "procfile", "nobodies", `web=echo $(id -u):$(id -g):$(id -G) $USER $LOGNAME; echo reopened >/dev/stdout; echo up; exec sleep 1000`)
	r.want("65534:65533:65533 nobody", "reopened", "up")
	st := r.status()
	for len(st.Workers) == 1 && st.Workers[0].Memory == nil {
		st = r.status()
	}
	if len(st.Workers) != 1 || *st.Workers[0].Memory <= 0 {
		t.Errorf("workers %+v", st.Workers)
	}
	r.signal(unix.SIGTERM)
	r.end(0)
}

// Who is not root looks for the socket of root's memsup as well, which may let him look.
func TestClientOfAnotherUser(t *testing.T) {
	needsRoot(t)
	t.Setenv("MEMSUP_SOCKET", "")
	if err := syscall.Setresuid(nobody.UID, nobody.UID, 0); err != nil {
		t.Fatal(err)
	}
	_, err := NewClient("")
	if err := syscall.Setresuid(0, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err != nil && strings.Count(err.Error(), rootsSocket) != 1 {
		t.Errorf("%v, want that %s was tried", err, rootsSocket)
	}
	if _, err := NewClient(""); err != nil && strings.Count(err.Error(), rootsSocket) != 1 {
		t.Errorf("as root: %v", err)
	}
}
