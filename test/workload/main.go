// Workload measures what the workers of real servers need: it runs each server
// from Debian's packages in a container, sends it a few thousand requests, and
// writes how the memory of every worker went to a small file, which the
// simulator reads. sim/profiles/README.md tells what is in it.
//
//	go run ./test/workload [-dir sim/profiles] [-requests N] [NAME ...]
//
// It needs Linux, root, Docker and mmdebstrap. All talk is over unix sockets, and
// the containers have no network.
package main

import (
	"context"
	"embed"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/memsup/memsup/test/debian"
)

//go:embed apps
var apps embed.FS

func main() {
	log.SetFlags(log.Ltime)
	log.SetPrefix("workload: ")
	dir := flag.String("dir", "sim/profiles", "the `directory` for the profiles")
	requests := flag.Int("requests", 0, "how many requests to send to each server (default: what its profile asks for)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *dir, *requests, flag.Args()); err != nil {
		stop()
		log.Fatal(err)
	}
}

func run(ctx context.Context, dir string, requests int, names []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(profiles, func(p profile) bool { return p.name == name }) {
			return fmt.Errorf("there is no profile %s", name)
		}
	}
	scratch, err := os.MkdirTemp("", "memsup-workload-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if err := debian.Base(scratch); err != nil {
		return fmt.Errorf("cannot make Debian's image: %w", err)
	}
	for _, p := range profiles {
		if len(names) > 0 && !slices.Contains(names, p.name) {
			continue
		}
		if requests > 0 {
			p.requests = requests
		}
		m, err := measure(ctx, p, scratch)
		if err != nil {
			return fmt.Errorf("cannot measure %s: %w", p.name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, p.name+".txt"), m.text(), 0o644); err != nil {
			return err
		}
		log.Printf("%s: done", p.name)
	}
	return nil
}

// build makes the image of a profile and returns its name. Docker's own cache
// keeps the layers with Debian's packages.
func build(p profile, scratch string) (string, error) {
	context, err := os.MkdirTemp(scratch, p.name)
	if err != nil {
		return "", err
	}
	if err := os.CopyFS(context, apps); err != nil {
		return "", err
	}
	tag := "memsup-workload/" + p.name
	args := append([]string{"build", "--quiet", "--tag", tag, "--build-arg", "PACKAGES=" + strings.Join(p.packages, " ")}, debian.BuildArgs()...)
	_, err = docker(append(args, filepath.Join(context, "apps"))...)
	return tag, err
}

func docker(args ...string) (string, error) {
	var problems strings.Builder
	cmd := exec.Command("docker", args...)
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w\n%s%s", strings.Join(args, " "), err, out, problems.String())
	}
	return strings.TrimSpace(string(out)), nil
}
