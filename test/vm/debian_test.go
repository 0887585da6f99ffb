//go:build vm

package vm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// debian is the directory with Debian's cloud kernel, its static busybox, and
// earlyoom with its C library, out of the cache or, the first time, out of
// Debian's archive. A package is unpacked, not installed.
var debian = sync.OnceValues(func() (string, error) {
	cache := os.Getenv("MEMSUP_VM_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(dir, "memsup-vm")
	}
	root := filepath.Join(cache, "root-2") // counts the lists of packages
	if _, err := kernel(root); err == nil {
		return root, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(cache, "unpacking")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	if err := download(fresh); err != nil {
		return "", err
	}
	if err := os.Rename(filepath.Join(fresh, "root"), root); err != nil {
		if _, found := kernel(root); found == nil {
			return root, nil // another run was faster
		}
		return "", err
	}
	return root, nil
})

// kernel finds the kernel's image below root.
func kernel(root string) (string, error) {
	found, _ := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*"))
	if len(found) != 1 {
		return "", fmt.Errorf("%s: %d kernels, want 1", root, len(found))
	}
	return found[0], nil
}

// download unpacks the packages into root below dir.
func download(dir string) error {
	depends, err := command(dir, "apt-cache", "depends", "--no-recommends", "linux-image-cloud-amd64")
	if err != nil {
		return err
	}
	_, image, found := strings.Cut(depends, "Depends: ")
	if !found {
		return errors.New("apt knows no linux-image-cloud-amd64: apt-get update?")
	}
	image, _, _ = strings.Cut(image, "\n")
	// As root, apt-get would download as a user who may not write here.
	if _, err := command(dir, "apt-get", "-o", "APT::Sandbox::User=root", "download", image, "busybox-static", "earlyoom", "libc6"); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if _, err := command(dir, "dpkg", "-x", file, "root"); err != nil {
			return err
		}
	}
	return nil
}

// command runs a program in dir and returns what it printed on stdout.
func command(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return "", fmt.Errorf("%s: %w\n%s%s", cmd, err, out, exit.Stderr)
		}
		return "", fmt.Errorf("%s: %w", cmd, err)
	}
	return string(out), nil
}
