// Package debian makes the Docker image that the images of tests and traces are
// built on, out of Debian's packages alone.
package debian

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Base makes debian:bookworm-slim, once for each recipe; an image of that name
// from elsewhere is taken as it is. What this machine's apt is told about its
// archive, apt is told inside the image, where Dockerfiles run it. It needs
// Docker, mmdebstrap and root; scratch is a directory for the packed root.
func Base(scratch string) error {
	const name, label = "debian:bookworm-slim", "memsup-test.recipe"
	recipe := []string{"--variant=minbase"}
	for _, dir := range []string{"doc", "man", "locale", "info"} {
		recipe = append(recipe, "--dpkgopt=path-exclude=/usr/share/"+dir+"/*")
	}
	settings, err := exec.Command("apt-config", "dump", "--no-empty", "--format", "%f \"%v\";%n",
		"Acquire::http", "Acquire::https", "Acquire::Check-Valid-Until", "Acquire::Check-Date").Output()
	if err != nil && os.Getenv("CI") == "true" {
		return fmt.Errorf("apt-config dump: %w", err)
	}
	for line := range strings.Lines(string(settings)) {
		recipe = append(recipe, "--aptopt="+strings.TrimSpace(line))
	}
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(recipe, "\n"))))
	found, err := exec.Command("docker", "image", "inspect", "--format", `{{index .Config.Labels "`+label+`"}}`, name).Output()
	if was := strings.TrimSpace(string(found)); err == nil && (was == "" || was == hash) {
		return nil
	}
	tar := filepath.Join(scratch, "base.tar")
	if out, err := exec.Command("mmdebstrap", append(recipe, "bookworm", tar)...).CombinedOutput(); err != nil {
		return fmt.Errorf("mmdebstrap: %w\n%s", err, out)
	}
	if out, err := exec.Command("docker", "import", "--change", "LABEL "+label+"="+hash, tar, name).CombinedOutput(); err != nil {
		return fmt.Errorf("docker import: %w\n%s", err, out)
	}
	return os.Remove(tar)
}

// BuildArgs are the flags of `docker build` with which apt reaches its archive.
func BuildArgs() []string {
	args := []string{"--network", "host"}
	for _, name := range []string{"http_proxy", "https_proxy"} {
		if os.Getenv(name) != "" {
			args = append(args, "--build-arg", name)
		}
	}
	return args
}
