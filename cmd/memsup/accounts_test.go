package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// etcWith makes a directory with a passwd and a group.
func etcWith(t *testing.T, passwd, group string) accounts {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"passwd": passwd, "group": group} {
		if text == "" {
			continue
		}
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return accounts(dir)
}

const (
	somePasswd = `# a comment
root:x:0:0:root:/root:/bin/bash
broken:x:1
wrong:x:many:1::/:/bin/sh
+::::::
app:x:1000:100:App,,,:/home/app:/bin/dash
app:x:2000:200:the second:/:
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
twin:x:1000:1:twin of app:/:
77:x:78:79:a name of digits:/:/bin/sh
`
	someGroup = `root:x:0:
users:x:100:app
audio:x:29:daemon,app
video:x:44:daemon,apps
web:x:33:app,daemon
web:x:34:
app:x:many:app
`
)

func TestUsers(t *testing.T) {
	dir := etcWith(t, somePasswd, someGroup)
	for _, test := range []struct {
		who  string
		want account
	}{
		{"app", account{"app", 1000, 100, "/home/app", "/bin/dash", false}},
		{"1000", account{"app", 1000, 100, "/home/app", "/bin/dash", false}},
		{"twin", account{"twin", 1000, 1, "/", "", false}},
		{"0", account{"root", 0, 0, "/root", "/bin/bash", false}},
		{"4294967294", account{name: "4294967294", uid: 4294967294, unlisted: true}},
	} {
		if got, err := dir.user(test.who); err != nil || got != test.want {
			t.Errorf("%s: %+v, %v; want %+v", test.who, got, err, test.want)
		}
	}
	for _, who := range []string{"broken", "wrong", "apps", "", "+", "-1", "4294967295", "4294967296", "# a comment"} {
		if got, err := dir.user(who); err == nil || !strings.HasPrefix(err.Error(), "no user ") {
			t.Errorf("%q is %+v, %v", who, got, err)
		}
	}
	nothing := etcWith(t, "", "")
	if a, err := nothing.user("1000"); err != nil || !a.unlisted {
		t.Errorf("without /etc/passwd 1000 is %+v, %v", a, err)
	}
	if a, err := nothing.user("app"); err == nil {
		t.Errorf("without /etc/passwd app is %+v", a)
	}
}

func TestGroups(t *testing.T) {
	dir := etcWith(t, somePasswd, someGroup)
	for which, want := range map[string]int{"web": 33, "users": 100, "12": 12} {
		if got, err := dir.group(which); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", which, got, err, want)
		}
	}
	for _, which := range []string{"app", "nobody", ""} {
		if got, err := dir.group(which); err == nil {
			t.Errorf("%q is %d", which, got)
		}
	}
	for _, test := range []struct {
		name string
		gid  int
		want []int
	}{
		{"app", 100, []int{100, 29, 33}},
		{"app", 5, []int{5, 100, 29, 33}},
		{"root", 0, []int{0}},
		{"apps", 1, []int{1, 44}},
	} {
		if got, err := dir.groups(test.name, test.gid); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, %v; want %v", test.name, got, err, test.want)
		}
	}
	if got, err := etcWith(t, "", "").groups("app", 7); err != nil || !slices.Equal(got, []int{7}) {
		t.Errorf("without /etc/group: %v, %v", got, err)
	}
}

func TestLogin(t *testing.T) {
	for _, test := range []struct {
		home, shell string
		want        []string
	}{
		{"/home/app", "/bin/sh", []string{"USER=app", "LOGNAME=app", "HOME=/home/app", "SHELL=/bin/sh"}},
		{"/", "/usr/sbin/nologin", []string{"USER=app", "LOGNAME=app"}},
		{"", "", []string{"USER=app", "LOGNAME=app"}},
		{"home", "/bin/false", []string{"USER=app", "LOGNAME=app"}},
	} {
		a := account{name: "app", home: test.home, shell: test.shell}
		if got := a.login(); !slices.Equal(got, test.want) {
			t.Errorf("%q and %q: %q, want %q", test.home, test.shell, got, test.want)
		}
	}
}
