package supervisor

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestChildrenOf(t *testing.T) {
	if _, err := os.Stat("/proc/self/task/" + fmt.Sprint(os.Getpid()) + "/children"); err != nil {
		t.Skip("the kernel has no CONFIG_PROC_CHILDREN: ", err)
	}
	cmd := exec.Command("sh", "-c", "exec 3<&0; cat <&3 & echo $!; exec 3<&-; wait")
	stdin, out := converse(t, cmd)
	child, err := out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if got := childrenOf(cmd.Process.Pid); len(got) != 1 || fmt.Sprint(got[0]) != strings.TrimSpace(child) {
		t.Errorf("got %v, want %s", got, child)
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if got := childrenOf(cmd.Process.Pid); got != nil {
		t.Errorf("got %v of a process that is gone", got)
	}
}
