package main

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// execUnusual runs a program as one that has set up what few parents do.
func execUnusual(argv []string) {
	runtime.LockOSThread()
	signal.Ignore(unix.SIGHUP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGUSR1, unix.SIGPIPE)
	var blocked unix.Sigset_t
	for _, sig := range []unix.Signal{unix.SIGUSR2, unix.SIGWINCH, unix.SIGTERM} {
		blocked.Val[0] |= 1 << (sig - 1)
	}
	var files unix.Rlimit
	err := errors.Join(
		unix.PthreadSigmask(unix.SIG_SETMASK, &blocked, nil),
		unix.Getrlimit(unix.RLIMIT_NOFILE, &files),
		unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: min(200, files.Max), Max: files.Max}),
		unix.Exec(argv[0], argv[1:], os.Environ()))
	panic(err)
}

// unusual puts execUnusual before the program.
func unusual(t *testing.T) func(string, []string) (string, []string) {
	t.Helper()
	before := filepath.Join(peerLinks(t, "unusual"), "unusual")
	return func(path string, argv []string) (string, []string) {
		return before, append([]string{before, path}, argv...)
	}
}

// entered says whether the test binary knows every signal that it was started
// with ignored.
func entered(t *testing.T) bool {
	t.Helper()
	i := peerCase{around: unusual(t)}
	return i.outcome(t, filepath.Join(peerLinks(t, "entered"), "entered"), "entered").end == "exit status 0"
}

// childState is what the command sees of its own state, told so that two runs
// can be compared.
func childState(t *testing.T, r *peerRun) string {
	t.Helper()
	var b strings.Builder
	init := strconv.Itoa(r.cmd.Process.Pid)
	for line := range strings.Lines(r.text[0].String()) {
		if strings.Contains(line, "(cat)") {
			pid, _, _ := strings.Cut(line, " ")
			f := strings.Fields(line[strings.LastIndex(line, ")")+1:])
			relate := func(value string) string {
				switch value {
				case pid:
					return "its own"
				case init:
					return "the init's"
				case strconv.Itoa(unix.Getpgrp()), "-1", "0":
					return "inherited"
				}
				if sid, err := unix.Getsid(0); err == nil && value == strconv.Itoa(sid) {
					return "inherited"
				}
				return value
			}
			b.WriteString("parent " + relate(f[1]) + ", group " + relate(f[2]) + ", session " + relate(f[3]) +
				", terminal " + strconv.FormatBool(f[4] != "0") + ", foreground " + relate(f[5]) + ", nice " + f[16] + "\n")
			continue
		}
		b.WriteString(line)
	}
	return b.String()
}

// stateOf compares the state of the command under name and under memsup.
func stateOf(t *testing.T, name string, i peerCase) {
	t.Helper()
	i.args = append(i.args, "--", "cat", "/proc/self/stat")
	if !i.terminal {
		i.args = append(i.args, "/proc/self/limits", "/proc/self/oom_score_adj", "/proc/self/environ", "/proc/self/status")
	}
	var states []string
	for _, path := range []string{peerPath(t, name), filepath.Join(peerLinks(t, name), name)} {
		r := i.start(t, path, name)
		r.finish(i.terminal)
		states = append(states, steady(childState(t, r)))
	}
	if states[0] != states[1] {
		t.Errorf("the command's state is\n%s\nunder the real one\n%s", states[1], states[0])
	}
}

// steady leaves out the lines of /proc/self/status that say how a process is
// doing and not how it was started.
func steady(state string) string {
	own := regexp.MustCompile(`(?m)^(Pid|PPid|Tgid|Ngid|NS\w+|Vm\w+|Rss\w+|SigQ|\w*ctxt_switches|HugetlbPages|Mems_\w+|State|FDSize):.*\n`)
	return own.ReplaceAllString(state, "")
}
