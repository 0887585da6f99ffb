package spawn

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Settings are what a process is given before its program runs. What is not set
// it has from memsup.
type Settings struct {
	User *User
	// Ambient are the capabilities that its program has whoever its user is.
	Ambient Capabilities
	// Dir is its working directory. A program's path that is not absolute is
	// looked up there.
	Dir        string
	Umask      *int
	Nice       *int // -20 to 19
	Rlimits    []Rlimit
	NoNewPrivs bool // PR_SET_NO_NEW_PRIVS
	// DeathSignal is what it gets when the thread that started it ends
	// (PR_SET_PDEATHSIG); 0 is nothing. A set-user-ID program does not have it.
	DeathSignal unix.Signal
}

// shim tells whether the process has to make the settings by itself, as all but
// the directory. Package syscall could change the user as well, in a child that
// shares memory with memsup until it executes its program: the kernel would mark
// that memory as not dumpable, and with it memsup (proc(5)).
func (s *Settings) shim() bool {
	return s != nil && (s.User != nil || s.Ambient != 0 || s.Umask != nil || s.Nice != nil || len(s.Rlimits) > 0 || s.NoNewPrivs || s.DeathSignal != 0)
}

func (s *Settings) dir() string {
	if s == nil {
		return ""
	}
	return s.Dir
}

// words are the settings as the shim reads them: uid=1000 dir=/srv
// rlimit-nofile=64:64.
func (s *Settings) words() (words []string) {
	if s == nil {
		return nil
	}
	add := func(name, value string) { words = append(words, name+"="+value) }
	if u := s.User; u != nil {
		add("uid", strconv.Itoa(u.UID))
		add("gid", strconv.Itoa(u.GID))
		add("groups", list(u.Groups))
	}
	if s.Ambient != 0 {
		add("ambient", strconv.FormatUint(uint64(s.Ambient), 16))
	}
	if s.Dir != "" {
		add("dir", s.Dir)
	}
	if s.Umask != nil {
		add("umask", strconv.FormatInt(int64(*s.Umask), 8))
	}
	if s.Nice != nil {
		add("nice", strconv.Itoa(*s.Nice))
	}
	for _, r := range s.Rlimits {
		words = append(words, "rlimit-"+r.String())
	}
	if s.NoNewPrivs {
		words = append(words, "no-new-privs")
	}
	if s.DeathSignal != 0 {
		add("death-signal", strconv.Itoa(int(s.DeathSignal)))
	}
	return words
}

// read takes one of these words.
func (s *Settings) read(name, value string) (err error) {
	number := func(base int) *int {
		n, parseErr := strconv.ParseInt(value, base, 64)
		if parseErr != nil {
			err = parseErr
		}
		i := int(n)
		return &i
	}
	if s.User == nil && (name == "uid" || name == "gid" || name == "groups") {
		s.User = &User{}
	}
	switch name {
	case "uid":
		s.User.UID = *number(10)
	case "gid":
		s.User.GID = *number(10)
	case "groups":
		for word := range strings.SplitSeq(value, ",") {
			if value = word; word != "" {
				s.User.Groups = append(s.User.Groups, *number(10))
			}
		}
	case "ambient":
		bits, parseErr := strconv.ParseUint(value, 16, 64)
		s.Ambient, err = Capabilities(bits), parseErr
	case "dir":
		s.Dir = value
	case "umask":
		s.Umask = number(8)
	case "nice":
		s.Nice = number(10)
	case "no-new-privs":
		s.NoNewPrivs = true
	case "death-signal":
		s.DeathSignal = unix.Signal(*number(10))
	default:
		resource, is := strings.CutPrefix(name, "rlimit-")
		if !is {
			return fmt.Errorf("unknown word %q", name)
		}
		r, parseErr := parseRlimit(resource, value)
		s.Rlimits, err = append(s.Rlimits, r), parseErr
	}
	return err
}

func list(numbers []int) string {
	text := make([]string, len(numbers))
	for i, n := range numbers {
		text[i] = strconv.Itoa(n)
	}
	return strings.Join(text, ",")
}

// apply makes the settings in this process. Its goroutine is locked to the thread
// that will execute the program: user, nice value, capabilities and
// no_new_privs are a thread's own, and the others end there.
//
// Privilege is needed first and given up then. Whether the directory may be
// entered is the user's matter. Last come the limits, under which memsup's own
// code may not get far, the number of processes among them: execve(2) is refused
// to a process whose user changed and has too many.
func (s *Settings) apply() error {
	if s == nil {
		return nil
	}
	for _, r := range s.Rlimits {
		if err := r.raise(); err != nil {
			return err
		}
	}
	if s.Nice != nil {
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, *s.Nice); err != nil {
			return fmt.Errorf("set the nice value %d: %w", *s.Nice, err)
		}
	}
	if s.Umask != nil {
		unix.Umask(*s.Umask)
	}
	if err := s.identify(); err != nil {
		return err
	}
	if s.Dir != "" {
		if err := unix.Chdir(s.Dir); err != nil {
			return fmt.Errorf("change to directory %s: %w", s.Dir, err)
		}
	}
	if s.NoNewPrivs {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return os.NewSyscallError("prctl(PR_SET_NO_NEW_PRIVS)", err)
		}
	}
	if s.DeathSignal != 0 { // a change of the user has the kernel forget it
		if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(s.DeathSignal), 0, 0, 0); err != nil {
			return os.NewSyscallError("prctl(PR_SET_PDEATHSIG)", err)
		}
	}
	for _, next := range Resources {
		for _, r := range s.Rlimits {
			if r.Resource.ID != next.ID {
				continue
			}
			if err := r.set(); err != nil {
				return err
			}
		}
	}
	return nil
}

// identify changes user and capabilities.
func (s *Settings) identify() error {
	if s.User != nil {
		return s.User.become(s.Ambient)
	}
	if s.Ambient == 0 {
		return nil
	}
	effective, permitted, inheritable, err := HeldCapabilities()
	if err == nil {
		err = setCapabilities(effective, permitted, inheritable|s.Ambient)
	}
	if err == nil {
		err = raiseAmbient(s.Ambient)
	}
	if err != nil {
		return fmt.Errorf("keep the capabilities %s: %w", s.Ambient, err)
	}
	return nil
}
