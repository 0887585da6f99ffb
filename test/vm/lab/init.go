package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const cgroups = "/sys/fs/cgroup"

// modules is what the disk needs, in the order in which one needs the other.
var modules = []string{"virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk"}

// initialise makes a running system of the bare kernel, with its output on the
// second serial port, as the first is the kernel's, and becomes a shell with
// the scenario's script, still as PID 1.
func initialise([]string) error {
	for _, m := range []struct {
		kind, target, data string
		flags              uintptr
	}{
		{"proc", "/proc", "", 0},
		{"sysfs", "/sys", "", 0},
		{"devtmpfs", "/dev", "", 0},
		{"tmpfs", "/run", "", 0},
		{"tmpfs", "/tmp", "", 0},
		{"cgroup2", cgroups, "nsdelegate", 0},
	} {
		if err := unix.Mount(m.kind, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	out, err := os.OpenFile("/dev/ttyS1", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	for fd := range 3 {
		if err := unix.Dup2(int(out.Fd()), fd); err != nil {
			return err
		}
	}
	if err := os.WriteFile(cgroups+"/cgroup.subtree_control", []byte("+memory +cpu +pids"), 0); err != nil {
		return err
	}
	if err := mountDisk(); err != nil {
		return err
	}
	if err := os.Chdir("/app"); err != nil {
		return err
	}
	script := `trap 'lab off $?' EXIT; . ./run`
	return syscall.Exec("/bin/sh", []string{"sh", "-e", "-c", script}, []string{"PATH=/bin", "HOME=/"})
}

// mountDisk loads the driver and mounts the ext4 disk on /disk: page cache needs
// a file system with a disk beneath, as tmpfs's pages are shared memory.
func mountDisk() error {
	for _, name := range modules {
		f, err := os.Open("/modules/" + name + ".ko")
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil {
			return fmt.Errorf("load %s: %w", name, err)
		}
	}
	var err error
	for range 100 { // the device's node appears a moment after its driver
		if err = unix.Mount("/dev/vda", "/disk", "ext4", 0, ""); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("mount /dev/vda: %w", err)
}

// off prints the script's exit status and powers the machine off.
func off(args []string) error {
	code, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	printResult("guest", map[string]any{"exit": code})
	if err := unix.Unmount("/disk", unix.MNT_DETACH); err != nil {
		fmt.Fprintln(os.Stderr, "unmount /disk:", err)
	}
	tty, err := unix.IoctlGetInt(1, unix.TIOCOUTQ)
	for ; err == nil && tty > 0; tty, err = unix.IoctlGetInt(1, unix.TIOCOUTQ) {
		time.Sleep(time.Millisecond) // what the port has not sent yet would be lost
	}
	return unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// first puts PID 1, which it is, into a cgroup with a limit and becomes the
// program: the root cgroup has neither memory.max nor memory.events.
func first(args []string) error {
	flags := flag.NewFlagSet("pid1", flag.ExitOnError)
	memory := flags.String("memory", "max", "memory.max")
	_ = flags.Parse(args)
	group := filepath.Join(cgroups, "pid1")
	if err := os.Mkdir(group, 0o755); err != nil {
		return err
	}
	for name, value := range map[string]string{"memory.max": *memory, "cgroup.procs": "1"} {
		if err := os.WriteFile(filepath.Join(group, name), []byte(value), 0); err != nil {
			return err
		}
	}
	return become(flags.Args())
}

// printResult prints what the scenario is judged by: a line on its own.
func printResult(name string, values map[string]any) {
	text, err := json.Marshal(values)
	if err != nil {
		panic(err) // numbers, texts and what was JSON before
	}
	fmt.Printf("RESULT %s %s\n", name, text)
}
