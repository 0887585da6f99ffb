//go:build vm

package vm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/rogpeppe/go-internal/txtar"
)

// A scenario is one file of testdata.
type scenario struct {
	noisy  bool     // it measures, and may be wrong now and then
	expect []string // expressions, each to be true
	report []string // expressions, told with the results and not judged by
	qemu   []string // arguments
	tests  []string // packages whose compiled tests lie in /app
	mains  []string // packages whose programs lie in /app
	debian []string // Debian's packages in /disk/debian
	files  []txtar.File
}

func parseScenario(src []byte) (*scenario, error) {
	a := txtar.Parse(src)
	s := &scenario{files: a.Files}
	for line := range strings.Lines(string(a.Comment)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case word == "" || strings.HasPrefix(word, "#"):
		case word == "noisy" && rest == "":
			s.noisy = true
		case word == "expect":
			s.expect = append(s.expect, rest)
		case word == "report":
			s.report = append(s.report, rest)
		case word == "qemu":
			s.qemu = append(s.qemu, strings.Fields(rest)...)
		case word == "test":
			s.tests = append(s.tests, rest)
		case word == "program":
			s.mains = append(s.mains, rest)
		case word == "debian":
			s.debian = append(s.debian, strings.Fields(rest)...)
		default:
			return nil, fmt.Errorf("%q: want #, noisy, expect, report, qemu, test, program or debian", strings.TrimSpace(line))
		}
	}
	if len(s.expect) == 0 {
		return nil, fmt.Errorf("it expects nothing")
	}
	return s, nil
}

// results are what the guest printed to be judged by: names, then values.
type results map[string]map[string]any

func parseResults(printed []byte) (results, error) {
	r := results{}
	for line := range bytes.Lines(printed) {
		rest, ok := bytes.CutPrefix(line, []byte("RESULT "))
		if _, told, found := bytes.Cut(line, []byte("| RESULT ")); found {
			rest, ok = told, true // out of a container
		}
		if !ok {
			continue
		}
		name, text, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" "))
		values := map[string]any{}
		if err := json.Unmarshal(text, &values); err != nil {
			return nil, fmt.Errorf("%s: %w", bytes.TrimSpace(line), err)
		}
		r[string(name)] = values
	}
	return r, nil
}

// judge returns what is wrong with the results, in words.
func (s *scenario) judge(r results) []string {
	var wrong []string
	for name, values := range r {
		if late, ok := values["late"]; ok {
			wrong = append(wrong, fmt.Sprintf("%s: waited in vain for %v", name, late))
		}
		if during, ok := values["ended"]; ok {
			wrong = append(wrong, fmt.Sprintf("%s ended while waiting for %v", name, during))
		}
	}
	for _, e := range append(s.expect, "guest.exit == 0") {
		if holds, err := r.eval(e); err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", e, err))
		} else if holds != true {
			wrong = append(wrong, "not so: "+e)
		}
	}
	return wrong
}

// eval evaluates an expression over the results, with MiB for sizes.
func (r results) eval(e string) (any, error) {
	env := map[string]any{"MiB": 1 << 20}
	for name, values := range r {
		env[name] = values
	}
	return expr.Eval(e, env)
}

// String is a line for each name; lists and objects are left out.
func (r results) String() string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r)) {
		fmt.Fprintf(&text, "\n%s", name)
		for _, key := range slices.Sorted(maps.Keys(r[name])) {
			switch v := r[name][key].(type) {
			case map[string]any, []any:
			case float64:
				fmt.Fprintf(&text, " %s=%s", key, strconv.FormatFloat(v, 'f', -1, 64))
			default:
				fmt.Fprintf(&text, " %s=%v", key, v)
			}
		}
	}
	return text.String()
}
