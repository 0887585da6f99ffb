package policy

import (
	"strings"
	"testing"
)

// TestRenew: one of three workers is old and keeps more than a new one, and the reserve
// is not free. What else is there may speak against replacing it.
func TestRenew(t *testing.T) {
	const before = `reserve 10%
type web 1..3
limit 512MiB
free 300MiB
wanted web 3
web.1 ready cost=40MiB
web.2 ready cost=40MiB
web.3 ready cost=40MiB
until 6m every 5s

web.1 cost=70MiB
free 250MiB
until 42m every 5s

`
	const recycle, down = "recycle web.1: 48.0 MiB available, under the reserve", "down web"
	for what, test := range map[string]struct{ given, want string }{
		"nothing":                       {"free 48MiB\nuntil 43m every 1s", recycle},
		"no limit":                      {"unlimited\nfree 48MiB\nuntil 43m every 1s", ""},
		"soon over":                     {"free 48MiB\nuntil 42m9s every 1s\n\nfree 60MiB\nuntil 43m every 1s", ""},
		"memory goes":                   {"free 60MiB\nuntil 43m every 1s free -1MiB/s", down},
		"of a release before":           {"type web 1..3 release=2\nfree 48MiB\nuntil 43m every 1s", ""},
		"a kill that nobody explains":   {"free 48MiB\nuntil 42m8s every 1s\n\nkills 1\nuntil 43m every 1s", down},
		"new ones come to as much":      {"web.3 gone\nuntil 42m5s every 5s\n\nweb.3 ready cost=40MiB\nuntil 44m every 5s\n\nweb.3 cost=68MiB\nuntil 54m every 5s\n\nfree 48MiB\nuntil 55m every 1s", ""},
		"a long request":                {"web.1 cost=44MiB\nuntil 70m every 5s\n\nweb.1 cost=100MiB\nfree 44MiB\nuntil 72m every 1s", ""},
		"others are asked to stop then": {"web.2 stopping\nfree 48MiB\nuntil 43m every 1s", ""},
	} {
		t.Run(what, func(t *testing.T) {
			got := newTranscript(t).run(before + test.given)
			_, got, _ = strings.Cut(got, "until 42m every 5s")
			if test.want != "" && !strings.Contains(got, test.want) || test.want != recycle && strings.Contains(got, "recycle") ||
				test.want == "" && strings.Contains(got, down) {
				t.Errorf("want %q, got %s", test.want, got)
			}
		})
	}
}
