package pressure

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"
)

var errV1 = errors.New("cgroup v1 has no pressure and no events of its own")

// openV1 asks cgroup.event_control of dir for what cgroup v1 can tell.
//
// Thresholds on memory.usage_in_bytes are not asked for: they would say that a
// line was crossed, in either direction and by page cache as well, and they would
// have to be drawn anew with each new limit. The caller's own looking, which
// follows the headroom, comes at the same moments.
func (w *Watcher) openV1(dir string) {
	w.miss(rungTrigger, dir+"/memory.pressure", errV1)
	control := dir + "/cgroup.event_control"
	for _, x := range [...]struct {
		source Source
		name   string
		args   string
	}{
		{OOM, "memory.oom_control", ""},
		{Level, "memory.pressure_level", " medium"},
	} {
		path := dir + "/" + x.name
		if at, err := w.openControl(control, path, x.source, x.args); err != nil {
			w.miss(rungControl, at, err)
			if at == control {
				return
			}
		}
	}
}

// openControl connects an eventfd with a file of the cgroup by a line "eventfd
// file args" in cgroup.event_control. The kernel also writes to the eventfd when
// the cgroup is removed. The string is the path that an error belongs to.
func (w *Watcher) openControl(control, path string, source Source, args string) (string, error) {
	c, err := open(control, unix.O_WRONLY)
	if err != nil {
		return control, err
	}
	defer unix.Close(c)
	file, err := open(path, unix.O_RDONLY)
	if err != nil {
		return path, err
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(file)
		return path, err
	}
	h := &heard{source: source, rung: rungControl, path: path, fd: fd, file: file}
	if err = write(c, strconv.Itoa(fd)+" "+strconv.Itoa(file)+args+"\x00"); err == nil {
		err = w.hear(h, unix.EPOLLIN)
	}
	if err != nil {
		h.close()
	}
	return path, err
}
