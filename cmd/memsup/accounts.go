package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// accounts is the directory of the files passwd and group: passwd(5), group(5).
// No library of the system's is asked, as memsup is linked to none, so users
// that only LDAP or the like knows have to be written as numbers.
type accounts string

// account is a line of passwd.
type account struct {
	name        string
	uid, gid    int
	home, shell string
	unlisted    bool // passwd has none for this number
}

// user finds an account by name or number. A number without a line is an account
// as well, whose group nobody knows.
func (dir accounts) user(who string) (a account, err error) {
	uid, numeric := parseID(who)
	found := false
	err = dir.each("passwd", 7, func(f []string) {
		id, ok := parseID(f[2])
		gid, valid := parseID(f[3])
		if !found && ok && valid && (f[0] == who || numeric && id == uid) {
			a, found = account{name: f[0], uid: id, gid: gid, home: f[5], shell: f[6]}, true
		}
	})
	switch {
	case found:
		return a, nil
	case numeric && (err == nil || errors.Is(err, os.ErrNotExist)):
		return account{name: who, uid: uid, unlisted: true}, nil
	case err != nil:
		return account{}, err
	}
	return account{}, fmt.Errorf("no user %q in %s; write one that is there, or a number", who, dir.file("passwd"))
}

// group finds a group's number by its name or number.
func (dir accounts) group(which string) (int, error) {
	if gid, numeric := parseID(which); numeric {
		return gid, nil
	}
	gid := -1
	err := dir.each("group", 4, func(f []string) {
		if id, ok := parseID(f[2]); ok && gid < 0 && f[0] == which {
			gid = id
		}
	})
	if err == nil && gid < 0 {
		err = fmt.Errorf("no group %q in %s; write one that is there, or a number", which, dir.file("group"))
	}
	return gid, err
}

// groups are the supplementary groups of an account whose group is gid, as
// initgroups(3) gives them: that one, and those that name it as a member.
func (dir accounts) groups(name string, gid int) ([]int, error) {
	list := []int{gid}
	err := dir.each("group", 4, func(f []string) {
		if id, ok := parseID(f[2]); ok && !slices.Contains(list, id) && slices.Contains(strings.Split(f[3], ","), name) {
			list = append(list, id)
		}
	})
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return list, err
}

func (dir accounts) file(name string) string { return filepath.Join(string(dir), name) }

// each gives the lines of a file that have so many fields. Others, as comments and
// those of NIS, name nobody.
func (dir accounts) each(name string, fields int, use func([]string)) error {
	src, err := os.ReadFile(dir.file(name))
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(bytes.NewReader(src)); lines.Scan(); {
		if f := strings.Split(lines.Text(), ":"); len(f) == fields && f[0] != "" {
			use(f)
		}
	}
	return nil
}

// parseID reads the number of a user or group; the highest is nobody's (setresuid(2)).
func parseID(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return int(n), err == nil && n != 1<<32-1
}

// login are the variables that tell a program who it is, as systemd's User= sets
// them (systemd.exec(5)): no home that is none, no shell that refuses a login.
func (a *account) login() []string {
	env := []string{"USER=" + a.name, "LOGNAME=" + a.name}
	if filepath.IsAbs(a.home) && filepath.Clean(a.home) != "/" {
		env = append(env, "HOME="+a.home)
	}
	switch filepath.Base(a.shell) {
	case ".", "nologin", "false", "true":
	default:
		env = append(env, "SHELL="+a.shell)
	}
	return env
}
