package main

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/filewatch"
	"github.com/memsup/memsup/policy"
	"github.com/memsup/memsup/procfile"
	"github.com/memsup/memsup/supervisor"
)

// writeFiles makes a directory with these files the current one.
func writeFiles(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func load(t *testing.T, args ...string) *supervisor.Config {
	t.Helper()
	inv, ok := parseRun(append([]string{"run"}, args...))
	if !ok {
		t.Fatalf("%q is not run's", args)
	}
	c, err := inv.load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	writeFiles(t, map[string]string{"Procfile": "web: cat\n"})
	got := load(t, "--prefix", "off")
	got.Env, got.Reload = nil, nil
	want := &supervisor.Config{
		Types: []supervisor.Type{{
			Name: "web", Command: "cat", Range: procfile.Range{Min: 1, Max: 1}, Unscaled: true, Port: 5000,
			StopSignal: unix.SIGTERM, StartLimit: 5, StartPeriod: time.Minute,
		}},
		Version:        "devel",
		ReservePercent: 10,
		Grace:          8 * time.Second,
		Drain:          time.Minute,
		LogLevel:       "info",
		Subreaper:      true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

const wholeFile = `
reserve = "64MiB"
limit = 268435456
rewrite = ["TERM:QUIT", "USR1:0"]
remap_exit = 143
mode = "observe"
log_format = "json"
on_give_up = "leave"
subreaper = false
control = "off"
[limits]
files = 100
db = 20
[web]
workers  = "2..8"
memory   = "120MiB"
recycle  = "300MiB"
listen   = "tcp://0.0.0.0:$PORT"
ready    = "2s"
actuator = "process"
demand   = "backlog"
uses     = { db = 5 }
stop_signal = "INT"
drain    = "30s"
restart  = "on-failure"
start_limit = "3/10s"
priority = 10
env = { B = "1", "A" = "two" }
`

func TestWholeFile(t *testing.T) {
	writeFiles(t, map[string]string{"Procfile": "web: cat\n", "memsup.toml": wholeFile})
	got := load(t, "--prefix", "off", "--port", "8080")
	got.Env, got.Reload = nil, nil
	want := &supervisor.Config{
		Version: "devel",
		Types: []supervisor.Type{{
			Name: "web", Command: "cat", Range: procfile.Range{Min: 2, Max: 8}, Port: 8080,
			Priority: 10, Memory: 120 << 20, Recycle: 300 << 20, Listen: []supervisor.Socket{{Address: "tcp://0.0.0.0:8080"}},
			Ready: 2 * time.Second, StopSignal: unix.SIGINT, Drain: 30 * time.Second,
			Restart: supervisor.RestartOnFailure, StartLimit: 3, StartPeriod: 10 * time.Second,
			Env: []string{"B=1", "A=two"}, Demand: policy.Backlog, Uses: []int{0, 5}, StartFirst: true,
		}},
		Limits:        []policy.Limit{{Name: "files", Most: 100}, {Name: "db", Most: 20}},
		Observe:       true,
		Limit:         256 << 20,
		Reserve:       64 << 20,
		Grace:         8 * time.Second,
		Drain:         time.Minute,
		Control:       "off",
		LogLevel:      "info",
		LogJSON:       true,
		LeaveOnGiveUp: true,
		Remap:         []int{143},
		Rewrite:       map[unix.Signal]unix.Signal{unix.SIGTERM: unix.SIGQUIT, unix.SIGUSR1: 0},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Each option's example, and that of each key of a type, is accepted.
func TestExamples(t *testing.T) {
	writeFiles(t, map[string]string{"Procfile": "web: cat\nworker: cat\ndb: cat\nrelease: cat\n", ".env": ""})
	for _, opt := range options {
		if opt.example == "" || opt.name == "user" {
			continue
		}
		text := strings.ReplaceAll(opt.name, "-", "_") + " = " + opt.example + "\n"
		if err := os.WriteFile("memsup.toml", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		inv, _ := newInvocation()
		if _, err := inv.load(); err != nil {
			t.Errorf("%s: %v", strings.TrimSpace(text), err)
		}
	}
	for _, key := range typeKeys {
		if key.table || slices.Contains(ofThePlace, key.name) {
			continue
		}
		text := "[web]\n" + key.name + " = " + key.example + "\n"
		if key.name == "ready_timeout" {
			text += "ready = \"notify\"\n" // which it is for
		}
		if err := os.WriteFile("memsup.toml", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		inv, _ := newInvocation()
		if _, err := inv.load(); err != nil {
			t.Error(err)
		}
	}
}

// ofThePlace are the keys whose examples name what has to be there.
var ofThePlace = []string{"user", "group", "directory", "ambient_capabilities"}

// Each option can be a variable.
func TestVariables(t *testing.T) {
	for _, opt := range options {
		t.Run(opt.name, func(t *testing.T) {
			writeFiles(t, nil)
			t.Setenv(variableOf(opt.name), "value")
			v, ok := (&settings{}).get(opt.name)
			want := "MEMSUP_" + strings.ToUpper(strings.ReplaceAll(opt.name, "-", "_"))
			if !ok || v.text != "value" || v.from != want {
				t.Errorf("got %+v, %v; want the value of %s", v, ok, want)
			}
		})
	}
}

func TestEnvFile(t *testing.T) {
	writeFiles(t, map[string]string{"Procfile": "web: cat\n", ".env": "LOAD_A=1\nLOAD_B=file\nLOAD_A=2\n"})
	t.Setenv("LOAD_B", "process")
	for _, test := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"LOAD_B=process", "LOAD_A=2"}},
		{[]string{"--env-override"}, []string{"LOAD_B=file", "LOAD_A=2"}},
		{[]string{"--env-override=false"}, []string{"LOAD_B=process", "LOAD_A=2"}},
	} {
		var got []string
		for _, v := range load(t, test.args...).Env {
			if strings.HasPrefix(v, "LOAD_") {
				got = append(got, v)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%q: got %q, want %q", test.args, got, test.want)
		}
	}
}

func TestCommandMode(t *testing.T) {
	writeFiles(t, map[string]string{"memsup.toml": "[web]\nworkers = 4\n[main.env]\nA = \"b\"\n"})
	c := load(t, "--", "cat", "--fast")
	if c.Command == nil || c.Command.Bare {
		t.Errorf("command is %+v", c.Command)
	}
	if y := c.Types[0]; y.Restart != supervisor.RestartNever || y.Port != 0 || !slices.Equal(y.Argv, []string{"cat", "--fast"}) ||
		!slices.Equal(y.Env, []string{"A=b"}) {
		t.Errorf("type is %+v", y)
	}
	if c.Reload != nil {
		t.Error("a command that runs once has nothing to reload")
	}

	c = load(t, "--scale", "2..auto", "--", "cat")
	if y := c.Types[0]; c.Command != nil || y.Name != "main" || y.Range != (procfile.Range{Min: 2, Auto: true}) ||
		y.Port != 5000 || y.Restart != supervisor.RestartAlways {
		t.Errorf("scaled: command %+v, type %+v", c.Command, y)
	}

	// What the environment says of the Procfile's types is not for a command.
	t.Setenv("MEMSUP_SCALE", "web=2,all=3")
	if c = load(t, "--", "cat"); c.Command == nil {
		t.Error("scaled by all= of the environment")
	}
}

func TestReload(t *testing.T) {
	writeFiles(t, map[string]string{"Procfile": "web: cat\n"})
	c := load(t, "--grace", "3s")
	if err := os.WriteFile("Procfile", []byte("web: cat\nworker: cat\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	again, err := c.Reload()
	if err != nil || len(again.Types) != 2 || again.Grace != 3*time.Second {
		t.Errorf("got %+v, %v; want two types and the same grace", again, err)
	}
	if err := os.Remove("Procfile"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Reload(); err == nil {
		t.Error("no error where the Procfile is gone")
	}
}

func TestSubreaperFlags(t *testing.T) {
	writeFiles(t, map[string]string{"Procfile": "web: cat\n"})
	for _, test := range []struct {
		args []string
		want bool
	}{
		{nil, true},
		{[]string{"-s"}, true},
		{[]string{"--no-subreaper"}, false},
		{[]string{"--no-subreaper=false"}, true},
		{[]string{"--subreaper=off"}, false},
	} {
		if got := load(t, test.args...).Subreaper; got != test.want {
			t.Errorf("%q: got %v, want %v", test.args, got, test.want)
		}
	}
}

// Only what cannot be run's is left to the tree of subcommands.
func TestParseRun(t *testing.T) {
	for _, test := range []struct {
		args string
		want bool
	}{
		{"", true},
		{"-- true", true},
		{"-s -g -- true", true},
		{"run -- true", true},
		{"run status", true},
		{"--grace 8s", true},
		{"status", false},
		{"web", false},
		{"-f Procfile check", false},
		{"--help", false},
		{"run --help", false},
		{"--version", false},
		{"--foo -- true", false},
	} {
		if _, got := parseRun(strings.Fields(test.args)); got != test.want {
			t.Errorf("%q: got %v, want %v", test.args, got, test.want)
		}
	}
}

// A reload sees that an expression changed, and only then.
func TestExportText(t *testing.T) {
	text := func(export string) string {
		writeFiles(t, map[string]string{"Procfile": "web: cat\nworker: cat\n", "memsup.toml": "[export]\n" + export})
		c := load(t)
		if c.Types[0].ExportText != c.Types[1].ExportText {
			t.Errorf("%q of web, %q of worker", c.Types[0].ExportText, c.Types[1].ExportText)
		}
		return c.Types[0].ExportText
	}
	before := text(`A = "{MEM_LIMIT}"`)
	if again := text("# limit\nA = '{MEM_LIMIT}'"); again != before {
		t.Errorf("%q became %q with the same expression", before, again)
	}
	for _, other := range []string{`A = "{MEM_LIMIT }"`, `B = "{MEM_LIMIT}"`, "", `A = "{MEM_LIMIT}"` + "\nB = ''"} {
		if after := text(other); after == before {
			t.Errorf("%s: still %q", other, after)
		}
	}
	if text("A = 'x'\nB = 'y'") == text(`A = "x\nB=y"`) {
		t.Error("a newline in a text is taken for two texts")
	}
}

// FuzzConfig looks for a text that is neither read nor refused with its place.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(wholeFile))
	f.Add([]byte("[export]\nA = \"{MEM_LIMIT / MiB}{{\"\n"))
	f.Add([]byte("\"a[b\" = [1, 'x']\n[web.env]\né = 1\n"))
	f.Add([]byte("scale = [\"web=2\", 3]\n[[web]]\n"))
	place := regexp.MustCompile(`^memsup\.toml:[1-9]\d*:[1-9]\d*: .`)
	f.Fuzz(func(t *testing.T, src []byte) {
		file, err := parseConfig("memsup.toml", src)
		if err != nil {
			if !place.MatchString(err.Error()) {
				t.Fatalf("%q: error without a place: %v", src, err)
			}
			return
		}
		for i := range file.export {
			if _, err := compile(&file.export[i]); err != nil && !place.MatchString(err.Error()) {
				t.Fatalf("%q: error without a place: %v", src, err)
			}
		}
	})
}

// A directory named .env is no file of variables, unless it was asked for.
func TestEnvDirectory(t *testing.T) {
	writeFiles(t, map[string]string{"Procfile": "web: cat\n"})
	if err := os.Mkdir(".env", 0o755); err != nil {
		t.Fatal(err)
	}
	load(t)
	inv, _ := parseRun([]string{"--env-file", ".env"})
	if _, err := inv.load(); err == nil || !strings.HasPrefix(err.Error(), "--env-file: read .env: ") {
		t.Errorf("got %v; want an error that names --env-file", err)
	}
}

// A whole number is written as TOML has it: underscores, and other bases.
func TestTOMLNumbers(t *testing.T) {
	writeFiles(t, map[string]string{
		"Procfile":    "web: cat\n",
		"memsup.toml": "port = 0x1388\nreserve = 100_000_000\n[limits]\ndb = 2_0\n[web]\npriority = 0b11\n",
	})
	got := load(t, "--prefix", "off")
	if got.Types[0].Port != 5000 || got.Reserve != 100_000_000 || got.Limits[0].Most != 20 || got.Types[0].Priority != 3 {
		t.Errorf("got %+v", got)
	}
}

// What is watched are the files that were read, and those that may come.
func TestWatchedFiles(t *testing.T) {
	writeFiles(t, map[string]string{"Procfile.dev": "web: cat\n", "memsup.toml": "watch_files = true\nprocfile = \"Procfile.dev\"\n"})
	sum := func(path string) (f filewatch.File) {
		text, err := os.ReadFile(path)
		if f.Path = path; err == nil {
			f.Sum = filewatch.SumOf(text)
		}
		return f
	}
	want := []filewatch.File{sum("memsup.toml"), sum("Procfile.dev"), {Path: ".env"}}
	if got := load(t).Watch; !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if err := os.Mkdir(".env", 0o755); err != nil { // Python's
		t.Fatal(err)
	}
	if got := load(t).Watch; !slices.Equal(got, want) {
		t.Errorf("with a directory .env: got  %v\nwant %v", got, want)
	}
	if got := load(t, "--watch-files=false").Watch; got != nil {
		t.Errorf("without the flag: %v", got)
	}
}
