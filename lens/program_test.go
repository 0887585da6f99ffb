package lens

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// program is this test's binary in the part of a worker: it does what it is told,
// line by line, and says what came of it.
type program struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
}

func TestMain(m *testing.M) {
	switch os.Getenv("LENS_PROGRAM") {
	case "":
		os.Exit(m.Run())
	case "serve":
		serve()
		return
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		words := strings.Fields(lines.Text())
		fmt.Println(verbs[words[0]](words[1:]))
	}
}

func begin(t *testing.T, l *Lens) *program {
	t.Helper()
	return beginAs(t, l, nil)
}

// beginAs is begin for another user.
func beginAs(t *testing.T, l *Lens, who *syscall.Credential) *program {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	cmd.Env = append(os.Environ(), "LENS_PROGRAM=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	l.Run(func() { err = cmd.Start() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return &program{t, in, bufio.NewReader(out)}
}

func (p *program) do(format string, args ...any) string {
	p.t.Helper()
	fmt.Fprintf(p.in, format+"\n", args...)
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func (p *program) want(want, format string, args ...any) {
	p.t.Helper()
	if got := p.do(format, args...); got != want {
		p.t.Errorf("%s: %s, not %s", fmt.Sprintf(format, args...), got, want)
	}
}

// verbs are what a program can be told to do.
var verbs = map[string]func([]string) string{
	// total opens a name and says the first line that it reads.
	"plain":   func(w []string) string { return firstLine(unix.Open(w[0], unix.O_RDONLY, 0)) },
	"cloexec": func(w []string) string { return firstLine(unix.Open(w[0], unix.O_RDONLY|unix.O_CLOEXEC, 0)) },
	"openat": func(w []string) string {
		dir, err := unix.Open(w[0], unix.O_PATH|unix.O_DIRECTORY, 0)
		if err != nil {
			return err.Error()
		}
		defer unix.Close(dir)
		return firstLine(unix.Openat(dir, w[1], unix.O_RDONLY, 0))
	},
	"openat2": func(w []string) string {
		return firstLine(unix.Openat2(unix.AT_FDCWD, w[0], &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC}))
	},
	"openmode": func(w []string) string {
		return firstLine(unix.Openat2(unix.AT_FDCWD, w[0], &unix.OpenHow{Flags: unix.O_RDONLY, Mode: 0o600}))
	},
	"chdir": func(w []string) string { return said(unix.Chdir(w[0])) },
	"sysinfo": func([]string) string {
		var info unix.Sysinfo_t
		if err := unix.Sysinfo(&info); err != nil {
			return err.Error()
		}
		return fmt.Sprint(info.Totalram*uint64(info.Unit), " ", info.Freeram <= info.Totalram && info.Sharedram <= info.Totalram, " ", info.Procs > 0)
	},
	// agree compares one sysinfo(2) with /proc/meminfo as busybox does.
	"agree": func([]string) string {
		for range 100 { // a picture may have been renewed between the two
			var info unix.Sysinfo_t
			if err := unix.Sysinfo(&info); err != nil {
				return err.Error()
			}
			fd, err := unix.Open("/proc/meminfo", unix.O_RDONLY, 0)
			if err != nil {
				return err.Error()
			}
			text := contents(fd)
			if strings.Contains(text, fmt.Sprintf("MemFree:%16d kB", info.Freeram>>10)) &&
				strings.Contains(text, fmt.Sprintf("Shmem:%18d kB", info.Sharedram>>10)) &&
				strings.Contains(text, fmt.Sprintf("SwapTotal:%14d kB", info.Totalswap>>10)) {
				return "they agree"
			}
		}
		return "they never agree"
	},
	// flags are those of the descriptor and of the description that an open has.
	"flags": func([]string) string {
		var list []string
		for _, flags := range []int{unix.O_RDONLY, unix.O_RDONLY | unix.O_CLOEXEC} {
			fd, err := unix.Open("/proc/meminfo", flags, 0)
			if err != nil {
				return err.Error()
			}
			own, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			status, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			_, err = unix.Write(fd, []byte("x"))
			list = append(list, fmt.Sprint(own, status&unix.O_ACCMODE, err))
			if again, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDWR, 0); err == nil {
				_, err = unix.Write(again, []byte("x")) // root may, and is refused
				list = append(list, fmt.Sprint(err))
			}
			unix.Close(fd)
		}
		return strings.Join(list, ", ")
	},
	// full opens where no descriptor is left.
	"full": func([]string) string {
		var old unix.Rlimit
		_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &old)
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: old.Max})
		_, err := unix.Open("/proc/meminfo", unix.O_RDONLY, 0)
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
		return said(err)
	},
	// wrong makes calls that the kernel refuses.
	"wrong": func([]string) string {
		var list []error
		for _, call := range [][4]uintptr{
			{unix.SYS_OPENAT, ^uintptr(99), 0, 0},
			{unix.SYS_OPENAT, ^uintptr(99), 1, 0},
			{unix.SYS_SYSINFO, 0},
			{unix.SYS_SYSINFO, ^uintptr(0)},
		} {
			_, _, errno := unix.Syscall(call[0], call[1], call[2], call[3])
			list = append(list, errno)
		}
		name := []byte("meminfo\x00")
		_, _, errno := unix.Syscall(unix.SYS_OPENAT, 99, uintptr(unsafe.Pointer(&name[0])), 0)
		return fmt.Sprint(append(list, errno))
	},
	// edge has the name end with a page that nothing follows.
	"edge": func(w []string) string {
		page := os.Getpagesize()
		m, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err == nil {
			err = unix.Mprotect(m[page:], unix.PROT_NONE)
		}
		if err != nil {
			return err.Error()
		}
		name := w[0]
		if w[1] == "whole" {
			name += "\x00"
		}
		at := page - len(name)
		copy(m[at:], name)
		dir := unix.AT_FDCWD
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(&m[at])), unix.O_RDONLY, 0, 0, 0)
		if errno != 0 {
			return errno.Error()
		}
		return firstLine(int(fd), nil)
	},
	// hold opens the file and keeps it; again reads it from its start.
	"hold": func([]string) string { held, _ = unix.Open("/proc/meminfo", unix.O_RDONLY, 0); return said(nil) },
	"again": func([]string) string {
		buf := make([]byte, 64)
		n, err := unix.Pread(held, buf, 0)
		if err != nil {
			return err.Error()
		}
		line, _, _ := bytes.Cut(buf[:n], []byte("\n"))
		return string(line)
	},
	// stuck opens a name in memory that never comes: it stands in for what a worker
	// does by accident, as on a disk that is gone.
	"stuck": func([]string) string {
		fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
		if errno != 0 {
			return errno.Error()
		}
		m, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return err.Error()
		}
		at := uintptr(unsafe.Pointer(&m[0]))
		const (
			uffdioAPI, uffdioRegister = 0xc018aa3f, 0xc020aa00 // linux/userfaultfd.h
			missing                   = 1
		)
		api := [3]uint64{0xaa}
		if _, errno := ioctl(int(fd), uffdioAPI, unsafe.Pointer(&api)); errno != 0 {
			return errno.Error()
		}
		register := [4]uint64{uint64(at), uint64(len(m)), missing}
		if _, errno := ioctl(int(fd), uffdioRegister, unsafe.Pointer(&register)); errno != 0 {
			return errno.Error()
		}
		for range 2 {
			go unix.Syscall(unix.SYS_OPENAT, 0, at, unix.O_RDONLY)
		}
		return "done"
	},
	"close": func([]string) string { return said(unix.Close(held)) },
	// slow keeps a name in memory back until another open was answered.
	"slow": func(w []string) string {
		times, err := strconv.Atoi(w[0])
		if err != nil {
			return err.Error()
		}
		for range times {
			if err := slow(); err != nil {
				return err.Error()
			}
		}
		return "done"
	},
	// opens opens the file so many times, and wants the same descriptor each time.
	"opens": func(w []string) string {
		times, err := strconv.Atoi(w[0])
		if err != nil {
			return err.Error()
		}
		want := -1
		for range times {
			fd, err := unix.Open("/proc/meminfo", unix.O_RDONLY, 0)
			if err != nil {
				return err.Error()
			}
			if want < 0 {
				want = fd
			}
			other, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
			if fd != want || other != want+1 {
				return fmt.Sprintf("descriptors %d and %d (%v), not %d and the next", fd, other, err, want)
			}
			unix.Close(fd)
			unix.Close(other)
		}
		return "done"
	},
	"offset": func([]string) string {
		other, err := unix.Open("/proc/meminfo", unix.O_RDONLY, 0)
		if err != nil {
			return err.Error()
		}
		defer unix.Close(other)
		if _, err := unix.Read(other, make([]byte, 100)); err != nil {
			return err.Error()
		}
		at, err := unix.Seek(held, 0, io.SeekCurrent)
		return fmt.Sprint(at, " ", said(err))
	},
}

// slow has memsup wait for the memory with a name (userfaultfd(2)) until another open
// was answered.
func slow() error {
	number, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
	if errno != 0 {
		return errno
	}
	faults := int(number)
	defer unix.Close(faults)
	page := os.Getpagesize()
	m, err := unix.Mmap(-1, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	defer unix.Munmap(m)
	name := append([]byte("/proc/meminfo"), make([]byte, page)...)
	at := uint64(uintptr(unsafe.Pointer(&m[0])))
	const ( // linux/userfaultfd.h
		hello, register, fill = 0xc018aa3f, 0xc020aa00, 0xc028aa03
		version, missing      = 0xaa, 1
	)
	api, area := [3]uint64{version}, [4]uint64{at, uint64(page), missing}
	if _, errno := ioctl(faults, hello, unsafe.Pointer(&api)); errno != 0 {
		return errno
	}
	if _, errno := ioctl(faults, register, unsafe.Pointer(&area)); errno != 0 {
		return errno
	}
	opened := make(chan string)
	go func() {
		dir := unix.AT_FDCWD
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(dir), uintptr(at), unix.O_RDONLY, 0, 0, 0)
		if errno != 0 {
			opened <- errno.Error()
			return
		}
		opened <- firstLine(int(fd), nil)
	}()
	if _, err := unix.Read(faults, make([]byte, 32)); err != nil { // memsup waits
		return err
	}
	if got := firstLine(unix.Open("/proc/meminfo", unix.O_RDONLY, 0)); got != inside {
		return errors.New("the other one opens " + got)
	}
	copied := [5]uint64{at, uint64(uintptr(unsafe.Pointer(&name[0]))), uint64(page)}
	if _, errno := ioctl(faults, fill, unsafe.Pointer(&copied)); errno != 0 {
		return errno
	}
	if got := <-opened; got != inside {
		return errors.New("it opens " + got)
	}
	return nil
}

var held int

func said(err error) string {
	if err != nil {
		return err.Error()
	}
	return "done"
}

func contents(fd int) string {
	f := os.NewFile(uintptr(fd), "")
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func firstLine(fd int, err error) string {
	if err != nil {
		return err.Error()
	}
	line, _, _ := strings.Cut(contents(fd), "\n")
	return line
}

const (
	inside = "MemTotal:          65536 kB"
	info   = "67108864 true true"
)
