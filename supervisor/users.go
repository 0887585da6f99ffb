package supervisor

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/spawn"
)

// LoginVariables are those that tell a program who its user is. Config.Env has
// memsup's own.
var LoginVariables = [...]string{"HOME", "USER", "LOGNAME", "SHELL"}

// login puts the type's user into an environment.
func (t *Type) login(env []string) []string {
	if t.Login == nil {
		return env
	}
	return LogIn(env, t.Login)
}

// LogIn replaces the LoginVariables of env by those given, NAME=value. Those that
// are not given are left out: they would be another user's.
func LogIn(env, login []string) []string {
	env = slices.DeleteFunc(env, func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(LoginVariables[:], name)
	})
	return append(env, login...)
}

// runsAs says whether two types run as the same user, in the same directory and
// within the same limits.
func (t *Type) runsAs(other *processType) bool {
	return reflect.DeepEqual(t.Settings, other.Settings) && slices.Equal(t.Login, other.Login)
}

// errandSettings are what a command that runs for the type is given: all that
// says who it is and what it may, but not how much.
func (t *Type) errandSettings() *spawn.Settings {
	if t.Settings == nil {
		return nil
	}
	settings := *t.Settings
	settings.Rlimits, settings.Nice = nil, nil
	return &settings
}

// addressSpace is the lower of RLIMIT_AS and RLIMIT_DATA that a worker of the type
// starts with, its own or else memsup's, as budget.Rlimit is memsup's; false
// where neither is set.
func (t *Type) addressSpace() (bytes int64, limited bool) {
	lowest := uint64(math.MaxInt64)
	for _, id := range []int{unix.RLIMIT_AS, unix.RLIMIT_DATA} {
		var own unix.Rlimit
		if err := unix.Getrlimit(id, &own); err != nil {
			own.Cur = spawn.Unlimited
		}
		if t.Settings != nil {
			for _, r := range t.Settings.Rlimits {
				if r.Resource.ID == id {
					own.Cur = r.Soft
				}
			}
		}
		if own.Cur < lowest {
			lowest, limited = own.Cur, true
		}
	}
	return int64(lowest), limited
}

// giveUpRoot makes memsup the user that it is to be, when what only root may
// open is open.
func (s *supervisor) giveUpRoot() error {
	u := s.c.User
	if u == nil {
		return nil
	}
	err := s.handOver(u)
	if err == nil {
		err = spawn.BecomeUser(u)
	}
	if err != nil {
		return fmt.Errorf("cannot give up root: %w", err)
	}
	return nil
}

// handOver gives the files of the types' sockets to the user who is to remove them, and
// the control socket, what is beside it, and their private directory. Where that takes
// CAP_CHOWN, which memsup has not, they stay root's and the directory lets all users
// through: they may look, and its own user may change something.
func (s *supervisor) handOver(u *spawn.User) error {
	var paths []string
	for _, sock := range s.sockets {
		if sock.path != "" && sock.ours() {
			paths = append(paths, sock.path)
		}
	}
	c := s.control
	private := c != nil && c.private
	if private {
		paths = append(paths, c.path, s.relay.socket(), s.notifier.inode(), filepath.Dir(c.path))
	}
	for _, path := range paths {
		if path == "" {
			continue
		}
		err := os.Lchown(path, u.UID, u.GID)
		switch {
		case err == nil:
		case !errors.Is(err, unix.EPERM):
			return err
		case private:
			s.log.info("the sockets stay root's, and are there until the next start", "error", err)
			return os.Chmod(filepath.Dir(c.path), 0o711)
		}
	}
	return nil
}

// takeBack makes a directory root's again that an earlier memsup gave to the
// user that this one is to become, as a container that is started again has it.
// What it holds then stays as it is, whoever that user runs elsewhere.
func (s *supervisor) takeBack(dir string) {
	u := s.c.User
	if u == nil || os.Geteuid() != 0 {
		return
	}
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_RDONLY, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil && int(st.Uid) == u.UID {
		_ = unix.Fchown(fd, 0, 0)
	}
}

// admitUsers lets workers of other users to what is there for every worker: the
// control socket, which only its own user and root can change anything by, and the
// pressure socket beside it. Their private directory then lets all users through;
// they still cannot list it or put anything there.
//
// It also lets memsup's own user, if that is not the one that it is started as, and
// workers of other users open /dev/stdout and /dev/stderr: a pipe is opened
// again by its mode, which is 0600, though its descriptor is theirs.
func (s *supervisor) admitUsers() {
	others := s.c.User != nil
	for _, t := range s.types {
		if t.Settings == nil || t.Settings.User == nil || t.Settings.User.UID == os.Geteuid() {
			continue
		}
		others = true
		if c := s.control; c != nil && c.private && !c.open {
			if err := unix.Chmod(filepath.Dir(c.path), 0o711); err != nil {
				s.once("directory", "workers of other users cannot reach the control socket", "error", err)
				continue
			}
			c.open = true
		}
	}
	if others {
		letReopen(1)
		letReopen(2)
	}
}

// letReopen lets every user write to a pipe. Who is not given its descriptor finds
// no name of it but in the /proc of those who were, where the kernel asks who is
// looking (proc(5)).
func letReopen(fd int) {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO && st.Mode&0o022 != 0o022 {
		_ = unix.Fchmod(fd, st.Mode&0o7777|0o022)
	}
}
