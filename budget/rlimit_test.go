package budget

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestRlimit runs itself as a child that limits itself.
func TestRlimit(t *testing.T) {
	const variable = "BUDGET_TEST_RLIMIT"
	if os.Getenv(variable) != "" {
		for resource, limit := range map[int]uint64{syscall.RLIMIT_AS: 1 << 44, syscall.RLIMIT_DATA: 1 << 43} {
			if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: limit, Max: 1 << 45}); err != nil {
				t.Fatal(err)
			}
		}
		n, ok := Rlimit()
		fmt.Println("rlimit", n, ok)
		os.Exit(0)
	}
	if n, ok := rlimit(syscall.RLIMIT_AS); ok && n < 1<<45 {
		t.Skipf("RLIMIT_AS is %d here", n)
	}
	c := exec.Command(os.Args[0], "-test.run=^TestRlimit$")
	c.Env = append(os.Environ(), variable+"=1")
	out, err := c.CombinedOutput()
	if want := fmt.Sprintln("rlimit", int64(1<<43), true); err != nil || string(out) != want {
		t.Errorf("got %q, %v, want %q", out, err, want)
	}
}
