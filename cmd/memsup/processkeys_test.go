package main

import (
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/spawn"
	"github.com/memsup/memsup/supervisor"
)

func limitOf(name string, soft, hard uint64) spawn.Rlimit {
	i := slices.IndexFunc(spawn.Resources[:], func(r spawn.Resource) bool { return r.Name == name })
	return spawn.Rlimit{Resource: spawn.Resources[i], Soft: soft, Hard: hard}
}

func TestProcessKeys(t *testing.T) {
	writeFiles(t, map[string]string{"Procfile": "web: cat\nworker: cat\n", "memsup.toml": `
[web]
directory = "jobs/.."
umask = "027"
nice = 19
no_new_privileges = true
rlimits = { nofile = "64:128", core = 0, as = "1GiB", cpu = 3600 }
[worker.rlimits]
data = "256MiB:1GiB"
stack = 65536
`})
	if err := os.Mkdir("jobs", 0o755); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	umask, nice := 0o27, 19
	want := []*spawn.Settings{
		{
			Dir: here, Umask: &umask, Nice: &nice, NoNewPrivs: true,
			Rlimits: []spawn.Rlimit{limitOf("nofile", 64, 128), limitOf("core", 0, 0), limitOf("as", 1<<30, 1<<30), limitOf("cpu", 3600, 3600)},
		},
		{Rlimits: []spawn.Rlimit{limitOf("data", 256<<20, 1<<30), limitOf("stack", 65536, 65536)}},
	}
	c := load(t)
	for i := range c.Types {
		if !reflect.DeepEqual(c.Types[i].Settings, want[i]) {
			t.Errorf("%s: got  %+v\nwant %+v", c.Types[i].Name, c.Types[i].Settings, want[i])
		}
	}
	const note = "web runs in %, umask 0027, nice 19, no new privileges, nofile=64:128, core=0:0, as=1073741824:1073741824, cpu=3600:3600\n"
	if got := settingsNote(&c.Types[0]); got != strings.Replace(note, "%", here, 1) {
		t.Errorf("check says %s", got)
	}
}

// As whom a type runs, and what its program is told of that: .env and the type's env
// are stronger, what memsup itself was told is not.
func TestTypeUser(t *testing.T) {
	if held, _, _, err := spawn.HeldCapabilities(); err != nil || os.Getuid() != 0 || held&(1<<unix.CAP_SETUID) == 0 || held&(1<<unix.CAP_KILL) == 0 {
		t.Skip("only root may start workers of another user")
	}
	writeFiles(t, map[string]string{"Procfile": "web: cat\nworker: cat\n", ".env": "SHELL=/bin/other\n", "memsup.toml": `
[web]
user = "daemon"
[worker]
user = 4000000000
group = "daemon"
`})
	t.Setenv("HOME", "/root")
	t.Setenv("SHELL", "/bin/bash")
	c := load(t)
	daemon, err := accounts("/etc").user("daemon")
	if err != nil {
		t.Fatal(err)
	}
	web, worker := &c.Types[0], &c.Types[1]
	if u := web.Settings.User; u == nil || u.UID != daemon.uid || u.GID != daemon.gid || !slices.Contains(u.Groups, daemon.gid) {
		t.Errorf("web runs as %v", u)
	}
	if want := []string{"USER=daemon", "LOGNAME=daemon", "HOME=" + daemon.home, "SHELL=/bin/other"}; !slices.Equal(web.Login, want) {
		t.Errorf("web is told %q, want %q", web.Login, want)
	}
	if u := worker.Settings.User; u == nil || u.UID != 4000000000 || u.GID != daemon.gid || !slices.Equal(u.Groups, []int{daemon.gid}) {
		t.Errorf("worker runs as %v", u)
	}
	if want := []string{"USER=4000000000", "LOGNAME=4000000000", "SHELL=/bin/other"}; !slices.Equal(worker.Login, want) {
		t.Errorf("worker is told %q, want %q", worker.Login, want)
	}
	// memsup itself as another user: its workers are told so, and none can be a third one.
	if err := os.Remove("memsup.toml"); err != nil {
		t.Fatal(err)
	}
	c = load(t, "--user", "daemon")
	if c.User == nil || c.User.UID != daemon.uid || !slices.Contains(c.Env, "USER=daemon") || slices.Contains(c.Env, "HOME=/root") || !slices.Contains(c.Env, "SHELL=/bin/other") {
		t.Errorf("memsup becomes %v with %q", c.User, c.Env)
	}
}

// What memsup cannot give is said with its place and what is missing.
func TestPowers(t *testing.T) {
	root := spawn.User{}
	app, other := spawn.User{UID: 1000, GID: 1000}, &spawn.User{UID: 33, GID: 33}
	all := ^spawn.Capabilities(0)
	without := func(names ...string) spawn.Capabilities {
		left := all
		for _, name := range names {
			c, ok := spawn.ParseCapability(name)
			if !ok {
				t.Fatal(name)
			}
			left &^= c
		}
		return left
	}
	hard := func(spawn.Resource) uint64 { return 4096 }
	ten, zero := 10, 0
	bind := spawn.Settings{Ambient: 1 << unix.CAP_NET_BIND_SERVICE}
	for _, test := range []struct {
		powers powers
		s      spawn.Settings
		want   string // "" is no error
	}{
		{powers{user: root, held: all}, spawn.Settings{User: other}, ""},
		{powers{user: app}, spawn.Settings{User: other}, `user: to be user "it" needs CAP_SETUID, which memsup does not have: it is not root, but user 1000; start memsup as root, or remove it`},
		{powers{user: app, gaveUp: true}, spawn.Settings{User: other}, `user: to be user "it" needs CAP_SETUID, which memsup gives up with --user; leave --user out, or remove it`},
		{powers{user: root, held: without("SETGID")}, spawn.Settings{User: other}, `user: to be user "it" needs CAP_SETGID, which memsup does not have here; start the container with it (docker run --cap-add SETGID), or remove it`},
		{powers{user: root, held: without("KILL")}, spawn.Settings{User: other}, `user: to be user "it" needs CAP_KILL, which memsup does not have here; start the container with it (docker run --cap-add KILL), or remove it`},
		{powers{user: root, held: without("KILL")}, spawn.Settings{User: &root}, ""},
		{powers{user: app, nice: 5}, spawn.Settings{Nice: &ten}, ""},
		{powers{user: app, nice: 10}, spawn.Settings{Nice: &ten}, ""},
		{powers{user: app, nice: 5}, spawn.Settings{Nice: &zero}, "nice: nice 0 is below memsup's own, 5, and needs CAP_SYS_NICE, which memsup does not have: it is not root, but user 1000; write 5 or more"},
		{powers{user: app, nice: 5, softNice: 20}, spawn.Settings{Nice: &zero}, ""},
		{powers{user: root, held: all, nice: 5}, spawn.Settings{Nice: &zero}, ""},
		{powers{user: root, held: all}, bind, ""},
		{powers{user: root, held: without("NET_BIND_SERVICE")}, bind, "ambient_capabilities: nobody can be given CAP_NET_BIND_SERVICE, which memsup does not have here; start the container with it (docker run --cap-add NET_BIND_SERVICE), or remove it"},
		{powers{user: app}, spawn.Settings{Rlimits: []spawn.Rlimit{limitOf("as", 1, 4096)}}, ""},
		{powers{user: app}, spawn.Settings{Rlimits: []spawn.Rlimit{limitOf("core", 1, 1), limitOf("as", 1, 4097)}}, "limit 1: as is above memsup's own hard limit and needs CAP_SYS_RESOURCE, which memsup does not have: it is not root, but user 1000; write 4096 or less"},
		{powers{user: root, held: all}, spawn.Settings{Rlimits: []spawn.Rlimit{limitOf("as", 1, spawn.Unlimited)}}, ""},
		{powers{user: root, held: all, nrOpen: 1 << 20}, spawn.Settings{Rlimits: []spawn.Rlimit{limitOf("nofile", 1, 1<<20)}}, ""},
		{powers{user: root, held: all, nrOpen: 1 << 20}, spawn.Settings{Rlimits: []spawn.Rlimit{limitOf("nofile", 1, spawn.Unlimited)}}, "limit 0: nofile is above what the kernel allows (fs.nr_open); write 1048576 or less"},
	} {
		table := &typeTable{values: map[string]entry{}}
		for _, key := range []string{"user", "nice", "ambient_capabilities"} {
			table.values[key] = entry{text: "it", at: key}
		}
		for i := range test.s.Rlimits {
			table.rlimits = append(table.rlimits, entry{at: "limit " + strconv.Itoa(i)})
		}
		test.powers.hard = hard
		got := ""
		if err := test.powers.check(&supervisor.Type{Settings: &test.s}, table); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%+v\ngot  %s\nwant %s", test.s, got, test.want)
		}
	}
}

// Who cannot change user only keeps being the one that he is.
func TestSameUserNeedsNothing(t *testing.T) {
	p := powers{user: spawn.User{UID: 1000, GID: 1000}}
	if !p.is(&spawn.User{UID: 1000, GID: 1000, Groups: []int{27}}) || p.is(&spawn.User{UID: 1000, GID: 27}) || p.is(&spawn.User{UID: 1, GID: 1000}) {
		t.Error("another user is taken for memsup's own, or its own for another")
	}
	if p.held = 1 << unix.CAP_SETUID; p.is(&spawn.User{UID: 1000, GID: 1000}) {
		t.Error("who can become a user anew, with its groups, does")
	}
}

// A socket that is opened once may have a port of root's though memsup becomes another
// user, and one that is opened for each worker may not.
func TestPortsBelowTheUsers(t *testing.T) {
	for _, test := range []struct {
		powers powers
		listen string
		want   string
	}{
		{powers{gaveUp: true, port: 1024}, "tcp://:80", ""},
		{powers{gaveUp: true, port: 1024}, "tcp://:1024?reuseport=true", ""},
		{powers{gaveUp: true, port: 0}, "tcp://:80?reuseport=true", ""},
		{powers{port: 1024}, "tcp://:80?reuseport=true", ""},
		{
			powers{gaveUp: true, port: 1024},
			"tcp://[::]:1023?reuseport=true",
			"memsup.toml:2:10: with reuseport each worker's own socket is opened when it starts, and port 1023 needs " +
				"CAP_NET_BIND_SERVICE, which memsup gives up with --user; write a port from 1024 on, or remove reuseport",
		},
	} {
		writeFiles(t, map[string]string{"Procfile": "web: cat\n", "memsup.toml": "[web]\nlisten = \"" + test.listen + "\"\n"})
		inv, _ := parseRun(nil)
		l := &loader{settings: &settings{}, inv: inv, may: &test.powers}
		if err := l.open(); err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := l.checkSockets(load(t)); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s\ngot  %s\nwant %s", test.listen, got, test.want)
		}
	}
	if p, err := ownPowers(); err != nil || p.port < 0 || p.port > 65535 {
		t.Errorf("the first port for everybody is %d, %v", p.port, err)
	}
}
