//go:build vm

package vm

import "testing"

// What a guest printed is taken for well only where everything expected was
// told and is so.
func TestJudge(t *testing.T) {
	s, err := parseScenario([]byte("# Why.\nexpect pod.oom_kill == 0 && pod.web_ready >= 2\n-- run --\n"))
	if err != nil {
		t.Fatal(err)
	}
	const off = "RESULT guest {\"exit\":0}\n"
	for printed, well := range map[string]bool{
		"RESULT pod {\"oom_kill\":0,\"web_ready\":2}\n" + off:                      true,
		"pod| RESULT pod {\"oom_kill\":0,\"web_ready\":2}\n" + off:                 true,
		"RESULT pod {\"oom_kill\":1,\"web_ready\":2}\n" + off:                      false,
		"RESULT pod {\"oom_kill\":0}\n" + off:                                      false,
		"RESULT pod {\"oom_kill\":0,\"web_ready\":2,\"late\":\"x=1\"}\n" + off:     false,
		"RESULT pod {\"oom_kill\":0,\"web_ready\":2,\"ended\":\"x=1\"}\n" + off:    false,
		"RESULT pod {\"oom_kill\":0,\"web_ready\":2}\nRESULT guest {\"exit\":1}\n": false,
		"RESULT pod {\"oom_kill\":0,\"web_ready\":2}\n":                            false,
		off: false,
	} {
		r, err := parseResults([]byte(printed))
		if err != nil {
			t.Errorf("%q: %v", printed, err)
		} else if wrong := s.judge(r); (len(wrong) == 0) != well {
			t.Errorf("%q: %q, want well %v", printed, wrong, well)
		}
	}
	for _, src := range []string{"# Nothing is expected.\n", "expects 1 == 1\n"} {
		if _, err := parseScenario([]byte(src)); err == nil {
			t.Errorf("%q: no error", src)
		}
	}
}
