package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/memsup/memsup/procfile"
	"github.com/memsup/memsup/spawn"
	"github.com/memsup/memsup/supervisor"
)

// addRlimit takes rlimits, or a key of it.
func (t *typeTable) addRlimit(e *entry) error {
	const example = `rlimits = { nofile = "1024:4096" }`
	switch {
	case len(e.path) == 2 && e.kind != unstable.Table:
		return e.keyErrorf("rlimits is a table; write %s", example)
	case len(e.path) > 3 || len(e.path) == 3 && e.kind == unstable.Table:
		return e.keyErrorf(`%s is a table; write NAME = "SOFT:HARD", such as nofile = "1024:4096"`, strings.Join(e.path[1:], "."))
	}
	if _, given := t.values["rlimits"]; !given {
		t.keys = append(t.keys, "rlimits")
		t.values["rlimits"] = entry{path: e.path[:2], kind: unstable.Table, keyAt: e.keyAt, at: e.keyAt}
	}
	if len(e.path) == 2 {
		return nil
	}
	_, err := e.resource()
	if err == nil {
		t.rlimits = append(t.rlimits, *e)
		err = e.check(intKind, `"1024:4096"`)
	}
	return err
}

// resource is the one that a key of rlimits names.
func (e *entry) resource() (spawn.Resource, error) {
	var names []string
	for _, r := range spawn.Resources {
		if r.Name == e.key() {
			return r, nil
		}
		names = append(names, r.Name)
	}
	slices.Sort(names)
	if near, ok := nearest(strings.TrimPrefix(strings.ToLower(e.key()), "rlimit_"), names); ok {
		return spawn.Resource{}, e.keyErrorf("unknown resource %q; write %s", e.key(), near)
	}
	return spawn.Resource{}, e.keyErrorf("unknown resource %q; write one of %s", e.key(), strings.Join(names, ", "))
}

// settingsOf gives the type room for what its processes are started with.
func settingsOf(t *supervisor.Type) *spawn.Settings {
	if t.Settings == nil {
		t.Settings = &spawn.Settings{}
	}
	return t.Settings
}

// applyProcess takes a key about the type's processes. Who user and group are,
// and what memsup may do here, is found out later, for types that run.
func applyProcess(t *supervisor.Type, e *entry) (err error) {
	s := settingsOf(t)
	switch e.key() {
	case "user", "group":
		if e.text == "" {
			err = fmt.Errorf("%s is empty; write a name or a number, such as \"app\"", e.key())
		}
	case "directory":
		if e.text == "" || strings.ContainsRune(e.text, 0) {
			return fmt.Errorf("%q is no directory; write a path such as \"/srv/app\"", e.text)
		}
		s.Dir, err = filepath.Abs(e.text)
	case "nice":
		n, parseErr := strconv.Atoi(e.text)
		if parseErr != nil || n < -20 || n > 19 {
			err = fmt.Errorf("%q is no nice value; write a number from -20 to 19", e.text)
		}
		s.Nice = &n
	case "umask":
		n, parseErr := strconv.ParseUint(e.text, 8, 32)
		if parseErr != nil || n > 0o777 {
			err = fmt.Errorf("%q is no umask; write an octal number from 0000 to 0777, such as \"0027\"", e.text)
		}
		mask := int(n)
		s.Umask = &mask
	case "no_new_privileges":
		s.NoNewPrivs, err = parseBool(e.text)
	case "ambient_capabilities":
		return applyCapabilities(s, e)
	}
	return err
}

func applyCapabilities(s *spawn.Settings, e *entry) error {
	items := e.items
	if e.kind != unstable.Array {
		items = []entry{*e}
	}
	for i := range items {
		c, ok := spawn.ParseCapability(items[i].text)
		if !ok {
			names := spawn.CapabilityNames()
			if near, ok := nearest(strings.TrimPrefix(strings.ToUpper(items[i].text), "CAP_"), names); ok {
				return items[i].errorf("no capability %q; write %q", items[i].text, near)
			}
			return items[i].errorf("no capability %q; write one of capabilities(7), such as \"NET_BIND_SERVICE\"", items[i].text)
		}
		s.Ambient |= c
	}
	return nil
}

// applyRlimits takes the keys of rlimits.
func (t *typeTable) applyRlimits(to *supervisor.Type) error {
	for i := range t.rlimits {
		e := &t.rlimits[i]
		r, err := e.resource()
		if err != nil {
			return err
		}
		limit := spawn.Rlimit{Resource: r}
		soft, hard, two := strings.Cut(e.text, ":")
		if !two {
			hard = soft
		}
		if limit.Soft, err = parseAmount(r, soft); err == nil {
			limit.Hard, err = parseAmount(r, hard)
		}
		if err == nil && limit.Soft > limit.Hard {
			err = fmt.Errorf("the soft limit %s is above the hard one, %s; write SOFT:HARD", soft, hard)
		}
		if err != nil {
			return e.setting().wrap(err)
		}
		s := settingsOf(to)
		s.Rlimits = append(s.Rlimits, limit)
	}
	return nil
}

// parseAmount reads a soft or a hard limit.
func parseAmount(r spawn.Resource, text string) (uint64, error) {
	if text == "unlimited" {
		return spawn.Unlimited, nil
	}
	if r.Bytes {
		n, err := procfile.ParseSize(text)
		return uint64(n), err
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is no limit of %s; write a number or unlimited, or SOFT:HARD, such as \"1024:4096\"", text, r.Name)
	}
	return n, nil
}

// addSettings completes what a type's processes are started with: who its user
// is, and whether all of it is possible here.
func (l *loader) addSettings(t *supervisor.Type) error {
	if t.Settings == nil {
		return nil
	}
	p, err := l.powers()
	if err != nil {
		return err
	}
	table := l.file.typeTable(t.Name)
	if err := checkDirectory(t.Settings.Dir); err != nil {
		e := table.values["directory"]
		return e.errorf("%w", err)
	}
	if err := l.addTypeUser(t, table, p); err != nil {
		return err
	}
	return p.check(t, table)
}

func checkDirectory(dir string) error {
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("no directory %s; make it, or write another", dir)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is no directory; write one", dir)
	}
	return nil
}

// addTypeUser finds the user and the groups that a type's table names.
func (l *loader) addTypeUser(t *supervisor.Type, table *typeTable, p *powers) error {
	who, named := table.values["user"]
	group, grouped := table.values["group"]
	switch {
	case !named && grouped:
		return group.keyErrorf("group without user; write user = \"NAME\" as well")
	case !named:
		return nil
	}
	u, a, err := l.identify(who.text, group.text)
	switch wrong := (*wrongGroup)(nil); {
	case errors.As(err, &wrong):
		return group.setting().wrap(err)
	case errors.Is(err, errUnlisted):
		return who.errorf("%w; write group = \"NAME\" as well", err)
	case err != nil:
		return who.setting().wrap(err)
	}
	t.Login = l.login(a)
	if p.is(u) {
		return nil // memsup is, or will be, that user already
	}
	t.Settings.User = u
	return nil
}

// wrongGroup is an error about a group.
type wrongGroup struct{ error }

// errUnlisted is that of a user whose group nobody names.
var errUnlisted = errors.New("a user that is not in /etc/passwd has no group")

// identify finds a user, and a group by which its own is replaced where it is
// not empty.
func (l *loader) identify(who, group string) (*spawn.User, account, error) {
	a, err := l.accounts.user(who)
	if err != nil {
		return nil, a, err
	}
	switch {
	case group != "":
		if a.gid, err = l.accounts.group(group); err != nil {
			return nil, a, &wrongGroup{err}
		}
	case a.unlisted:
		return nil, a, errUnlisted
	}
	groups, err := l.accounts.groups(a.name, a.gid)
	return &spawn.User{UID: a.uid, GID: a.gid, Groups: groups}, a, err
}

// login are the variables of an account, but for those that the env file sets.
func (l *loader) login(a account) []string {
	env := a.login()
	for _, v := range l.envFile {
		if slices.Contains(supervisor.LoginVariables[:], v.Name) {
			env = slices.DeleteFunc(env, func(old string) bool { return strings.HasPrefix(old, v.Name+"=") })
			env = append(env, v.Name+"="+v.Value)
		}
	}
	return env
}

// settingsNote says how a type's processes are started.
func settingsNote(t *supervisor.Type) string {
	s := t.Settings
	if s == nil {
		return ""
	}
	var parts []string
	if s.User != nil {
		parts = append(parts, "as "+s.User.String())
	}
	if s.Dir != "" {
		parts = append(parts, "in "+s.Dir)
	}
	if s.Umask != nil {
		parts = append(parts, fmt.Sprintf("umask %04o", *s.Umask))
	}
	if s.Nice != nil {
		parts = append(parts, fmt.Sprintf("nice %d", *s.Nice))
	}
	if s.Ambient != 0 {
		parts = append(parts, "keeping "+s.Ambient.String())
	}
	if s.NoNewPrivs {
		parts = append(parts, "no new privileges")
	}
	for _, r := range s.Rlimits {
		parts = append(parts, r.String())
	}
	if len(parts) == 0 {
		return ""
	}
	return t.Name + " runs " + strings.Join(parts, ", ") + "\n"
}
