//go:build vm

package vm

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// An archive is a cpio archive in the format "newc", as the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst describes it. The
// kernel unpacks several, one behind the other, into its first root.
type archive struct {
	bytes.Buffer
	entries int
}

const (
	directory  = 0o040755
	executable = 0o100755
	symlink    = 0o120777
)

func (a *archive) add(name string, mode int, content []byte) {
	a.entries++
	fmt.Fprintf(a, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.entries, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0, name)
	a.pad()
	a.Write(content)
	a.pad()
}

// pad fills up to a multiple of four bytes.
func (a *archive) pad() { a.Write(make([]byte, -a.Len()&3)) }

// close ends the archive and returns its bytes.
func (a *archive) close() []byte {
	a.add("TRAILER!!!", 0, nil)
	return a.Bytes()
}

// applets are the programs that scripts may use besides memsup and lab.
var applets = []string{"sh", "cat", "echo", "dd", "env", "grep", "kill", "ls", "mkswap", "ps", "sleep", "swapon", "true"}

// base is the archive that all guests share: kernel modules, busybox, earlyoom,
// memsup and lab.
var base = sync.OnceValues(func() ([]byte, error) {
	root, err := debian()
	if err != nil {
		return nil, fmt.Errorf("cannot get Debian's packages: %w", err)
	}
	programs, err := programs()
	if err != nil {
		return nil, err
	}
	var a archive
	for _, dir := range []string{"app", "bin", "container", "dev", "disk", "lib", "lib64", "modules", "proc", "run", "sys", "tmp"} {
		a.add(dir, directory, nil)
	}
	for name, path := range map[string]string{
		"init":        filepath.Join(programs, "lab"),
		"bin/memsup":  filepath.Join(programs, "memsup"),
		"bin/busybox": filepath.Join(root, "bin/busybox"),

		"bin/earlyoom":               filepath.Join(root, "usr/bin/earlyoom"),
		"lib/libc.so.6":              filepath.Join(root, "lib/x86_64-linux-gnu/libc.so.6"),
		"lib64/ld-linux-x86-64.so.2": filepath.Join(root, "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
	} {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		a.add(name, executable, content)
	}
	a.add("bin/lab", symlink, []byte("/init"))
	for _, name := range applets {
		a.add("bin/"+name, symlink, []byte("busybox"))
	}
	modules, err := filepath.Glob(filepath.Join(root, "lib/modules/*/kernel/drivers/*/virtio*.ko"))
	if err != nil {
		return nil, err
	}
	fuse, err := filepath.Glob(filepath.Join(root, "lib/modules/*/kernel/fs/fuse/fuse.ko"))
	if err != nil {
		return nil, err
	}
	for _, path := range append(modules, fuse...) {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		a.add("modules/"+filepath.Base(path), executable, content)
	}
	return a.close(), nil
})

// initramfs writes the guest's first root: the shared part, and in /app the
// scenario's files and the tests that it runs.
func initramfs(path string, s *scenario) error {
	shared, err := base()
	if err != nil {
		return err
	}
	var a archive
	for _, f := range s.files {
		a.add("app/"+f.Name, executable, f.Data)
	}
	add := func(name, pkg string, how ...string) error {
		file := path + "." + name
		if err := build(append(how, "-trimpath", "-ldflags", "-s -w", "-o", file, "../../"+pkg)...); err != nil {
			return err
		}
		content, err := os.ReadFile(file)
		a.add("app/"+name, executable, content)
		return err
	}
	for _, pkg := range s.tests {
		if err := add(pkg+".test", pkg, "test", "-c"); err != nil {
			return err
		}
	}
	for _, pkg := range s.mains {
		if err := add(filepath.Base(pkg), pkg, "build"); err != nil {
			return err
		}
	}
	return os.WriteFile(path, slices.Concat(shared, a.close()), 0o644)
}

// programs builds memsup, linked as it is released, and lab, and returns their
// directory.
var programs = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "bin")
	targets := map[string]string{"memsup": "../../cmd/memsup", "lab": "./lab"}
	if binary := os.Getenv("MEMSUP_BINARY"); binary != "" {
		delete(targets, "memsup")
		content, err := os.ReadFile(binary)
		if err != nil {
			return "", err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, "memsup"), content, 0o755); err != nil {
			return "", err
		}
	}
	for name, target := range targets {
		flags := "-s -w"
		if name == "memsup" {
			flags += " -E github.com/memsup/memsup/spawn.entry"
		}
		if err := build("build", "-trimpath", "-ldflags", flags, "-o", filepath.Join(dir, name), target); err != nil {
			return "", err
		}
	}
	return dir, nil
})

// build runs go without cgo: the guest has no C library to speak of.
func build(args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
