package budget

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// cgmanagerSocket is where cgmanager, or the cgproxy of a container, answers.
const cgmanagerSocket = "/sys/fs/cgroup/cgmanager/sock"

// cgmanager asks the cgroup manager of old LXC for the files of the process's own
// cgroup v1. What it answers is their text. Levels around that cgroup may not be
// asked for; its memory.stat tells their limit.
type cgmanager struct {
	root string
	bus  *bus
}

func (c *cgmanager) ask(deadline time.Time) (a answer, err error) {
	if !exists(c.root + cgmanagerSocket) {
		return answer{}, fmt.Errorf("%s: %w", cgmanagerSocket, os.ErrNotExist)
	}
	if c.bus == nil {
		c.bus, err = dialBus(c.root+cgmanagerSocket, deadline)
	} else {
		err = c.bus.conn.SetDeadline(deadline)
	}
	if err == nil {
		a, err = c.levels()
	}
	if err != nil {
		c.close()
		err = fmt.Errorf("%s: %w", cgmanagerSocket, err)
	}
	return a, err
}

func (c *cgmanager) close() {
	if c.bus != nil {
		c.bus.conn.Close()
		c.bus = nil
	}
}

func (c *cgmanager) levels() (answer, error) {
	l := level1("cgmanager: memory")
	l.hasHidden = true
	for _, f := range l.files() {
		if f.path == "" {
			continue
		}
		text, err := c.value("memory", base(f.path))
		switch {
		case err == nil:
			*f = told(f.path, text)
		case isRefusal(err):
			*f = untold(f.path, err)
		default:
			return answer{}, err
		}
	}
	if l.limit.state != fileTold && l.usage.state != fileTold {
		return answer{}, errors.Join(l.limit.problem, l.usage.problem)
	}
	l.untold()
	a := answer{levels: []level{l}}
	const file = "cpu.cfs_quota_us"
	us, err := c.value("cpu", file)
	period := ""
	if err == nil {
		period, err = c.value("cpu", "cpu.cfs_period_us")
	}
	if err == nil {
		var in input
		a.quotas = []quota{in.quota("cgmanager: cpu/"+file, []byte(us+" "+period+"\n"))}
		err = in.err
	} else if isRefusal(err) {
		err = nil
	}
	return a, err
}

// value asks for a file of the process's own cgroup, which is named by nothing.
func (c *cgmanager) value(controller, key string) (string, error) {
	const iface = "org.linuxcontainers.cgmanager0_0"
	return first[string](c.bus.call(method{"", "/org/linuxcontainers/cgmanager", iface, "GetValue"}, controller, "", key))
}
