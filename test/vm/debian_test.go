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
// earlyoom with its C library. A package is unpacked, not installed.
var debian = sync.OnceValues(func() (string, error) {
	return cached("root-2", download) // counts the lists of packages
})

// tools is the directory with packages, and all that they depend on, in /debian.
func tools(packages []string) (string, error) {
	return cached("tools-"+strings.Join(packages, "+"), func(dir string) error { return install(dir, packages) })
}

// cached is a directory out of the cache, or made the first time by fill, as root
// below the directory it is given, out of Debian's archive.
func cached(name string, fill func(dir string) error) (string, error) {
	cache := os.Getenv("MEMSUP_VM_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(dir, "memsup-vm")
	}
	root := filepath.Join(cache, name)
	if _, err := os.Stat(root); err == nil {
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
	if err := fill(fresh); err != nil {
		return "", err
	}
	if err := os.Rename(filepath.Join(fresh, "root"), root); err != nil {
		if _, found := os.Stat(root); found == nil {
			return root, nil // another run was faster
		}
		return "", err
	}
	return root, nil
}

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
	return unpack(dir, "root")
}

// install unpacks the packages, and what apt would install beside them on an empty
// system, into root/debian below dir.
func install(dir string, packages []string) error {
	if err := os.MkdirAll(filepath.Join(dir, "root/debian"), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, "partial"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "status"), nil, 0o644); err != nil {
		return err
	}
	args := []string{
		"-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=true", "-o", "Dir::State::status=" + filepath.Join(dir, "status"),
		"-o", "Dir::Cache::archives=" + dir, "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
		"--no-install-recommends", "--yes", "--download-only", "install",
	}
	if _, err := command(dir, "apt-get", append(args, packages...)...); err != nil {
		return err
	}
	return unpack(dir, "root/debian")
}

// unpack unpacks the packages that lie in dir into root below it.
func unpack(dir, root string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if _, err := command(dir, "dpkg", "-x", file, root); err != nil {
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
