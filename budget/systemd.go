package budget

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"syscall"
	"time"
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
	root  string
	bus   *bus
	units []unit // the process's own first
	// unknown are properties that this version does not have.
	unknown map[string]error
}

// unit is a unit and the object that stands for it.
type unit struct {
	name, path, iface string
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
	var problems []string
	for i, socket := range []string{systemdSocket, systemBus} {
		err := errors.New("is not there")
		if exists(s.root + socket) {
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
			return fmt.Errorf("Hello: %w", err)
		}
	}
	s.unknown = make(map[string]error)
	s.units, err = s.around()
	return err
}

const (
	systemdName     = "org.freedesktop.systemd1"
	systemdManager  = systemdName + ".Manager"
	mostUnits       = 32 // systemd nests no deeper; a circle of slices ends here
	rootSlice       = "-.slice"
	unknownProperty = "org.freedesktop.DBus.Error.UnknownProperty"
)

// around finds the unit of this process and the slices that it is in, but for the
// root slice, which is the whole machine.
func (s *systemd) around() ([]unit, error) {
	manager := method{systemdName, "/org/freedesktop/systemd1", systemdManager, "GetUnitByPID"}
	path, err := objectPath(s.bus.call(manager, uint32(0))) // 0 is who asks
	if err != nil {
		return nil, fmt.Errorf("GetUnitByPID: %w", err)
	}
	name, err := first[string](s.get(path, systemdName+".Unit", "Id"))
	if err != nil {
		return nil, fmt.Errorf("Id: %w", err)
	}
	var units []unit
	for name != "" && name != rootSlice && len(units) < mostUnits {
		u := unit{name, path, unitInterface(name)}
		units = append(units, u)
		if name, err = first[string](s.get(path, u.iface, "Slice")); err != nil {
			return nil, fmt.Errorf("Slice of %s: %w", u.name, err)
		}
		if name == "" || name == rootSlice {
			break
		}
		manager.name = "GetUnit"
		if path, err = objectPath(s.bus.call(manager, name)); err != nil {
			return nil, fmt.Errorf("GetUnit %s: %w", name, err)
		}
	}
	if len(units) == 0 {
		return nil, errors.New("this process is in the root slice")
	}
	return units, nil
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

// get asks for a property.
func (s *systemd) get(path, iface, property string) ([]any, error) {
	return s.bus.call(method{systemdName, path, "org.freedesktop.DBus.Properties", "Get"}, iface, property)
}

// levels are the units' numbers in the form of cgroup v2's files.
func (s *systemd) levels() (answer, error) {
	var a answer
	lowest := uint64(math.MaxUint64)
	for i := range s.units {
		u := &s.units[i]
		l := level{dir: "systemd: " + u.name}
		var usage, limit uint64
		for _, p := range []struct {
			file     *file
			property string
			value    *uint64
			ownOnly  bool
		}{
			{&l.limit, "MemoryMax", &limit, false},
			{&l.usage, "MemoryCurrent", &usage, false},
			{&l.high, "MemoryHigh", nil, false},
			{&l.swapLimit, "MemorySwapMax", nil, false},
			{&l.swapUsage, "MemorySwapCurrent", nil, true},
			{&l.room, "MemoryAvailable", nil, true},
		} {
			if p.ownOnly && i > 0 {
				continue
			}
			n, err := s.number(u, p.property)
			if err != nil && !isRefusal(err) {
				return answer{}, err
			}
			*p.file = toldNumber(l.dir+"/"+p.property, n, err)
			if p.value != nil {
				*p.value = n
			}
		}
		if l.limit.state == fileTold {
			lowest = min(lowest, limit)
		}
		if l.usage.state == fileTold || l.limit.state == fileTold && limit != math.MaxUint64 {
			l.untold()
			a.levels = append(a.levels, l)
		}
		n, err := s.number(u, "CPUQuotaPerSecUSec")
		if err != nil && !isRefusal(err) {
			return answer{}, err
		}
		if err == nil {
			a.quotas = append(a.quotas, unitQuota(l.dir+"/CPUQuotaPerSecUSec", n))
		}
	}
	if len(a.levels) == 0 {
		return answer{}, fmt.Errorf("%s has no limit, and its memory is not accounted", s.units[0].name)
	}
	return s.effective(a, lowest)
}

// effective adds the limit of what is around the units and cannot be asked, where
// systemd (256 and newer) knows it.
func (s *systemd) effective(a answer, lowest uint64) (answer, error) {
	const property = "EffectiveMemoryMax"
	n, err := s.number(&s.units[0], property)
	if err != nil && !isRefusal(err) {
		return answer{}, err
	}
	own := &a.levels[0]
	note := Source{Name: property, File: own.dir + "/" + property}
	if err != nil {
		note.Missing = err.Error()
	} else {
		note.Value = limitText(n)
	}
	a.notes = append(a.notes, note)
	var info syscall.Sysinfo_t
	// The root slice counts as limited to the machine's memory.
	if err == nil && n < lowest && syscall.Sysinfo(&info) == nil && n < uint64(info.Totalram)*uint64(info.Unit) {
		l := level{dir: own.dir, limit: toldNumber(note.File, n, nil), usage: own.usage}
		l.untold()
		a.levels = append(a.levels, l)
	}
	return a, nil
}

// number asks for a property that is a number.
func (s *systemd) number(u *unit, property string) (uint64, error) {
	if err := s.unknown[u.iface+property]; err != nil {
		return 0, err
	}
	n, err := first[uint64](s.get(u.path, u.iface, property))
	var r *refusal
	if errors.As(err, &r) && r.name == unknownProperty {
		s.unknown[u.iface+property] = err
	}
	if err != nil && r == nil {
		err = fmt.Errorf("%s of %s: %w", property, u.name, err)
	}
	return n, err
}

// toldNumber is a property as the text of a file. The largest number is what
// systemd has for infinity and for what is not known.
func toldNumber(path string, n uint64, err error) file {
	property := base(path)
	switch {
	case err != nil:
		return untold(path, err)
	case n != math.MaxUint64:
	case property == "MemoryCurrent" || property == "MemorySwapCurrent" || property == "MemoryAvailable":
		return untold(path, errors.New("is not accounted"))
	}
	return told(path, limitText(n))
}

func limitText(n uint64) string {
	if n == math.MaxUint64 {
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
