package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/memsup/memsup/lens"
	"github.com/memsup/memsup/spawn"
)

// Foreground is what POST /v1/exec answers: how one more worker of a type is run in the
// process of whoever asked. The environment may hold secrets.
type Foreground struct {
	Argv      []string `json:"argv"`
	Env       []string `json:"env"`       // NAME=value
	Directory string   `json:"directory"` // memsup's own; empty is not known
	UID       int      `json:"uid"`       // memsup's own
	GID       int      `json:"gid"`
	Groups    []int    `json:"groups"` // supplementary
	// Settings are the type's own, which come before these.
	Settings *spawn.Settings `json:"settings"`
	// Lens is the mode of the type's lens, and Limit is Config.Limit, which it is told.
	Lens  string `json:"lens,omitempty"`
	Limit int64  `json:"limit,omitempty"`
	// OOMScoreAdj is what a worker of the type has (proc(5)).
	OOMScoreAdj int `json:"oom_score_adj"`
}

// foregroundRequest is the body of POST /v1/exec.
type foregroundRequest struct {
	Target string   `json:"target"` // a type
	Args   []string `json:"args"`   // behind those of its command
	Force  bool     `json:"force"`  // whatever memory holds
}

// foreground says how one more worker of a type is run by somebody else. It is none of
// memsup's: it has no index and no part in the shared socket, and what it takes is taken
// by others.
func (s *supervisor) foreground(q *foregroundRequest) (*Foreground, error) {
	t, err := s.find(q.Target)
	if err != nil {
		return nil, err
	}
	env, err := s.environment(&worker{typ: t, index: 1, name: t.Name + ".exec"})
	if err != nil {
		return nil, err
	}
	env = slices.DeleteFunc(env, func(v string) bool { return ofWorker(v) || strings.HasPrefix(v, "PORT=") })
	argv, shell := t.Argv, false
	if argv == nil {
		argv, shell = commandLine(t.Command, env)
	}
	if shell && len(q.Args) > 0 {
		return nil, fmt.Errorf("its command is run by a shell, which passes no argument on; write one simple command in place of: %s", t.Command)
	}
	if !q.Force {
		if err := s.holdsOneMore(t); err != nil {
			return nil, err
		}
	}
	f := &Foreground{
		Argv: append(slices.Clone(argv), q.Args...), Env: env,
		UID: unix.Geteuid(), GID: unix.Getegid(), Settings: t.Settings, OOMScoreAdj: min(s.oomScoreOf(t), 1000),
	}
	if t.Lens != lens.Off {
		f.Lens, f.Limit = t.Lens.String(), s.c.Limit
	}
	f.Groups, _ = unix.Getgroups()
	if f.Directory, err = unix.Getwd(); err != nil || !strings.HasPrefix(f.Directory, "/") {
		f.Directory = "" // it was removed
	}
	s.log.info("one more runs in the foreground", "type", t.Name)
	return f, nil
}

// holdsOneMore says whether memory holds one more worker of a type beside the reserve. A
// cost that is not known is none: nothing else would ever be started, such as what is
// only run in this way.
func (s *supervisor) holdsOneMore(t *processType) error {
	if !s.watches() {
		return nil
	}
	m, err := s.sys.memory()
	if err != nil {
		return fmt.Errorf("cannot tell how much memory there is: %w; --force starts it all the same", err)
	}
	headroom := max(0, m.Headroom-s.promised())
	cost, known := s.policy.Cost(t.index)
	reserve := s.pcfg.ReserveFor(m.Limit)
	if !known {
		cost = 0
	}
	if headroom-reserve >= cost {
		return nil
	}
	what := "the reserve of " + mib(reserve)
	if known {
		what = t.Name + "'s cost of " + mib(cost) + " and " + what
	}
	return fmt.Errorf("headroom of %s does not hold %s; --force starts it all the same", mib(headroom), what)
}

// wishForeground reads the body of POST /v1/exec.
func wishForeground(d *json.Decoder, r *request) error {
	r.exec = &foregroundRequest{}
	err := d.Decode(r.exec)
	if err == nil && r.exec.Target == "" {
		err = errors.New(`the form is {"target": "TYPE", "args": [], "force": false}`)
	}
	return err
}
