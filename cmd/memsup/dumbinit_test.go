package main

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

type rewrites = map[unix.Signal]unix.Signal

func TestDumbInitOptions(t *testing.T) {
	for _, test := range []struct {
		args string
		want dumbInitOptions
	}{
		{"true", dumbInitOptions{session: true}},
		{"-- true", dumbInitOptions{session: true}},
		{"-c true", dumbInitOptions{}},
		{"--single-child true", dumbInitOptions{}},
		{"--s -v true", dumbInitOptions{verbose: true}},
		{"-cv true", dumbInitOptions{verbose: true}},
		{"--verbose -- true", dumbInitOptions{session: true, verbose: true}},
		{"-r 15:3 -r2:0 true", dumbInitOptions{session: true, rewrite: rewrites{15: 3, 2: 0}}},
		{"-vr 15:3 true", dumbInitOptions{session: true, verbose: true, rewrite: rewrites{15: 3}}},
		{"--rewrite 15:3 --rewrite=1:31 true", dumbInitOptions{session: true, rewrite: rewrites{15: 3, 1: 31}}},
		{"--rew 15:3 --r=15:4 true", dumbInitOptions{session: true, rewrite: rewrites{15: 4}}},
	} {
		got, code := parseDumbInit(strings.Fields("dumb-init " + test.args))
		test.want.command = []string{"true"}
		if test.want.rewrite == nil {
			test.want.rewrite = rewrites{}
		}
		if code != 0 || got == nil || !reflect.DeepEqual(*got, test.want) {
			t.Errorf("%s: got %+v, %d, want %+v", test.args, got, code, test.want)
		}
	}
}

func TestDumbInitOptionsEndAtProgram(t *testing.T) {
	for args, want := range map[string]string{
		"sh -c -v":       "sh -c -v",
		"-c sh -c":       "sh -c",
		"-c -- -c":       "-c",
		"- -v":           "- -v",
		"echo -- -v":     "echo -- -v",
		"-r 1:2 -- --r":  "--r",
		"--re 1:2 x --v": "x --v",
	} {
		o, _ := parseDumbInit(strings.Fields("dumb-init " + args))
		if o == nil || strings.Join(o.command, " ") != want {
			t.Errorf("%s: runs %+v, want %q", args, o, want)
		}
	}
}

func TestDumbInitRewrite(t *testing.T) {
	for s, want := range map[string][2]unix.Signal{
		"1:31": {1, 31}, "31:0": {31, 0}, " +1: 2": {1, 2}, "15:3x": {15, 3}, "1:2:3": {1, 2}, "1:-0": {1, 0}, "4294967297:1": {1, 1},
	} {
		if from, to, ok := dumbInitRewrite(s); !ok || (from != want[0]) || to != want[1] {
			t.Errorf("%q: got %d, %d, %v, want %v", s, from, to, ok, want)
		}
	}
	for _, s := range []string{
		"", ":", "1", "1:", ":1", "1 :2", "0:1", "32:1", "1:32", "-1:1", "1:-1", "TERM:INT", "x:1", "1:x", "0x1:2", "99999999999999999999:1",
	} {
		if from, to, ok := dumbInitRewrite(s); ok {
			t.Errorf("%q: got %d, %d, want an error", s, from, to)
		}
	}
}

func TestDumbInitEnvironment(t *testing.T) {
	for _, test := range []struct {
		debug, setsid    string
		verbose, session bool
	}{
		{"", "", false, true},
		{"0", "1", false, true},
		{"yes", "no", false, true},
		{"", "0", false, false},
		{"1", "", true, true},
	} {
		t.Setenv("DUMB_INIT_DEBUG", test.debug)
		t.Setenv("DUMB_INIT_SETSID", test.setsid)
		o := dumbInitOptions{session: true}
		o.environment()
		if o.verbose != test.verbose || o.session != test.session {
			t.Errorf("DUMB_INIT_DEBUG=%s DUMB_INIT_SETSID=%s: %+v", test.debug, test.setsid, o)
		}
	}
}

func TestDumbInitStopsOnTerminalSignals(t *testing.T) {
	o := dumbInitOptions{rewrite: rewrites{unix.SIGTSTP: unix.SIGTSTP, unix.SIGTTIN: 0, unix.SIGTERM: unix.SIGINT}}
	o.stopOnTerminalSignals()
	want := rewrites{
		unix.SIGTSTP: unix.SIGTSTP, unix.SIGTTIN: 0, unix.SIGTERM: unix.SIGINT,
		unix.SIGTTOU: unix.SIGSTOP,
	}
	if !reflect.DeepEqual(o.rewrite, want) {
		t.Errorf("got %v, want %v", o.rewrite, want)
	}
}

var dumbInitEntry = regexp.MustCompile(`(?m)^   -\w, --\S+( s:r)?`)

func TestDumbInitCommandLine(t *testing.T) {
	for _, args := range [][]string{{"-h"}, {"--help"}, {"--h"}, {"-vh", "-Z"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			peerCase{args: args}.sameUsage(t, "dumb-init", dumbInitEntry)
		})
	}
	for _, args := range [][]string{
		{},
		{"-V"},
		{"--version"},
		{"--vers"},
		{"-V", "-Z"},
		{"-c"},
		{"--"},
		{"-v", "--"},
		{"-Z"},
		{"-cZ", "true"},
		{"-é"},
		{"-:"},
		{"-c-v"},
		{"-W", "foo"},
		{"--foo"},
		{"--foo=1"},
		{"---verbose"},
		{"--Verbose"},
		{"--verbosee"},
		{"--ve"},
		{"--ver"},
		{"--v"},
		{"--=x"},
		{"--v=1"},
		{"--verb=1", "true"},
		{"--single-child=", "true"},
		{"--version=1"},
		{"-r"},
		{"-vr"},
		{"--rewrite"},
		{"--re"},
		{"-r", "", "true"},
		{"--rewrite=", "true"},
		{"-r", "32:1", "true"},
		{"-r", "1:32", "true"},
		{"-r", "0:0", "true"},
		{"-r", "TERM:INT", "true"},
		{"-r", "1:2:3", "true"},
		{"--r=1:2", "--", "true"},
		{"-c", "true"},
		{"--sing", "false"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) { peerCase{args: args}.same(t, "dumb-init") })
	}
}

func TestDumbInitExitStatus(t *testing.T) {
	for _, text := range []string{"exit 0", "exit 3", "exit 255", "kill -TERM $$", "kill -KILL $$"} {
		for _, options := range [][]string{nil, {"-c"}} {
			t.Run(strings.Join(append(options, text), " "), func(t *testing.T) {
				peerScript(t, options, text).same(t, "dumb-init")
			})
		}
	}
}

func TestDumbInitCannotExecute(t *testing.T) {
	cannotExecute(t, "dumb-init")
	cannotExecute(t, "dumb-init", "-c")
}

// Of the terminal and of its own loop dumb-init says more.
func TestDumbInitDebug(t *testing.T) {
	inner := regexp.MustCompile(`(?m)^\[dumb-init\] (Unable to attach|setsid complete|Received|Translating|Not forwarding|Forwarded signal).*\n`)
	for _, test := range []peerCase{
		peerScript(t, []string{"-v"}, "exit 3"),
		peerScript(t, []string{"-v", "-c"}, "exit 3"),
		peerScript(t, []string{"-v"}, "kill -KILL $$"),
		peerScript(t, []string{"-v", "-r", "15:3"}, "exit 0"),
		peerScript(t, []string{"-v", "-r", "15:0"}, "exit 0"),
		{args: []string{"true"}, env: []string{"DUMB_INIT_DEBUG=1"}},
		{args: []string{"true"}, env: []string{"DUMB_INIT_DEBUG=1", "DUMB_INIT_SETSID=0"}},
		{args: []string{"-v", "true"}, env: []string{"DUMB_INIT_DEBUG=0", "DUMB_INIT_SETSID=0"}},
	} {
		t.Run(strings.Join(append(test.env, test.args...), " "), func(t *testing.T) {
			real, ours := test.both(t, "dumb-init")
			for _, text := range []*string{&real.stderr, &ours.stderr} {
				*text = inner.ReplaceAllString(*text, "")
			}
			differ(t, real, ours)
		})
	}
}

func TestDumbInitCommandState(t *testing.T) {
	for _, options := range [][]string{nil, {"-c"}} {
		t.Run(strings.Join(options, " "), func(t *testing.T) {
			t.Run("usual", func(t *testing.T) { stateOf(t, "dumb-init", peerCase{args: options}) })
			t.Run("terminal", func(t *testing.T) {
				stateOf(t, "dumb-init", peerCase{args: options, terminal: true})
			})
			t.Run("unusual", func(t *testing.T) {
				stateOf(t, "dumb-init", peerCase{args: options, around: unusual(t)})
			})
		})
	}
}

// dumb-init itself leaves the directory that it was started in, its command
// does not.
func TestDumbInitWorkingDirectory(t *testing.T) {
	i := peerScript(t, nil, `pwd; exec "$D/signals"`)
	i.play = func(r *peerRun) {
		r.line("/")
		r.line("ready")
		r.signal(unix.SIGUSR1)
		r.line("SIGUSR1")
		dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", r.cmd.Process.Pid))
		if err != nil || dir != "/" {
			t.Errorf("%s is in %s (%v), want /", r.cmd.Path, dir, err)
		}
		r.signal(unix.SIGTERM)
	}
	i.same(t, "dumb-init")
}

func TestDumbInitDescriptors(t *testing.T) {
	peerCase{args: []string{"ls", "/proc/self/fd"}}.same(t, "dumb-init")
}

func TestDumbInitForwards(t *testing.T) {
	for _, options := range [][]string{nil, {"-c"}} {
		i := peerScript(t, options, `exec "$D/signals"`)
		i.play = forwards
		i.same(t, "dumb-init")
	}
}

func TestDumbInitForwardsToGroup(t *testing.T) {
	i := peerScript(t, nil, `"$D/signals" & exec "$D/signals"`)
	i.play = toGroup
	i.same(t, "dumb-init")
}

func TestDumbInitSingleChild(t *testing.T) {
	for _, env := range []string{"", "DUMB_INIT_SETSID=0"} {
		options := []string{"-c"}
		if env != "" {
			options = nil
		}
		i := peerScript(t, options, `"$D/signals" & read go; exec "$D/signals"`)
		i.env = append(i.env, env)
		i.play = toCommandOnly
		i.same(t, "dumb-init")
	}
}

func TestDumbInitRewrites(t *testing.T) {
	i := peerScript(t, []string{"-r", "10:12", "--rewrite", "1:0", "-r", "2:15"}, `exec "$D/signals"`)
	i.play = func(r *peerRun) {
		r.line("ready")
		r.signal(unix.SIGUSR1)
		r.line("SIGUSR2")
		r.signal(unix.SIGHUP)
		r.signal(unix.SIGQUIT)
		r.line("SIGQUIT")
		r.signal(unix.SIGINT)
		r.line("SIGTERM")
	}
	i.same(t, "dumb-init")
}

// What the command leaves in its process group gets SIGTERM, or what SIGTERM
// is rewritten to.
func TestDumbInitEndsOrphans(t *testing.T) {
	i := peerScript(t, nil, `"$D/signals" & read go; exit 3`)
	i.play = func(r *peerRun) {
		r.line("ready")
		r.write("\n")
		r.line("SIGTERM")
	}
	i.same(t, "dumb-init")

	i = peerScript(t, []string{"-r", "15:10"}, `"$D/signals" & read go; exit 3`)
	i.play = func(r *peerRun) {
		r.line("ready")
		r.write("\n")
		r.line("SIGUSR1")
		r.wait()
		r.release()
		r.line("released")
	}
	i.same(t, "dumb-init")
}

func TestDumbInitSingleChildLeavesOrphans(t *testing.T) {
	i := peerScript(t, []string{"-c"}, `"$D/signals" & read go; exit 3`)
	i.play = func(r *peerRun) {
		r.line("ready")
		r.write("\n")
		r.wait()
		r.release()
		r.line("released")
	}
	i.same(t, "dumb-init")
}

// A terminal's stop signals stop dumb-init too, until SIGCONT. What the
// command gets is SIGSTOP, which it cannot see, or the signal itself where
// there is no session or it was rewritten so.
func TestDumbInitSuspends(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU} {
		for _, options := range [][]string{nil, {"-c"}, {"-r", "20:20", "-r", "21:21", "-r", "22:22"}} {
			t.Run(strings.Join(append(options, unix.SignalName(sig)), " "), func(t *testing.T) {
				i := peerScript(t, options, `exec "$D/signals"`)
				i.play = func(r *peerRun) {
					r.line("ready")
					r.signal(sig)
					var status unix.WaitStatus
					if _, err := unix.Wait4(r.cmd.Process.Pid, &status, unix.WUNTRACED, nil); err != nil {
						t.Fatal(err)
					}
					if !status.Stopped() || status.StopSignal() != unix.SIGSTOP {
						t.Fatalf("%s: %s gave status %#x, want it stopped by SIGSTOP", r.cmd.Path, unix.SignalName(sig), status)
					}
					if options != nil {
						r.line(unix.SignalName(sig))
					}
					r.signal(unix.SIGCONT)
					r.line("SIGCONT")
					r.signal(unix.SIGTERM)
					r.line("SIGTERM")
				}
				i.same(t, "dumb-init")
			})
		}
	}
}

func TestDumbInitTerminal(t *testing.T) {
	for _, options := range [][]string{nil, {"-c"}} {
		i := peerScript(t, options, `exec "$D/signals"`)
		i.terminal = true
		i.play = terminalSignals
		if options != nil {
			// The keys' signals would reach the command twice: in the
			// terminal's group, and forwarded.
			i.play = func(r *peerRun) {
				r.line("ready")
				r.signal(unix.SIGTERM)
				r.line("SIGTERM")
			}
		}
		i.same(t, "dumb-init")
	}
}

func TestDumbInitPID1(t *testing.T) { asPID1(t, "dumb-init") }
