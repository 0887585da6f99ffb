//go:build container

package container

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTruth is the truth test on Docker's cgroup v1: what MEM_AVAILABLE promises is
// what a process gets that takes memory until it is killed or refused. test/truth
// says how; the rows on cgroup v2 are test/vm's.
func TestTruth(t *testing.T) {
	visible := []string{"--volume", "/sys/fs/cgroup:/sys/fs/cgroup:ro"} // every level, as the host has them
	for i, row := range []struct {
		name, place, limit string
		flags              []string
		steps              string
	}{ // v1 tells no reclaimable slab, so that "files" is promised too little
		{"plain", "nothing else", "128m", nil, ""},
		{"clean", "page cache full, clean", "128m", nil, "-write 256M:/file -sync /file -read 1:/file"},
		{"dirty", "page cache full, dirty", "128m", nil, "-write 256M:/file"},
		{"active", "much active file cache", "128m", nil, "-write 80M:/file -sync /file -read 4:/file"},
		{"tmpfs", "shared memory", "128m", []string{"--shm-size", "64m"}, "-write 40M:/dev/shm/file"},
		{"locked", "file cache locked by mlock", "128m", []string{"--cap-add", "IPC_LOCK"}, "-write 40M:/file -sync /file -lock /file"},
		{"files", "many small files", "128m", nil, "-files 40000:/files"},
		{"hidden", "parent tighter, out of sight", "128m", []string{"--cgroup-parent", parent(t, "hidden", "100663296")}, ""},
		{"parent", "parent tighter", "128m", append([]string{"--cgroup-parent", parent(t, "parent", "100663296")}, visible...), ""},
		{"sibling", "a sibling uses the parent", "128m", append([]string{"--cgroup-parent", parent(t, "sibling", "201326592")}, visible...), ""},
		{"as", "RLIMIT_AS", "2g", nil, "-as 1400M"},
		{"data", "RLIMIT_DATA", "256m", nil, "-data 160M"},
		{"huge", "transparent huge pages", "128m", nil, "-huge"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.name == "sibling" {
				beside := start(t, &truthImage, append(memory("128m"), "--cgroup-parent", "/memsup-test/sibling"), "holder", "anon", "100M", "")
				beside.await(1, "held")
			}
			words := append([]string{"measure", "-layer", "cgroup v1 (Docker)", "-name", row.name, "-place", row.place}, strings.Fields(row.steps)...)
			// While the taker dies the kernel may find the one who counts at a page
			// fault, and kill it too: then nobody tells, and another try is needed.
			var c *container
			for try := range 5 {
				c = start(t, &truthImage, append(memory(row.limit), row.flags...), words...)
				if code := c.wait(); code == 0 {
					break
				} else if code != 137 || try == 4 {
					t.Fatalf("exit status %d", code)
				}
			}
			line := c.await(1, "^TRUTH ")
			if dir := os.Getenv("MEMSUP_TRUTH"); dir != "" {
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("docker-%02d", i)), []byte(line+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var verdict struct{ Near, Honest, Nearest bool }
			text := strings.TrimPrefix(c.await(1, "^VALUE "), "VALUE ")
			if err := json.Unmarshal([]byte(text), &verdict); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if !verdict.Near && row.name != "files" || !verdict.Honest || !verdict.Nearest {
				t.Errorf("%+v: %s", verdict, line)
			} else {
				t.Log(line)
			}
		})
	}
}

// parent makes a memory cgroup of v1 for containers to be in, with a limit, and
// returns its path in the hierarchy.
func parent(t *testing.T, name, limit string) string {
	t.Helper()
	if unusable != "" {
		t.Skip(unusable)
	}
	path := "/memsup-test/" + name
	dir := "/sys/fs/cgroup/memory" + path
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, d := range []string{dir, filepath.Dir(dir)} {
			_ = os.Remove(d) // the last one takes the directory around with it
		}
	})
	if err := os.WriteFile(dir+"/memory.limit_in_bytes", []byte(limit), 0); err != nil {
		t.Fatal(err)
	}
	return path
}
