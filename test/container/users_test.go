//go:build container

package container

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// said tells whether a line of what the container printed is this one, with
// blanks for any white space.
func (c *container) said(line string) bool { return among(c.out(), line) }

func among(lines []string, line string) bool {
	return slices.ContainsFunc(lines, func(got string) bool { return strings.Join(strings.Fields(got), " ") == line })
}

// A worker is who its type's user is, with its groups, limits, umask and the one
// capability that it was left; everything else is as memsup has it. So is one more that
// root asks for in the foreground.
func TestTypeUser(t *testing.T) {
	t.Parallel()
	c := start(t, &usersImage, append(memory("2g"), "--env", "MEMSUP_CONFIG=types.toml"))
	c.await(1, "^done$")
	one := strings.Split(c.exec("memsup", "exec", "web", "once"), "\n")
	bind := "0000000000000400"
	for _, want := range []string{
		"Uid: 1500 1500 1500 1500", "Gid: 33 33 33 33", "Groups: 29 33 44", "groups 33 29 44",
		"CapInh: " + bind, "CapPrm: " + bind, "CapEff: " + bind, "CapAmb: " + bind, "NoNewPrivs: 1",
		"Max open files 512 1024 files", "Max core file size 0 0 bytes", "Max address space 1073741824 unlimited bytes",
		"login /home/app app app /bin/bash", "umask 0027", "directory /srv", "nice 5", "MEM_LIMIT 1073741824",
		"reopened", "may look", "may not change", "pressure socket in reach",
	} {
		if !c.said(want) {
			t.Errorf("the worker does not say %q", want)
		}
		if !among(one, want) && want != "reopened" { // the pipe is docker exec's
			t.Errorf("one more in the foreground does not say %q", want)
		}
	}
	// The limits that its type does not name are those of the container.
	for line := range strings.Lines(c.exec("cat", "/proc/1/limits")) {
		line = strings.Join(strings.Fields(line), " ")
		if !regexp.MustCompile("^Max (open files|core file size|address space) ").MatchString(line) && !c.said(line) {
			t.Errorf("the worker does not have memsup's %q", line)
		}
	}
	if text := c.exec("stat", "--format", "%a %U", "/run/memsup"); text != "711 root" {
		t.Errorf("the control socket's directory is %s", text)
	}
	if _, err := docker("exec", "--user", "app", c.id, "memsup", "status"); err != nil {
		t.Errorf("the type's user cannot look from outside: %v", err)
	}
	c.stop(0)
}

// memsup gives up root itself, after it has opened a port that only root may, and
// goes on as init; a restarted container finds its directory again.
func TestOwnUser(t *testing.T) {
	t.Parallel()
	c := start(t, &usersImage, append(memory("256m"), "--env", "MEMSUP_CONFIG=own.toml", "--sysctl", "net.ipv4.ip_unprivileged_port_start=1024"))
	c.await(1, "^done$")
	for _, want := range []string{
		"Uid: 1500 1500 1500 1500", "Gid: 1500 1500 1500 1500", "Groups: 29 44 1500", "groups 1500 29 44", "CapPrm: 0000000000000000",
		"login /home/app app app /bin/bash", "umask 0077", "listens on 1", "reopened", "may look", "may change", "pressure socket in reach",
	} {
		if !c.said(want) {
			t.Errorf("the worker does not say %q", want)
		}
	}
	none := map[string]bool{"Uid: 1500 1500 1500 1500": true, "Gid: 1500 1500 1500 1500": true, "Groups: 29 44 1500": true}
	for _, set := range []string{"Inh", "Prm", "Eff", "Amb"} {
		none["Cap"+set+": 0000000000000000"] = true
	}
	for line := range strings.Lines(c.exec("sh", "-c", "cat /proc/1/task/*/status | grep -E '^(Uid|Gid|Groups|Cap(Inh|Prm|Eff|Amb)):'")) {
		if line = strings.Join(strings.Fields(line), " "); !none[line] {
			t.Errorf("a thread of memsup has %q", line)
		}
	}
	one := strings.Split(c.exec("memsup", "exec", "web", "once"), "\n") // asked for by root
	for _, want := range []string{"Uid: 1500 1500 1500 1500", "Gid: 1500 1500 1500 1500", "Groups: 29 44 1500", "CapPrm: 0000000000000000", "login /home/app app app /bin/bash", "umask 0077"} {
		if !among(one, want) {
			t.Errorf("one more in the foreground does not say %q", want)
		}
	}
	if _, err := docker("exec", "--user", "app", c.id, "memsup", "scale", "web=2"); err != nil {
		t.Error(err)
	}
	c.await(2, "^done$")
	c.stop(0)
	if _, err := docker("start", c.id); err != nil {
		t.Fatal(err)
	}
	again := &container{t: t, id: c.id, ended: make(chan struct{}), more: make(chan struct{})}
	again.eventually(patience, "memsup answers in the restarted container", func() bool {
		out, err := docker("exec", c.id, "memsup", "status")
		return err == nil && strings.Contains(out, "web.1")
	})
	if text := again.exec("stat", "--format", "%a %U", "/run/memsup"); text != "700 app" {
		t.Errorf("the control socket's directory is %s", text)
	}
}

// memsup that gave up root reads its files again as the user that it is: a type that has
// changed is restarted, on the socket that only root may open, and what it could do as
// root alone is a mistake with its place, which changes nothing.
func TestOwnUserReloads(t *testing.T) {
	t.Parallel()
	c := start(t, &usersImage, append(memory("256m"), "--env", "MEMSUP_CONFIG=own.toml", "--sysctl", "net.ipv4.ip_unprivileged_port_start=1024"))
	c.await(1, "^done$")
	reload := func(script string) {
		c.exec("sh", "-c", script)
		if _, err := docker("kill", "--signal", "HUP", c.id); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(why string) {
		t.Helper()
		c.eventually(patience, "reload refused: "+why, func() bool {
			return slices.ContainsFunc(c.err(), regexp.MustCompile("cannot reload: nothing was changed: .*"+why).MatchString)
		})
	}
	reload("echo 'nice = 5' >>own.toml")
	c.await(2, "^done$")
	c.await(1, "^nice 5$")
	if n := len(c.lines("^listens on 1$")); n != 2 {
		t.Errorf("%d workers listen on port 80, want both", n)
	}
	reload("cp own.toml before.toml; echo 'user = \"root\"' >>own.toml")
	refused(`own\.toml:6:8: to be user .*root.* needs CAP_SETUID, which memsup gives up with --user; leave --user out, or remove it`)
	reload("sed 's/80\"/81\"/' before.toml >own.toml")
	refused("permission denied")
	reload("sed s/0077/0022/ before.toml >own.toml")
	c.await(3, "^done$")
	c.await(1, "^umask 0022$")
	if n := len(c.lines("^listens on 1$")); n != 3 {
		t.Errorf("%d workers listened on port 80, want all three", n)
	}
	c.stop(0)
}
