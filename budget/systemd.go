package budget

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"
)

// The sockets on which systemd is asked. The first is its own and root's alone.
const (
	systemdSocket = "/run/systemd/private"
	systemBus     = "/run/dbus/system_bus_socket"
)

// systemd asks the service manager about the unit that this process is in and
// the slices around it, as org.freedesktop.systemd1(5) describes them. It tells
// limits and usage and nothing of what can be reclaimed, so that page cache counts
// as used.
type systemd struct {
	root   string
	bus    *bus
	socket string // that the bus is on
	own    string // the object of this process's unit
}

func (s *systemd) ask(deadline time.Time) (answer, error) {
	var err error
	if s.bus == nil {
		err = s.connect(deadline)
	} else {
		err = s.bus.conn.SetDeadline(deadline)
	}
	if err != nil {
		return answer{}, err
	}
	a, err := s.levels()
	if err != nil {
		s.close()
	}
	return a, err
}

func (s *systemd) close() {
	if s.bus != nil {
		s.bus.conn.Close()
		s.bus = nil
	}
}

// connect finds the own unit by systemd's own socket, else by the system bus.
func (s *systemd) connect(deadline time.Time) error {
	if !exists(s.root+systemdSocket) && !exists(s.root+systemBus) {
		return fmt.Errorf("%s and %s: %w", systemdSocket, systemBus, os.ErrNotExist)
	}
	var problems []string
	for i, socket := range []string{systemdSocket, systemBus} {
		err := os.ErrNotExist
		if exists(s.root + socket) {
			s.socket = socket
			if err = s.reach(socket, time.Now().Add(time.Until(deadline)/time.Duration(2-i))); err == nil {
				return s.bus.conn.SetDeadline(deadline)
			}
			s.close()
		}
		problems = append(problems, socket+": "+err.Error())
	}
	return errors.New(strings.Join(problems, "; "))
}

func (s *systemd) reach(socket string, deadline time.Time) (err error) {
	if s.bus, err = dialBus(s.root+socket, deadline); err != nil {
		return err
	}
	if socket == systemBus {
		const name = "org.freedesktop.DBus"
		if _, err := s.bus.call(method{name, "/org/freedesktop/DBus", name, "Hello"}); err != nil {
			return fmt.Errorf("to Hello: %w", err)
		}
	}
	manager := method{systemdName, "/org/freedesktop/systemd1", systemdName + ".Manager", "GetUnitByPID"}
	if s.own, err = objectPath(s.bus.call(manager, uint32(0))); err != nil { // 0 is who asks
		return fmt.Errorf("to GetUnitByPID: %w", err)
	}
	return nil
}

const (
	systemdName  = "org.freedesktop.systemd1"
	unitsPath    = "/org/freedesktop/systemd1/unit/"
	mostUnits    = 32        // a circle of slices ends here
	rootSlice    = "-.slice" // the whole machine
	infinity     = uint64(math.MaxUint64)
	effectiveMax = "EffectiveMemoryMax"
)

// unitPath is the object of a unit: all but letters, and digits within, are escaped.
func unitPath(name string) string {
	path := []byte(unitsPath)
	for i, c := range []byte(name) {
		if c|0x20 >= 'a' && c|0x20 <= 'z' || i > 0 && c >= '0' && c <= '9' {
			path = append(path, c)
		} else {
			path = fmt.Appendf(path, "_%02x", c)
		}
	}
	return string(path)
}

// unitName undoes unitPath. It is false where no unit has that object.
func unitName(path string) (string, bool) {
	escaped, ok := strings.CutPrefix(path, unitsPath)
	if !ok {
		return "", false
	}
	name := strings.ReplaceAll(escaped, "_", "%")
	name, err := url.PathUnescape(name)
	return name, err == nil && unitPath(name) == path
}

// unitInterface is the interface of a unit's kind: of "web.service"
// org.freedesktop.systemd1.Service.
func unitInterface(name string) string {
	kind := name[strings.LastIndexByte(name, '.')+1:]
	if kind == "" {
		return systemdName
	}
	return systemdName + "." + strings.ToUpper(kind[:1]) + kind[1:]
}

// levels are the units' numbers in the form of cgroup v2's files.
func (s *systemd) levels() (answer, error) {
	name, ok := unitName(s.own)
	if !ok {
		return answer{}, fmt.Errorf("%s is no unit", s.own)
	}
	a := answer{notes: []Source{{Name: "systemd", File: s.socket, Value: name}}}
	lowest, effective := infinity, infinity
	own := name
	for range mostUnits {
		if name == "" || name == rootSlice {
			break
		}
		u, err := s.unit(name)
		if err != nil {
			return answer{}, fmt.Errorf("%s: %w", name, err)
		}
		if name == own {
			effective = u.effective
			a.notes = append(a.notes, u.note)
		}
		lowest = min(lowest, u.limit)
		if u.usage.state == fileTold || u.limit != infinity {
			a.levels = append(a.levels, u.level)
		}
		a.quotas = append(a.quotas, u.quotas...)
		name = u.slice
	}
	if len(a.levels) == 0 {
		return answer{}, fmt.Errorf("%s has no limit, and its memory is not accounted", own)
	}
	// What is around the units and cannot be asked systemd knows from version 256
	// on. The root slice counts as limited to the machine's memory.
	var info syscall.Sysinfo_t
	if effective < lowest && syscall.Sysinfo(&info) == nil && effective < uint64(info.Totalram)*uint64(info.Unit) {
		l := level{dir: a.levels[0].dir, limit: told(unitFile(own, effectiveMax), limitText(effective)), usage: a.levels[0].usage}
		l.untold()
		a.levels = append(a.levels, l)
	}
	return a, nil
}

// unit is what one unit's properties tell.
type unit struct {
	level
	limit, effective uint64
	slice            string
	quotas           []quota
	note             Source // of effective
}

// unit asks for all properties of a unit at once: a busy systemd takes its time
// for each question.
func (s *systemd) unit(name string) (u unit, err error) {
	get := method{systemdName, unitPath(name), "org.freedesktop.DBus.Properties", "GetAll"}
	all, err := first[map[string]dbus.Variant](s.bus.call(get, unitInterface(name)))
	if err != nil {
		return u, err
	}
	u.dir, u.effective = "systemd: "+name, infinity
	number := func(property string) (n uint64, f file) {
		path := unitFile(name, property)
		value, ok := all[property]
		if !ok {
			return infinity, untold(path, errors.New("this systemd does not tell it"))
		}
		n, ok = value.Value().(uint64)
		if !ok && err == nil {
			err = fmt.Errorf("%s: %w: want a number, got %T", property, errMalformed, value.Value())
		}
		return n, toldNumber(path, n)
	}
	u.limit, u.level.limit = number("MemoryMax")
	if n, f := number("MemoryLimit"); n < u.limit { // what cgroup v1 has
		u.limit, u.level.limit = n, f
	}
	_, u.usage = number("MemoryCurrent")
	_, u.high = number("MemoryHigh")
	_, u.room = number("MemoryAvailable")
	_, u.swapLimit = number("MemorySwapMax")
	_, u.swapUsage = number("MemorySwapCurrent")
	u.untold()
	var f file
	u.effective, f = number(effectiveMax)
	u.note = Source{Name: effectiveMax, File: f.path, Value: limitText(u.effective)}
	if f.state == fileMissing {
		u.note.Value, u.note.Missing = "", f.problem.Error()
	}
	if n, f := number("CPUQuotaPerSecUSec"); f.state == fileTold {
		u.quotas = []quota{unitQuota(f.path, n)}
	}
	if slice, ok := all["Slice"]; ok {
		if u.slice, ok = slice.Value().(string); !ok && err == nil {
			err = fmt.Errorf("the unit's Slice: %w: want a text, got %T", errMalformed, slice.Value())
		}
	}
	return u, err
}

// unitFile stands for a property where others have the path of a file.
func unitFile(unit, property string) string { return "systemd: " + unit + "/" + property }

// toldNumber is a property as the text of a file. The largest number is what
// systemd has for infinity and for what is not known.
func toldNumber(path string, n uint64) file {
	property := base(path)
	switch {
	case n != infinity:
	case property == "MemoryCurrent" || property == "MemorySwapCurrent" || property == "MemoryAvailable":
		return untold(path, errors.New("is not accounted"))
	}
	return told(path, limitText(n))
}

func limitText(n uint64) string {
	if n == infinity {
		return "max"
	}
	return strconv.FormatUint(n, 10)
}

// unitQuota is a quota in microseconds of CPU time a second.
func unitQuota(path string, n uint64) quota {
	q := quota{file: path, text: limitText(n)}
	if n < maxQuota {
		q.milli, q.limited = max(1, int64(n)/1000), true
	}
	return q
}
