package lens

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// serve is this test's binary in the part of memsup, with one program that opens
// the file all the time, while the runtime stops the world again and again.
func serve() {
	go func() {
		for {
			runtime.GC()
		}
	}()
	v, err := NewView()
	if err != nil {
		panic(err)
	}
	v.SetLimit(limit)
	l, err := v.Open(Exact)
	if err != nil {
		panic(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "LENS_PROGRAM=1")
	cmd.Stdin = strings.NewReader("opens 2000\n")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	l.Run(func() { err = cmd.Start() })
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		panic(err)
	}
}
