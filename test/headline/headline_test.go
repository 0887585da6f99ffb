package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const wrkSays = `Running 3s test @ http://127.0.0.1:8080/
  1 threads and 16 connections
tick 1795682059 282 0
tick 1795682061 457 3
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    26.05ms   19.94ms 287.55ms   86.97%
  739 requests in 3.00s, 249.59MB read
  Socket errors: connect 1, read 2, write 0, timeout 4
done requests=739 duration_us=3000000 connect=1 read=2 write=0 timeout=4 status=3 p50_us=21021 p99_us=97848 max_us=287550
`

func TestParseReport(t *testing.T) {
	got, err := parseReport(strings.NewReader(wrkSays))
	if err != nil {
		t.Fatal(err)
	}
	want := &report{
		Requests: 739, Micros: 3000000, Connect: 1, Read: 2, Timeout: 4, Status: 3, P50: 21021, P99: 97848, Max: 287550,
		Answers: []answers{{Second: 0, Good: 282}, {Second: 2, Good: 454, Bad: 3}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got.failed() != 10 {
		t.Errorf("%d failed, want 10", got.failed())
	}
	if rate := got.rate(); int(rate*10) != 2453 {
		t.Errorf("%v good answers a second, want 736 in three", rate)
	}
	for _, text := range []string{"", "Running 3s test\ntick 1 2 0\n", "done requests=1 duration_us=5\n", strings.Replace(wrkSays, "3000000", "0", 1)} {
		if r, err := parseReport(strings.NewReader(text)); err == nil {
			t.Errorf("%q is %+v, want an error", text, r)
		}
	}
}

// some is a result with so many requests in ten seconds.
func some(name string, requests int, p99 int64) *result {
	return &result{
		Name: name, Taken: "2026-11-26T08:00:00Z", Asked: 10,
		Report:  &report{Requests: requests, Micros: 10e6, P99: p99, Answers: []answers{{0, 30, 0}, {1, 40, 0}, {6, 20, 1}, {12, 9, 0}}},
		Samples: []look{{Second: 0, Bytes: 100 << 20}, {Second: 1, Bytes: 300 << 20}, {Second: 2, Bytes: 200 << 20}},
	}
}

func TestVerdict(t *testing.T) {
	fast := some("fixed", 9000, 10000)
	fast.Kills = 1
	good, slow := some("max-requests", 4000, 100000), some("uwsgi", 3000, 50000)
	for _, row := range []struct {
		what   string
		change func(*result)
		want   string
	}{
		{"at both bounds", func(*result) {}, "reached"},
		{"slower", func(r *result) { r.Report.Requests-- }, "**missed**: 0.95 × the requests"},
		{"a longer tail", func(r *result) { r.Report.P99++ }, "**missed**: 1.1 × the p99"},
		{"a kill", func(r *result) { r.Kills = 1 }, "**missed**: no kill"},
		{"a container that ended", func(r *result) { r.Ended = "exit status 137" }, "**missed**: no kill"},
		{"failed requests", func(r *result) { r.Report.Read = 1; r.Report.Requests++ }, "**missed**: no failed request"},
	} {
		ours := some("memsup-signal", 3800, 110000)
		row.change(ours)
		results := []*result{fast, good, slow, ours}
		to := best(results)
		if to != good {
			t.Fatalf("the best is %v, want the fastest that lost nothing", to)
		}
		c, _ := named(ours.Name)
		if got := verdict(ours, c, to); got != row.want {
			t.Errorf("%s: %s, want %s", row.what, got, row.want)
		}
	}
	ours := some("memsup-process", 1, 1e9)
	c, _ := named(ours.Name)
	if to := best([]*result{fast, ours}); to != nil {
		t.Errorf("the best is %v, where all others lost something", to)
	}
	if got := verdict(ours, c, nil); got != "reached" {
		t.Errorf("alone without a loss: %s, want reached", got)
	}
}

func TestTable(t *testing.T) {
	killed := some("fixed", 9000, 10000)
	killed.Kills, killed.Report.Read = 2, 7
	text := table([]*result{killed, some("max-requests", 4000, 100000), some("memsup-signal", 4400, 90000)})
	for _, want := range []string{
		"× is beside gunicorn, 8 workers, max-requests 5000, the fastest",
		"| gunicorn, 8 workers | 7 | 2 | 900 · 2.25 × | 10 · 0.10 × | 300 | – |\n",
		"| gunicorn, 8 workers, max-requests 5000 | 0 | 0 | 400 | 100 | 300 | – |\n",
		"| memsup, gunicorn's master keeps the workers | 0 | 0 | 440 · 1.10 × | 90 · 0.90 × | 300 | reached |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
}

func TestBetween(t *testing.T) {
	file := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(file, []byte("a\n"+begin+"old\n"+end+"z\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"new\n", "newer\n"} {
		if err := between(file, text, ""); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if want := "a\n" + begin + text + end + "z\n"; err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if err := between(file, "t\n", filepath.Join(filepath.Dir(file), "docs", "a.svg")); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || !strings.Contains(string(got), "t\n\n![Memory and requests a second of each, over the time](docs/a.svg)\n"+end) {
		t.Errorf("got %q, %v, want the chart below the table", got, err)
	}
	if err := os.WriteFile(file, []byte(begin), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := between(file, "x\n", ""); err == nil {
		t.Error("a file without the end's mark was written")
	}
}

// What one run kept another finds, unless it was of another length.
func TestKept(t *testing.T) {
	dir := t.TempDir()
	kept, other := some("uwsgi", 10, 10), some("fixed", 10, 10)
	other.Asked = 60
	for _, r := range []*result{kept, other} {
		if err := r.save(dir); err != nil {
			t.Fatal(err)
		}
	}
	results, missing, err := load(dir, 10*time.Second)
	if err != nil || len(results) != 1 || !reflect.DeepEqual(results[0], kept) {
		t.Errorf("got %v, %v", results, err)
	}
	if len(missing) != len(contestants)-1 {
		t.Errorf("missing are %v", missing)
	}
	for range 2 {
		if err := forget(contestant{name: "uwsgi"}, dir); err != nil {
			t.Fatal(err)
		}
	}
	if results, _, err := load(dir, 10*time.Second); err != nil || len(results) != 0 {
		t.Errorf("got %v, %v after it was forgotten", results, err)
	}
}

func TestMemoryOf(t *testing.T) {
	for text, want := range map[string]cgroup{
		"11:memory:/docker/1a\n10:cpu,cpuacct:/docker/1a\n0::/x\n": {"/m/memory/docker/1a", []string{"total_rss", "total_shmem"}, "memory.oom_control"},
		"0::/system.slice/docker-1a.scope\n":                       {"/m/system.slice/docker-1a.scope", []string{"anon", "shmem"}, "memory.events"},
	} {
		if got, err := memoryOf(text, "/m", "f"); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	if got, err := memoryOf("3:cpu:/\n", "/m", "f"); err == nil {
		t.Errorf("got %v where there is no memory's cgroup", got)
	}
}

func TestChart(t *testing.T) {
	killed := some("fixed", 9000, 10000)
	killed.Samples[2].Kills = 1
	none := some("uwsgi", 0, 0)
	none.Report.Answers, none.Samples = nil, nil
	picture := chart([]*result{killed, none, some("memsup-signal", 4400, 90000)})
	lines := xml.NewDecoder(bytes.NewReader(picture))
	elements := map[string]int{}
	for {
		token, err := lines.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, picture)
		}
		if e, ok := token.(xml.StartElement); ok {
			elements[e.Name.Local]++
		}
	}
	// A limit each, and two lines of those that have figures; a kill, and a failed
	// request of each of these.
	if elements["polyline"] != 7 || elements["path"] != 3 {
		t.Errorf("%v, want 7 lines and 3 marks:\n%s", elements, picture)
	}
	want := []point{{2.5, 14}, {7.5, 4}}
	if got := means(killed.Report.Answers); !reflect.DeepEqual(got, want) {
		t.Errorf("means are %v, want %v", got, want)
	}
}
