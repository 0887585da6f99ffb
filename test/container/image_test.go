//go:build container

package container

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/memsup/memsup/test/debian"
)

// The images, each built when the first test asks for it.
var (
	gunicornImage = image{name: "gunicorn", dir: "../../examples/docker/gunicorn", programs: []string{"memsup"}}
	pumaImage     = image{name: "puma", dir: "../../examples/docker/puma", programs: []string{"memsup"}}
	workersImage  = image{name: "workers", dir: "testdata/workers", programs: []string{"memsup", "web", "worker", "stress"}}
	socketsImage  = image{name: "sockets", dir: "testdata/sockets", programs: []string{"memsup", "activated"}}
	initsImage    = image{name: "inits", dir: "testdata/inits", programs: []string{"stress"}}
	usersImage    = image{name: "users", dir: "testdata/users", programs: []string{"memsup"}}
	truthImage    = image{name: "truth", dir: "testdata/truth", programs: []string{"truth"}}
	lensImage     = image{name: "lens", dir: "testdata/lens", programs: []string{"memsup", "asks"}, static: []string{"musl", "storm"}}
	linkedImage   = image{name: "linked", dir: "testdata/linked", programs: []string{"memsup"}, from: &initsImage}
)

// image is a directory with a Dockerfile, and the programs of this module that
// it copies.
type image struct {
	name     string
	dir      string
	programs []string
	static   []string // C programs of dir, linked with musl
	from     *image   // the image of this list that the Dockerfile starts from

	once sync.Once
	err  error
}

// tag builds the image unless this run has it already, and returns its name.
// Docker's own cache keeps the layers with Debian's packages from run to run.
func (i *image) tag(t *testing.T) string {
	t.Helper()
	if unusable != "" {
		t.Skip(unusable)
	}
	i.once.Do(func() {
		start := time.Now()
		i.err = i.build()
		t.Logf("image %s: %.1f s", i.name, time.Since(start).Seconds())
	})
	if i.err != nil {
		t.Fatalf("cannot build the image %s: %v", i.name, i.err)
	}
	return "memsup-test/" + i.name
}

func (i *image) build() error {
	if i.from != nil {
		i.from.once.Do(func() { i.from.err = i.from.build() })
		if i.from.err != nil {
			return i.from.err
		}
	} else if err := base(); err != nil {
		return err
	}
	programs, err := programs()
	if err != nil {
		return err
	}
	context, err := os.MkdirTemp(scratch, i.name)
	if err != nil {
		return err
	}
	if err := os.CopyFS(context, os.DirFS(i.dir)); err != nil {
		return err
	}
	for _, p := range i.programs {
		if err := os.Link(filepath.Join(programs, p), filepath.Join(context, p)); err != nil {
			return err
		}
	}
	for _, p := range i.static {
		out, err := exec.Command("musl-gcc", "-static", "-O2", "-Wall", "-Werror", "-o", filepath.Join(context, p), filepath.Join(i.dir, p+".c")).CombinedOutput()
		if err != nil {
			return fmt.Errorf("musl-gcc (apt install musl-tools gcc): %w\n%s", err, out)
		}
	}
	tag := "memsup-test/" + i.name
	before, _ := docker("image", "inspect", "--format", "{{.Id}}", tag)
	args := append([]string{"build", "--tag", tag}, debian.BuildArgs()...)
	if _, err := docker(append(args, context)...); err != nil {
		return err
	}
	after, err := docker("image", "inspect", "--format", "{{.Id}}", tag)
	if before != "" && before != after {
		_, _ = docker("rmi", before) // refused while another run uses it
	}
	return err
}

// base makes the image that all others are built on, once a run.
var base = sync.OnceValue(func() error { return debian.Base(scratch) })

// programs builds memsup and the workers as static binaries and returns their
// directory.
var programs = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "bin")
	packages := []string{"../../examples/web", "../../examples/worker", "./stress", "./activated", "./asks", "../truth"}
	binary := os.Getenv("MEMSUP_BINARY")
	if binary == "" {
		packages = append(packages, "../../cmd/memsup")
	}
	cmd := exec.Command("go", append([]string{"build", "-trimpath", "-ldflags=-s -w", "-o", dir + "/"}, packages...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	if binary == "" {
		return dir, nil
	}
	b, err := os.ReadFile(binary)
	if err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "memsup"), b, 0o755)
})
