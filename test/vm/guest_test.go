//go:build vm

package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// patience is how long a guest may run; only a failing test waits so long.
const patience = 6 * time.Minute

// A guest is one machine, from its boot until it is off.
type guest struct {
	console []byte // what the kernel printed, on the first serial port
	printed []byte // what the scenario printed, on the second
}

// boot runs a machine with the scenario's files until it powers off. Its disk,
// on /dev/vda, is an ext4 file system with the scenario's packages or none. The
// kernel's check of the timer fails now and then where the emulator has to wait
// for a CPU.
func boot(dir string, s *scenario) (*guest, error) {
	root, err := debian()
	if err != nil {
		return nil, err
	}
	vmlinuz, err := kernel(root)
	if err != nil {
		return nil, err
	}
	initrd, disk, console := filepath.Join(dir, "initrd"), filepath.Join(dir, "disk"), filepath.Join(dir, "console")
	if err := initramfs(initrd, s); err != nil {
		return nil, err
	}
	defer os.Remove(initrd)
	mke2fs := []string{"-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1"}
	if len(s.debian) > 0 {
		content, err := tools(s.debian)
		if err != nil {
			return nil, err
		}
		mke2fs = append(mke2fs, "-d", content)
	}
	if _, err := command(dir, "mke2fs", append(mke2fs, disk, "1G")...); err != nil {
		return nil, err
	}
	defer os.Remove(disk)
	args := append([]string{
		"-accel", "tcg", "-m", "1024", "-smp", "2", "-nodefaults", "-display", "none", "-no-reboot",
		"-serial", "file:" + console, "-serial", "stdio",
		"-kernel", vmlinuz, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1 no_timer_check",
		"-drive", "file=" + disk + ",format=raw,if=virtio,cache=unsafe",
	}, s.qemu...)
	g, err := emulate(args)
	if err != nil && len(g.printed) == 0 {
		g, err = emulate(args) // an emulated machine sometimes hangs before its kernel runs
	}
	g.console, _ = os.ReadFile(console)
	return g, err
}

// emulate runs the machine to its end. One whose PID 1 said nothing in a minute is
// ended.
func emulate(args []string) (*guest, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	qemu := exec.CommandContext(ctx, program, args...)
	var problems bytes.Buffer
	printed := output{silent: time.AfterFunc(time.Minute, cancel)}
	qemu.Stdout, qemu.Stderr = &printed, &problems
	qemu.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // whose end the kernel takes for the parent's
	defer runtime.UnlockOSThread()
	err := qemu.Run()
	g := &guest{printed: bytes.ReplaceAll(printed.text.Bytes(), []byte("\r\n"), []byte("\n"))}
	switch {
	case ctx.Err() != nil:
		return g, fmt.Errorf("the guest still runs after %s, or never did", patience)
	case err != nil:
		return g, fmt.Errorf("%s: %w\n%s", program, err, problems.Bytes())
	}
	return g, nil
}

// output keeps what a guest prints, and stops a timer when it begins to.
type output struct {
	text   bytes.Buffer
	silent *time.Timer
}

func (o *output) Write(b []byte) (int, error) {
	o.silent.Stop()
	return o.text.Write(b)
}

const program = "qemu-system-x86_64"

// panicked is how the kernel says that PID 1 has ended, and how.
var panicked = regexp.MustCompile(`Attempted to kill init! exitcode=0x([0-9a-f]{8})`)

// exit is the status of a PID 1 that ended, which is the guest's end.
func (g *guest) exit() (int, error) {
	m := panicked.FindSubmatch(g.console)
	if m == nil {
		return 0, errors.New("the guest printed no RESULT guest, and its PID 1 did not end")
	}
	status, err := strconv.ParseUint(string(m[1]), 16, 32)
	if status&0x7f != 0 {
		return 128 + int(status&0x7f), err
	}
	return int(status >> 8), err
}
