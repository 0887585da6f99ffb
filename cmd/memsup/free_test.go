package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/budget"
)

const freeGolden = "testdata/free.golden"

// freeFlags are a command line of free each.
var freeFlags = strings.Split(`
-b
-k
-m
-g
--tebi
--pebi
--kilo
--mega
--giga
--tera
--peta
-h
-h --si
--si
-b --si
-m --si
-hm
-l
-t
-v
-w
-ltvw
-ltvwh
-ltvwb
-vh --si
-L
-Lh
-Lltvw --mega`, "\n")

// freeTexts are the golden file's meminfo texts by name.
func freeTexts(t *testing.T) (names []string, texts map[string]string, golden *txtar.Archive) {
	t.Helper()
	golden, err := txtar.ParseFile(freeGolden)
	if err != nil {
		t.Fatal(err)
	}
	texts = make(map[string]string)
	for _, f := range golden.Files {
		if !strings.HasPrefix(f.Name, "free ") {
			names = append(names, f.Name)
			texts[f.Name] = string(f.Data)
		}
	}
	return names, texts, golden
}

func freeSection(flags, name string) string {
	return strings.Join(strings.Fields("free "+flags+" of "+name), " ")
}

func TestFree(t *testing.T) {
	names, texts, golden := freeTexts(t)
	want := make(map[string]string)
	for _, f := range golden.Files {
		want[f.Name] = string(f.Data)
	}
	for _, name := range names {
		for _, flags := range freeFlags {
			o, code := parseFree(strings.Fields(flags), t.Output(), t.Output())
			if o == nil {
				t.Fatalf("%q: exit status %d", flags, code)
			}
			section := freeSection(flags, name)
			if got := o.table(texts[name]); got != want[section] {
				t.Errorf("%s:\n%s\nwant\n%s", section, got, want[section])
			}
		}
	}
}

// TestFreeAsProcps binds each text over /proc/meminfo, in a mount namespace of its
// own, and has procps's free print it with all flags; the first one memsup too,
// where no limit is below the host's memory.
func TestFreeAsProcps(t *testing.T) {
	version, err := exec.Command("free", "-V").Output()
	procps := regexp.MustCompile(`procps-ng 4\.0\.[234]\b`).Find(version)
	if procps == nil {
		unable(t, fmt.Sprintf("needs free of procps-ng 4.0.2 to 4.0.4, not %q, %v", bytes.TrimSpace(version), err))
	}
	commands := freeFlags
	hasLine := string(procps) != "procps-ng 4.0.2"
	if !hasLine {
		commands = slices.DeleteFunc(slices.Clone(freeFlags), func(flags string) bool { return strings.HasPrefix(flags, "-L") })
	}
	names, texts, golden := freeTexts(t)
	var sections []txtar.File
	for _, name := range names {
		sections = append(sections, txtar.File{Name: name, Data: []byte(texts[name])})
	}
	for _, name := range names {
		printed, err := freeOver(t, texts[name], "free", commands)
		if err != nil {
			unable(t, fmt.Sprintf("cannot bind over /proc/meminfo: %v", err))
		}
		for i, flags := range commands {
			sections = append(sections, txtar.File{Name: freeSection(flags, name), Data: []byte(printed[i])})
			o, _ := parseFree(strings.Fields(flags), t.Output(), t.Output())
			if got := o.table(texts[name]); got != printed[i] {
				t.Errorf("free %s of %s:\n%s\nprocps:\n%s", flags, name, got, printed[i])
			}
		}
		if name != names[0] || limitedHere(t) {
			continue
		}
		ours, err := freeOver(t, texts[name], "memsup free", commands)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range ours {
			if got != printed[i] {
				t.Errorf("memsup free %s over %s:\n%s\nprocps:\n%s", commands[i], name, got, printed[i])
			}
		}
	}
	if *update && hasLine {
		golden.Files = sections
		if err := os.WriteFile(freeGolden, txtar.Format(golden), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// What procps refuses is refused, with its exit status of 1; nothing is printed.
func TestFreeMistakes(t *testing.T) {
	for args, want := range map[string]string{
		"-z":              "invalid option -- 'z'",
		"-K":              "invalid option -- 'K'",
		"--t":             "option '--t' is ambiguous; possibilities: '--tera' '--tebi' '--total'",
		"--lines":         "unrecognized option '--lines'",
		"--human=yes":     "option '--human' doesn't allow an argument",
		"-c":              "option requires an argument -- 'c'",
		"-b -m":           "more than one unit; write one",
		"--kilo -k":       "more than one unit; write one",
		"-b -b":           "more than one unit; write one",
		"-c 0":            `--count: "0" is no number from 1 up`,
		"-c 1x":           `--count: "1x" is no number from 1 up`,
		"-s 0":            `--seconds: "0" is no positive number of seconds; write one such as 0.5`,
		"-s -1":           `--seconds: "-1" is no positive number of seconds; write one such as 0.5`,
		"-s 0.0000009":    `--seconds: "0.0000009" is no positive number of seconds; write one such as 0.5`,
		"--seconds 1e3":   `--seconds: "1e3" is no positive number of seconds; write one such as 0.5`,
		"--seconds=1.2,3": `--seconds: "1.2,3" is no positive number of seconds; write one such as 0.5`,
		"--count=NaN":     `--count: "NaN" is no number from 1 up`,
		"-h memory":       `unexpected "memory"`,
		"-- -h":           `unexpected "-h"`,
	} {
		var out, problems strings.Builder
		o, code := parseFree(strings.Fields(args), &out, &problems)
		first, _, _ := strings.Cut(problems.String(), "\n")
		if o != nil || code != 1 || out.Len() > 0 || first != "memsup: cannot free: "+want {
			t.Errorf("%s: exit status %d, stdout %q, stderr\n%s\nwant %s", args, code, out.String(), first, want)
		}
	}
}

func TestFreeFlags(t *testing.T) {
	for args, want := range map[string]freeOptions{
		"--comm --tot --wid": {committed: true, total: true, wide: true, interval: time.Second},
		"-s 0,25":            {repeat: true, interval: 250 * time.Millisecond},
		"-s.5 -c3":           {repeat: true, count: 3, interval: 500 * time.Millisecond},
		"-ltc 2":             {lohi: true, total: true, repeat: true, count: 2, interval: time.Second},
		"-s 99999999999999":  {repeat: true, interval: 1 << 62},
	} {
		var problems strings.Builder
		if o, _ := parseFree(strings.Fields(args), &problems, &problems); o == nil || *o != want {
			t.Errorf("%s: got %+v, want %+v\n%s", args, o, want, problems.String())
		}
	}
}

// The memory is read anew for each repeat; between two there is an empty line.
func TestFreeRepeats(t *testing.T) {
	o, _ := parseFree([]string{"-L", "-c", "3", "-s", "0.000001"}, t.Output(), t.Output())
	reads := 0
	var out strings.Builder
	err := o.show(&out, func() (string, error) {
		reads++
		return fmt.Sprintf("MemFree: %d kB\n", reads), nil
	})
	lines := strings.Split(out.String(), "\n")
	if err != nil || len(lines) != 6 || lines[1] != "" || lines[3] != "" || !strings.HasSuffix(lines[4], "MemFree           3 ") {
		t.Errorf("got %q, %v", lines, err)
	}
}

// unable skips a test where what it needs is not there; CI has it.
func unable(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// freeOver runs a program with each of the flags where the text is /proc/meminfo.
// The error is that this cannot be had here.
func freeOver(t *testing.T, text, program string, flags []string) ([]string, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "meminfo"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	const script = `mount --bind meminfo /proc/meminfo || exit
while read -r flags; do $1 $flags || exit; echo =; done`
	cmd := exec.Command("sh", "-c", script, "sh", program)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "MEMSUP_LIMIT=", "GORACE=atexit_sleep_ms=0")
	cmd.Stdin = strings.NewReader(strings.Join(flags, "\n") + "\n")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	printed := strings.Split(string(out), "=\n")
	if len(printed) != len(flags)+1 {
		t.Fatalf("%s printed %d times with %d command lines", program, len(printed)-1, len(flags))
	}
	return printed[:len(flags)], nil
}

// limitedHere tells whether memsup free has other numbers here than the host.
func limitedHere(t *testing.T) bool {
	t.Helper()
	b, err := budget.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	m, err := b.Read()
	if err != nil {
		t.Fatal(err)
	}
	return m.Limited
}

// FuzzFree prints any text: the rows and columns are always the same.
func FuzzFree(f *testing.F) {
	f.Add("MemTotal: 1 kB\nMemFree: 9223372036854775807 kB\nCached: 9223372036854775807 kB\n", true, false)
	f.Add("MemTotal:\nMemAvailable: -1\nSwapFree\n:\n", false, true)
	f.Fuzz(func(t *testing.T, text string, human, si bool) {
		o := freeOptions{human: human, si: si, lohi: true, total: true, committed: true}
		var columns []int
		for line := range strings.Lines(o.table(text)) {
			columns = append(columns, len(strings.Fields(line)))
		}
		if !slices.Equal(columns, []int{6, 7, 4, 4, 4, 4, 4}) {
			t.Errorf("columns %v:\n%s", columns, o.table(text))
		}
	})
}
