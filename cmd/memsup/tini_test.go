package main

import (
	"math"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTiniOptions(t *testing.T) {
	for _, test := range []struct {
		args string
		want tiniOptions
	}{
		{"true", tiniOptions{verbosity: 1}},
		{"-- true", tiniOptions{verbosity: 1}},
		{"-s -g -w true", tiniOptions{verbosity: 1, subreaper: true, group: true, warnOnReap: true}},
		{"-sgwvvv true", tiniOptions{verbosity: 4, subreaper: true, group: true, warnOnReap: true}},
		{"-vvg -- true", tiniOptions{verbosity: 3, group: true}},
		{"-p SIGKILL true", tiniOptions{verbosity: 1, parentDeath: unix.SIGKILL}},
		{"-pSIGTERM true", tiniOptions{verbosity: 1, parentDeath: unix.SIGTERM}},
		{"-spSIGTERM -pSIGHUP true", tiniOptions{verbosity: 1, subreaper: true, parentDeath: unix.SIGHUP}},
		{"-e 143 -e130 -se 0 true", tiniOptions{verbosity: 1, subreaper: true, remap: []int{143, 130, 0}}},
	} {
		got, code := parseTini(strings.Fields("tini " + test.args))
		test.want.command = []string{"true"}
		if code != 0 || got == nil || !reflect.DeepEqual(*got, test.want) {
			t.Errorf("%s: got %+v, %d, want %+v", test.args, got, code, test.want)
		}
	}
}

// Behind the program's name nothing is tini's, as where tini was built with
// musl.
func TestTiniOptionsEndAtProgram(t *testing.T) {
	for args, want := range map[string]string{
		"sh -c -v":      "sh -c -v",
		"-s sh -s":      "sh -s",
		"-s -- -s":      "-s",
		"-s - -v":       "- -v",
		"echo -- -v":    "echo -- -v",
		"echo --":       "echo --",
		"-- --version":  "--version",
		"x --version":   "x --version",
		"-e 1 -- -e 2":  "-e 2",
		"-p SIGINT -- ": "",
	} {
		o, _ := parseTini(strings.Fields("tini " + args))
		got := ""
		if o != nil {
			got = strings.Join(o.command, " ")
		}
		if got != want {
			t.Errorf("%s: runs %q, want %q", args, got, want)
		}
	}
}

func TestTiniStatus(t *testing.T) {
	for s, want := range map[string]int{"0": 0, "255": 255, "": 0, " 3": 3, "+3": 3, "007": 7, "-0": 0} {
		if got, ok := tiniStatus(s); !ok || got != want {
			t.Errorf("%q: got %d, %v, want %d", s, got, ok, want)
		}
	}
	for _, s := range []string{"256", "-1", "3x", "x", " ", "3 ", "0x1", "4294967296", "99999999999999999999", "-99999999999999999999"} {
		if got, ok := tiniStatus(s); ok {
			t.Errorf("%q: got %d, want an error", s, got)
		}
	}
}

func TestTiniEnvironment(t *testing.T) {
	for value, want := range map[string]tiniLevel{
		"0": 0, "3": 3, "": 0, "x": 0, " 2x": 2, "-1": math.MaxInt32, "99999999999999999999": math.MaxInt32,
	} {
		t.Setenv("TINI_VERBOSITY", value)
		o := tiniOptions{verbosity: 2}
		o.environment()
		if o.verbosity != want {
			t.Errorf("TINI_VERBOSITY=%s: verbosity %d, want %d", value, o.verbosity, want)
		}
		if o.subreaper || o.group {
			t.Errorf("TINI_VERBOSITY=%s: %+v", value, o)
		}
	}
	t.Setenv("TINI_SUBREAPER", "")
	t.Setenv("TINI_KILL_PROCESS_GROUP", "")
	o := tiniOptions{}
	o.environment()
	if !o.subreaper || !o.group {
		t.Errorf("empty variables do not count as set: %+v", o)
	}
}

// Docker takes the version as what follows "tini version ", up to " - ".
func TestTiniVersionForDocker(t *testing.T) {
	i := peerCase{args: []string{"--version"}}
	got := i.outcome(t, peerLinks(t, "docker-init")+"/docker-init", "docker-init")
	version, _, _ := strings.Cut(got.stdout, " - ")
	if strings.TrimPrefix(strings.TrimSpace(version), "tini version ") != "0.19.0" || got.end != "exit status 0" {
		t.Errorf("--version: %+v", got)
	}
}

var tiniEntry = regexp.MustCompile(`(?m)^  (-\w|--version|TINI_\w+)\b`)

func TestTiniCommandLine(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"-h"},
		{"-s", "-h", "true"},
		{"-s"},
		{"-s", "--"},
		{"-Z"},
		{"-sZ", "true"},
		{"-é"},
		{"-:"},
		{"-;"},
		{"-e"},
		{"-sp"},
		{"--help"},
		{"--version", "true"},
		{"-s", "--version"},
		{"---"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			peerCase{args: args}.sameUsage(t, "tini", tiniEntry)
		})
	}
	for _, args := range [][]string{
		{"--version"},
		{"-e", "256", "true"},
		{"-e-1", "true"},
		{"-e", "x", "true"},
		{"-se3x", "true"},
		{"-p", "KILL", "true"},
		{"-p", "9", "true"},
		{"-pSIGFOO", "true"},
		{"-p", "", "true"},
		{"-s", "-e", "", "true"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) { peerCase{args: args}.same(t, "tini") })
	}
}

func TestTiniReaperWarning(t *testing.T) {
	for _, test := range []peerCase{
		{args: []string{"true"}},
		{args: []string{"-s", "true"}},
		{args: []string{"true"}, env: []string{"TINI_SUBREAPER="}},
		{args: []string{"true"}, env: []string{"TINI_VERBOSITY=0"}},
		{args: []string{"-v", "true"}, env: []string{"TINI_VERBOSITY="}},
	} {
		t.Run(strings.Join(append(test.env, test.args...), " "), func(t *testing.T) { test.same(t, "tini") })
	}
}

func TestTiniExitStatus(t *testing.T) {
	for _, test := range []struct{ options, script string }{
		{"-s", "exit 0"},
		{"-s", "exit 3"},
		{"-s", "exit 255"},
		{"-s", "kill -TERM $$"},
		{"-s", "kill -KILL $$"},
		{"-s -e 3", "exit 3"},
		{"-s -e 3 -e 4", "exit 4"},
		{"-s -e 3", "exit 4"},
		{"-s -e 143", "kill -TERM $$"},
		{"-s -v", "exit 3"},
		{"-s -v", "kill -KILL $$"},
	} {
		t.Run(test.options+" "+test.script, func(t *testing.T) {
			peerScript(t, strings.Fields(test.options), test.script).same(t, "tini")
		})
	}
}

func TestTiniCannotExecute(t *testing.T) { cannotExecute(t, "tini", "-s") }

// What tini says of its own loop, at the levels above info, differs.
func TestTiniVerbose(t *testing.T) {
	documented := regexp.MustCompile(`(?m)^\[(FATAL|WARN |INFO ).*\n`)
	for _, options := range []string{"-s", "-sv", "-svv", "-svvv"} {
		real, ours := peerCase{args: []string{options, "true"}}.both(t, "tini")
		for line := range strings.Lines(ours.stdout + ours.stderr) {
			if !strings.Contains(real.stdout+real.stderr, line) {
				t.Errorf("%s: the real one does not say %q but\n%s", options, line, real.stdout+real.stderr)
			}
		}
		for _, text := range []*string{&real.stdout, &ours.stdout} {
			*text = strings.Join(documented.FindAllString(*text, -1), "")
		}
		differ(t, real, ours)
	}
}

func TestTiniCommandState(t *testing.T) {
	t.Run("usual", func(t *testing.T) { stateOf(t, "tini", peerCase{args: []string{"-s"}}) })
	t.Run("terminal", func(t *testing.T) {
		stateOf(t, "tini", peerCase{args: []string{"-s"}, terminal: true})
	})
	t.Run("unusual", func(t *testing.T) {
		if !entered(t) {
			t.Skip("the test binary is not linked with package spawn's entry point")
		}
		stateOf(t, "tini", peerCase{args: []string{"-s"}, around: unusual(t)})
	})
}

func TestTiniDescriptors(t *testing.T) {
	peerCase{args: []string{"-s", "ls", "/proc/self/fd"}}.same(t, "tini")
}

func TestTiniStandardInput(t *testing.T) {
	peerCase{args: []string{"-s", "cat"}, play: func(r *peerRun) { r.write("one\n"); r.line("one") }}.same(t, "tini")
}

func TestTiniForwards(t *testing.T) {
	i := peerScript(t, []string{"-s"}, `exec "$D/signals"`)
	i.play = forwards
	i.same(t, "tini")
}

func TestTiniForwardsToGroup(t *testing.T) {
	for _, env := range []string{"", "TINI_KILL_PROCESS_GROUP="} {
		options := []string{"-s", "-g"}
		if env != "" {
			options = options[:1]
		}
		i := peerScript(t, options, `"$D/signals" & exec "$D/signals"`)
		i.env = append(i.env, env)
		i.play = toGroup
		i.same(t, "tini")
	}
}

func TestTiniForwardsToCommandOnly(t *testing.T) {
	i := peerScript(t, []string{"-s"}, `"$D/signals" & read go; exec "$D/signals"`)
	i.play = toCommandOnly
	i.same(t, "tini")
}

// tini does not wait for what its command left, and does not signal it.
func TestTiniLeavesOrphans(t *testing.T) {
	i := peerScript(t, []string{"-s"}, `"$D/signals" & read go; exit 3`)
	i.play = func(r *peerRun) {
		r.line("ready")
		r.write("\n")
		r.wait()
		r.release()
		r.line("released")
	}
	i.same(t, "tini")
}

func TestTiniWarnsOnReap(t *testing.T) {
	i := peerScript(t, []string{"-s", "-w"}, "(true &); read go")
	i.play = func(r *peerRun) {
		r.errLine("Reaped zombie process")
		r.write("\n")
	}
	i.same(t, "tini")
}

func TestTiniParentDeath(t *testing.T) {
	i := peerScript(t, []string{"-s", "-p", "SIGTERM"}, `exec "$D/signals"`)
	i.around = func(path string, argv []string) (string, []string) {
		return "/bin/sh", append([]string{"sh", "-c", `"$@" & read go`, "sh", path}, argv[1:]...)
	}
	i.play = func(r *peerRun) {
		r.line("ready")
		r.write("\n")
		r.line("SIGTERM")
	}
	i.same(t, "tini")
}

func TestTiniTerminal(t *testing.T) {
	i := peerScript(t, []string{"-s"}, `exec "$D/signals"`)
	i.terminal, i.play = true, terminalSignals
	i.same(t, "tini")
}

func TestTiniPID1(t *testing.T) { asPID1(t, "tini") }

// What follows is asked of both programs.

func cannotExecute(t *testing.T, name string, options ...string) {
	dir := t.TempDir()
	for _, file := range []struct {
		name, text string
		mode       os.FileMode
	}{
		{"text", "not a program", 0o644},
		{"plain", `echo "no first line: $1"; exit 4`, 0o755},
		{"interpreter", "#!/nonexistent\n", 0o755},
	} {
		if err := os.WriteFile(dir+"/"+file.name, []byte(file.text), file.mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []peerCase{
		{args: []string{"/nonexistent"}},
		{args: []string{"nonexistent"}},
		{args: []string{""}},
		{args: []string{"-"}},
		{args: []string{"/"}},
		{args: []string{dir + "/text"}},
		{args: []string{dir + "/text/under"}},
		{args: []string{dir + "/plain"}},
		{args: []string{"plain", "a b"}, env: []string{"PATH=" + dir}},
		{args: []string{"text"}, env: []string{"PATH=" + dir}},
		{args: []string{"text"}, env: []string{"PATH=" + dir + ":/usr/bin"}},
		{args: []string{"plain"}, env: []string{"PATH=" + dir + "/text:/nonexistent:" + dir}},
		{args: []string{"plain"}, env: []string{"PATH="}, prepare: func(c *exec.Cmd) { c.Dir = dir }},
		{args: []string{"plain"}, env: []string{"PATH=/nonexistent:"}, prepare: func(c *exec.Cmd) { c.Dir = dir }},
		{args: []string{"true"}, prepare: func(c *exec.Cmd) { c.Env = []string{"A=1"} }},
		{args: []string{dir + "/interpreter"}},
	} {
		t.Run(strings.ReplaceAll(strings.Join(append(test.env, test.args...), " "), dir, "DIR"), func(t *testing.T) {
			test.args = append(options[:len(options):len(options)], append([]string{"--"}, test.args...)...)
			test.same(t, name)
		})
	}
}

func forwards(r *peerRun) {
	r.line("ready")
	for _, sig := range []unix.Signal{
		unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGCONT, unix.SIGWINCH, unix.SIGTERM,
	} {
		r.signal(sig)
		r.line(unix.SignalName(sig))
	}
}

func toGroup(r *peerRun) {
	r.line("ready")
	r.line("ready")
	for _, sig := range []unix.Signal{unix.SIGUSR1, unix.SIGTERM} {
		r.signal(sig)
		r.line(unix.SignalName(sig))
		r.line(unix.SignalName(sig))
	}
}

func toCommandOnly(r *peerRun) {
	r.line("ready")
	r.write("\n")
	r.line("ready")
	r.signal(unix.SIGTERM)
	r.line("SIGTERM")
	r.wait()
	r.release()
	r.line("released")
}

func terminalSignals(r *peerRun) {
	r.line("ready")
	for _, key := range []struct{ code, name string }{{"\x03", "SIGINT"}, {"\x1c", "SIGQUIT"}, {"\x1a", "SIGTSTP"}} {
		r.write(key.code)
		r.line(key.name)
	}
	r.signal(unix.SIGTERM)
	r.line("SIGTERM")
}

func asPID1(t *testing.T, name string, options ...string) {
	i := peerScript(t, options, `exec "$D/signals"`)
	i.prepare = func(c *exec.Cmd) {
		c.SysProcAttr.Cloneflags = unix.CLONE_NEWPID
		if unix.Geteuid() != 0 {
			c.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
			c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: unix.Getuid(), Size: 1}}
			c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: unix.Getgid(), Size: 1}}
		}
	}
	i.play = forwards
	i.same(t, name)
}
