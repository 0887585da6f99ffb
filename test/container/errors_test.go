//go:build container

package container

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// Whatever is wrong with what memsup was given, it says where, in one error,
// exits with the contract's status, and has started nothing.
func TestErrors(t *testing.T) {
	t.Parallel()
	const procfile = "web: echo started; sleep 100\nworker: echo started; sleep 100\n"
	const here = "web: echo started"
	for name, test := range map[string]struct {
		procfile, toml string
		words          []string
		code           int
		says           string
	}{
		"bad Procfile":         {procfile: here + "\nno colon here\n", code: 2, says: `Procfile:2:\d+: `},
		"no Procfile":          {code: 2, says: `Procfile`},
		"bad TOML":             {procfile: procfile, toml: "[web]\nworkers = = 2\n", code: 2, says: `memsup\.toml:2:\d+: `},
		"unknown key":          {procfile: procfile, toml: "[web]\nworkerz = \"2\"\n", code: 2, says: `memsup\.toml:2:\d+: .*workerz`},
		"unknown flag":         {procfile: procfile, words: []string{"--nonsense"}, code: 2, says: `--nonsense`},
		"unknown type":         {procfile: procfile, words: []string{"gunicorn"}, code: 2, says: `gunicorn.*--`},
		"nothing after --":     {procfile: procfile, words: []string{"--"}, code: 2, says: `command`},
		"missing command":      {words: []string{"--", "nosuch"}, code: 127, says: `nosuch`},
		"cannot be executed":   {words: []string{"--", "/etc/passwd"}, code: 126, says: `/etc/passwd`},
		"port out of range":    {procfile: procfile, words: []string{"--port", "65500"}, code: 2, says: `worker.*65600|65600.*worker|port`},
		"minimum over maximum": {procfile: procfile, words: []string{"--scale", "web=5..2"}, code: 2, says: `--scale.*minimum 5.*maximum 2`},
		"nobody answers":       {procfile: procfile, words: []string{"status"}, code: 3, says: `memsup`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "Procfile", test.procfile)
			write(t, dir, "memsup.toml", test.toml)
			c := start(t, &workersImage, []string{"--volume", dir + ":/app:ro"}, test.words...)
			if code := c.wait(); code != test.code {
				t.Errorf("exit status %d, want %d", code, test.code)
			}
			if !slices.ContainsFunc(c.err(), regexp.MustCompile("^memsup: .*("+test.says+")").MatchString) {
				t.Errorf("no line `memsup: …` that says %q", test.says)
			}
			if out := c.out(); len(out) != 0 {
				t.Errorf("started something: %q", out)
			}
		})
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if text == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
