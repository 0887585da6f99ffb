package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/memsup/memsup/supervisor"
)

// Every form of an address, and every option.
func TestListen(t *testing.T) {
	longest := "unix:///" + strings.Repeat("x", longestPath-1)
	for _, test := range []struct {
		listen string
		want   []supervisor.Socket
	}{
		{`"tcp://0.0.0.0:$PORT"`, []supervisor.Socket{{Address: "tcp://0.0.0.0:8080"}}},
		{`"tcp://:${PORT}"`, []supervisor.Socket{{Address: "tcp://:8080"}}},
		{`"tcp://[::]:80"`, []supervisor.Socket{{Address: "tcp://[::]:80"}}},
		{`"tcp://[fe80::1%eth0]:80"`, []supervisor.Socket{{Address: "tcp://[fe80::1%eth0]:80"}}},
		{`"tcp://localhost:80"`, []supervisor.Socket{{Address: "tcp://localhost:80"}}},
		{`"tcp://:80?v6only=true&reuseport=on&backlog=7"`, []supervisor.Socket{{Address: "tcp://:80", V6Only: true, ReusePort: true, Backlog: 7}}},
		{`"tcp://:80?v6only=false"`, []supervisor.Socket{{Address: "tcp://:80"}}},
		{`"unix:///run/web.sock"`, []supervisor.Socket{{Address: "unix:///run/web.sock", Mode: 0o666}}},
		{`"unix:///run//x/../$PORT.sock?mode=600&name=ad-min.1"`, []supervisor.Socket{{Address: "unix:///run/8080.sock", Mode: 0o600, Name: "ad-min.1"}}},
		{`"` + longest + `"`, []supervisor.Socket{{Address: longest, Mode: 0o666}}},
		{`["tcp://:1", "unix:///a?mode=0", "tcp://:2"]`, []supervisor.Socket{
			{Address: "tcp://:1"}, {Address: "unix:///a"}, {Address: "tcp://:2"},
		}},
	} {
		writeFiles(t, map[string]string{"Procfile": "web: cat\n", "memsup.toml": "[web]\nlisten = " + test.listen + "\n"})
		if got := load(t, "--port", "8080").Types[0].Listen; !slices.Equal(got, test.want) {
			t.Errorf("%s\ngot  %+v\nwant %+v", test.listen, got, test.want)
		}
	}
}

// Addresses are in each other's way only where their types run together.
func TestListenOfTypesThatDoNotRun(t *testing.T) {
	writeFiles(t, map[string]string{
		"Procfile":    "web: cat\nother: cat\n",
		"memsup.toml": "[web]\nlisten = \"tcp://:80\"\n[other]\nlisten = \"tcp://:80\"\n",
	})
	if got := load(t, "other").Types; len(got) != 1 || got[0].Listen[0].Address != "tcp://:80" {
		t.Errorf("got %+v", got)
	}
	inv, _ := parseRun(nil)
	if _, err := inv.load(); err == nil || !strings.HasPrefix(err.Error(), "memsup.toml:4:10: ") {
		t.Errorf("both together: %v", err)
	}
}
