package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// preparation is what the steps have made so far.
type preparation struct {
	helpers []*exec.Cmd // ended when all is measured
}

func (p *preparation) end() {
	for _, c := range p.helpers {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
}

var steps = []struct {
	name, says string
	do         func(*preparation, string) error
}{
	{"write", "SIZE:PATH, write a file", func(_ *preparation, text string) error { return write(text) }},
	{"sync", "PATH, have it written to the disk", func(_ *preparation, text string) error { return sync(text) }},
	{"read", "N:PATH, read a file N times", func(_ *preparation, text string) error { return read(text) }},
	{"files", "N:DIR, make N small files", func(_ *preparation, text string) error { return files(text) }},
	{"lock", "PATH, keep it in memory", func(p *preparation, text string) error { return p.hold("file", text, "") }},
	{"hold", "SIZE[:GROUP], keep anonymous memory", func(p *preparation, text string) error {
		size, group, _ := strings.Cut(text, ":")
		return p.hold("anon", size, group)
	}},
	{"sockets", "N, keep pairs of sockets open", func(p *preparation, text string) error { return p.hold("sockets", text, "") }},
	{"group", "NAME[:SIZE], make a child cgroup", func(_ *preparation, text string) error { return makeGroup(text) }},
	{"set", "GROUP/FILE=VALUE, write a file of a cgroup", func(_ *preparation, text string) error { return set(text) }},
	{"enter", "GROUP, go into it", func(_ *preparation, text string) error { return enter(text) }},
}

func write(text string) error {
	size, path, err := sizeAndPath(text)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	piece := make([]byte, 256<<10)
	for i := range piece {
		piece[i] = byte(i)
	}
	for ; size > 0; size -= int64(len(piece)) {
		if _, err := f.Write(piece[:min(size, int64(len(piece)))]); err != nil {
			return err
		}
	}
	return nil
}

func sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func read(text string) error {
	times, path, err := sizeAndPath(text)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 256<<10)
	for range times {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		for err = nil; err == nil; {
			_, err = f.Read(buf)
		}
		if err != io.EOF {
			return err
		}
	}
	return nil
}

// files leaves names and inodes in the kernel's caches.
func files(text string) error {
	n, dir, err := sizeAndPath(text)
	if err != nil {
		return err
	}
	for i := range n {
		path := filepath.Join(dir, strconv.FormatInt(i/1000, 10))
		if i%1000 == 0 {
			if err := os.MkdirAll(path, 0o755); err != nil {
				return err
			}
		}
		f, err := os.Create(filepath.Join(path, strconv.FormatInt(i, 10)))
		if err != nil {
			return err
		}
		f.Close()
	}
	// Inodes that wait to be written cannot be reclaimed yet.
	unix.Sync()
	return nil
}

// hold starts a process that keeps memory, and waits until it has it.
func (p *preparation) hold(kind, what, group string) error {
	c := exec.Command("/proc/self/exe", "holder", kind, what, group)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	p.helpers = append(p.helpers, c)
	_, err = io.ReadFull(out, make([]byte, 1))
	return err
}

func holder(args []string) error {
	kind, what, group := args[0], args[1], args[2]
	if group != "" {
		if err := enter(group); err != nil {
			return err
		}
	}
	var m []byte
	switch kind {
	case "sockets":
		n, err := strconv.Atoi(what)
		if err != nil {
			return err
		}
		for range n {
			if _, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0); err != nil {
				return err
			}
		}
	case "anon":
		size, err := parseSize(what)
		if err != nil {
			return err
		}
		m, err = unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return err
		}
		for i := 0; i < len(m); i += 4096 {
			m[i] = 1
		}
	default:
		f, err := os.Open(what)
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if m, err = unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED); err != nil {
			return err
		}
		if err := unix.Mlock(m); err != nil {
			return fmt.Errorf("mlock: %w", err)
		}
	}
	if _, err := fmt.Println("held"); err != nil {
		return err
	}
	for {
		_ = unix.Pause()
	}
}

const root = "/sys/fs/cgroup"

func makeGroup(text string) error {
	name, size, limited := strings.Cut(text, ":")
	dir := filepath.Join(root, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if !limited {
		return nil
	}
	// A cgroup that has processes passes no controller on: one is entered first.
	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "cgroup.subtree_control"), []byte("+memory"), 0); err != nil {
		return err
	}
	n, err := parseSize(size)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "memory.max"), []byte(strconv.FormatInt(n, 10)), 0)
}

func set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("%q has no =", text)
	}
	return os.WriteFile(filepath.Join(root, name), []byte(value), 0)
}

func enter(group string) error {
	return os.WriteFile(filepath.Join(root, group, "cgroup.procs"), []byte("0"), 0)
}

func sizeAndPath(text string) (int64, string, error) {
	size, path, ok := strings.Cut(text, ":")
	if !ok {
		return 0, "", fmt.Errorf("%q has no colon", text)
	}
	n, err := parseSize(size)
	return n, path, err
}

func parseSize(text string) (int64, error) {
	unit := int64(1)
	if i := strings.IndexAny(text, "kMG"); i >= 0 && i == len(text)-1 {
		unit = map[byte]int64{'k': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}[text[i]]
		text = text[:i]
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New("a size is digits and perhaps k, M or G")
	}
	return n * unit, nil
}

func sizeTo(n *int64) func(string) error {
	return func(text string) (err error) {
		*n, err = parseSize(text)
		return err
	}
}
