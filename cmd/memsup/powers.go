package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/spawn"
	"github.com/memsup/memsup/supervisor"
)

// powers is what memsup may do when it starts a worker.
type powers struct {
	user     spawn.User
	held     spawn.Capabilities
	gaveUp   bool // all capabilities, with --user
	nice     int
	nrOpen   uint64 // the most that RLIMIT_NOFILE may be: /proc/sys/fs/nr_open; 0 unknown
	hard     func(spawn.Resource) uint64
	softNice uint64 // RLIMIT_NICE: 20 less the lowest nice value that may be had
	port     int    // the first that needs no capability: ip_unprivileged_port_start of ip(7)
}

// ownPowers are those of this process.
func ownPowers() (powers, error) {
	p := powers{user: spawn.User{UID: os.Geteuid(), GID: os.Getegid()}, hard: hardLimit}
	var err error
	if p.held, _, _, err = spawn.HeldCapabilities(); err != nil {
		return p, err
	}
	if n, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil {
		p.nice = 20 - n // as the system call gives it
	}
	var nice unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NICE, &nice); err == nil {
		p.softNice = nice.Cur
	}
	text, _ := os.ReadFile("/proc/sys/fs/nr_open")
	p.nrOpen, _ = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	text, _ = os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if p.port, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
		p.port = 1024 // before Linux 4.11
	}
	return p, nil
}

func hardLimit(r spawn.Resource) uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(r.ID, &limit); err != nil {
		return spawn.Unlimited
	}
	return limit.Max
}

// is says whether memsup is that user already, and could not become it anew.
func (p *powers) is(u *spawn.User) bool {
	return u.UID == p.user.UID && u.GID == p.user.GID && p.lacks("SETUID") != ""
}

// lacks says in words that memsup will not have a capability; empty where it has.
func (p *powers) lacks(name string) string {
	c, _ := spawn.ParseCapability(name)
	switch {
	case p.held&c != 0:
		return ""
	case p.gaveUp:
		return "CAP_" + name + ", which memsup gives up with --user"
	case p.user.UID != 0:
		return "CAP_" + name + ", which memsup does not have: it is not root, but user " + strconv.Itoa(p.user.UID)
	}
	return "CAP_" + name + ", which memsup does not have here"
}

// remedy is how memsup would have a capability that it lacks.
func (p *powers) remedy(name string) string {
	switch {
	case p.gaveUp:
		return "leave --user out"
	case p.user.UID != 0:
		return "start memsup as root"
	}
	return "start the container with it (docker run --cap-add " + name + ")"
}

// needsFor names the capability that is missing to start a process as another
// user, and to signal it; empty where none is.
func (p *powers) needsFor(u *spawn.User) string {
	for _, name := range []string{"SETUID", "SETGID", "KILL"} {
		if name == "KILL" && u.UID == p.user.UID {
			continue
		}
		if p.lacks(name) != "" {
			return name
		}
	}
	return ""
}

// check says what of a type's settings memsup cannot give.
func (p *powers) check(t *supervisor.Type, table *typeTable) error {
	s := t.Settings
	if s.User != nil {
		if name := p.needsFor(s.User); name != "" {
			e := table.values["user"]
			return e.errorf("to be user %q needs %s; %s, or remove it", e.text, p.lacks(name), p.remedy(name))
		}
	}
	if s.Nice != nil && *s.Nice < p.nice && uint64(20-*s.Nice) > p.softNice {
		if needs := p.lacks("SYS_NICE"); needs != "" {
			e := table.values["nice"]
			return e.errorf("nice %d is below memsup's own, %d, and needs %s; write %d or more", *s.Nice, p.nice, needs, p.nice)
		}
	}
	if missing := s.Ambient &^ p.held; missing != 0 {
		e := table.values["ambient_capabilities"]
		name, _, _ := strings.Cut(missing.String(), " ")
		return e.errorf("nobody can be given %s; %s, or remove it", p.lacks(name), p.remedy(name))
	}
	for i, r := range s.Rlimits {
		if err := p.checkRlimit(r); err != nil {
			e := table.rlimits[i]
			return e.errorf("%w", err)
		}
	}
	return nil
}

// checkPort says whether memsup can open a socket on a port for each worker that starts.
func (p *powers) checkPort(port int) error {
	if p.gaveUp && port < p.port {
		return fmt.Errorf("with reuseport each worker's own socket is opened when it starts, and port %d needs %s; write a port from %d on, or remove reuseport",
			port, p.lacks("NET_BIND_SERVICE"), p.port)
	}
	return nil
}

func (p *powers) checkRlimit(r spawn.Rlimit) error {
	if r.Resource.ID == unix.RLIMIT_NOFILE && p.nrOpen > 0 && r.Hard > p.nrOpen {
		return fmt.Errorf("nofile is above what the kernel allows (fs.nr_open); write %d or less", p.nrOpen)
	}
	if hard := p.hard(r.Resource); r.Hard > hard {
		if needs := p.lacks("SYS_RESOURCE"); needs != "" {
			return fmt.Errorf("%s is above memsup's own hard limit and needs %s; write %d or less", r.Resource.Name, needs, hard)
		}
	}
	return nil
}

// addUser reads who memsup is to become, before anything is said of its types.
func (l *loader) addUser(c *supervisor.Config) error {
	v, given := l.get("user")
	if !given {
		return nil
	}
	p, err := l.powers()
	if err != nil {
		return err
	}
	who, group, grouped := strings.Cut(v.text, ":")
	if who == "" || grouped && group == "" {
		return v.errorf("%q is no user; write NAME or NAME:GROUP, such as app", v.text)
	}
	u, a, err := l.identify(who, group)
	switch {
	case errors.Is(err, errUnlisted):
		return v.errorf("%w; write %s:GROUP", err, who)
	case err != nil:
		return v.wrap(err)
	}
	same := u.UID == p.user.UID && u.GID == p.user.GID
	for _, name := range []string{"SETUID", "SETGID"} {
		if needs := p.lacks(name); needs != "" && !same {
			return v.errorf("to become user %q needs %s; %s, or leave it out", v.text, needs, p.remedy(name))
		}
	}
	if !same || p.held != 0 {
		c.User = u
	}
	c.Env = supervisor.LogIn(c.Env, l.login(a))
	l.env = c.Env
	p.user, p.held, p.gaveUp = *u, 0, true
	return nil
}

// powers are memsup's, found out once, where somebody asks.
func (l *loader) powers() (*powers, error) {
	if l.may == nil {
		p, err := ownPowers()
		if err != nil {
			return nil, err
		}
		l.may = &p
	}
	return l.may, nil
}
