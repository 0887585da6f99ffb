// Bare is a plain init as one writes it in Go with os/exec and os/signal: it runs
// a command, passes every signal on, reaps, and ends with the command's status.
// It is no lower bound: os/signal takes much of its start.
//
//	bare COMMAND [ARGUMENT...]
package main

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals)
	path, err := exec.LookPath(os.Args[1])
	if err != nil {
		os.Exit(127)
	}
	child, err := os.StartProcess(path, os.Args[1:], &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		os.Exit(126)
	}
	go func() {
		for sig := range signals {
			if sig != syscall.SIGCHLD && sig != syscall.SIGURG {
				_ = child.Signal(sig)
			}
		}
	}()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			os.Exit(70)
		case pid == child.Pid && status.Signaled():
			os.Exit(128 + int(status.Signal()))
		case pid == child.Pid:
			os.Exit(status.ExitStatus())
		}
	}
}
