package budget

import (
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/godbus/dbus/v5"
)

// manager is a systemd with a service in a slice in another one. Its properties
// are by "unit Property".
type manager struct {
	mu         sync.Mutex
	properties map[string]any
}

func newManager() *manager {
	return &manager{properties: map[string]any{
		"web.service Slice":                "app-web.slice",
		"app-web.slice Slice":              "app.slice",
		"app.slice Slice":                  "-.slice",
		"web.service MemoryMax":            uint64(256 * mib),
		"web.service MemoryHigh":           uint64(200 * mib),
		"web.service MemoryCurrent":        uint64(100 * mib),
		"web.service MemorySwapMax":        infinity,
		"web.service MemorySwapCurrent":    infinity,
		"web.service MemoryAvailable":      uint64(90 * mib),
		"web.service EffectiveMemoryMax":   uint64(150 * mib),
		"web.service CPUQuotaPerSecUSec":   uint64(1_500_000),
		"app-web.slice MemoryMax":          infinity,
		"app-web.slice MemoryHigh":         infinity,
		"app-web.slice MemoryCurrent":      uint64(110 * mib),
		"app-web.slice MemorySwapMax":      infinity,
		"app-web.slice CPUQuotaPerSecUSec": infinity,
		"-.slice MemoryMax":                uint64(mib), // the machine, which nobody limits so
		"-.slice MemoryCurrent":            uint64(mib),
		"app.slice MemoryMax":              uint64(192 * mib),
		"app.slice MemoryHigh":             infinity,
		"app.slice MemoryCurrent":          uint64(120 * mib),
		"app.slice MemorySwapMax":          uint64(64 * mib),
		"app.slice CPUQuotaPerSecUSec":     uint64(1_000_000),
	}}
}

func (m *manager) set(property string, value any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.properties[property] = value
}

func (m *manager) handle(_, path, member string, args []any) ([]any, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch member {
	case "org.freedesktop.systemd1.Manager.GetUnitByPID":
		if path != "/org/freedesktop/systemd1" || args[0] != uint32(0) {
			return nil, errors.New("org.freedesktop.systemd1.NoUnitForPID")
		}
		return []any{dbus.ObjectPath("/org/freedesktop/systemd1/unit/web_2eservice")}, nil
	case "org.freedesktop.DBus.Properties.GetAll":
		escaped := strings.TrimPrefix(path, "/org/freedesktop/systemd1/unit/")
		name := strings.NewReplacer("_2e", ".", "_2d", "-").Replace(escaped)
		kind := map[string]string{"service": "Service", "slice": "Slice"}[name[strings.LastIndex(name, ".")+1:]]
		if args[0] != "org.freedesktop.systemd1."+kind {
			return nil, errors.New("org.freedesktop.DBus.Error.UnknownInterface")
		}
		all := map[string]dbus.Variant{"ControlGroup": dbus.MakeVariant("/x")}
		for key, value := range m.properties {
			if property, ok := strings.CutPrefix(key, name+" "); ok {
				all[property] = dbus.MakeVariant(value)
			}
		}
		return []any{all}, nil
	}
	return nil, errors.New("org.freedesktop.DBus.Error.UnknownMethod")
}

// openManager opens a Budget that asks m by its own socket.
func openManager(t *testing.T, m *manager) *Budget {
	t.Helper()
	root := socketRoot(t)
	listen(t, root+systemdSocket, answering(m.handle))
	return openPatient(t, root)
}

func TestSystemd(t *testing.T) {
	b := openManager(t, newManager())
	if got := b.Rung(); got != "systemd" {
		t.Fatalf("the rung is %s: %v", got, b.Missed())
	}
	want := Memory{
		Limit: 150 * mib, Limited: true, High: 200 * mib, HasHigh: true, Used: 100 * mib,
		Available: 50 * mib, Headroom: 50 * mib,
		HostTotal: 1 << 30, HostAvailable: 512 * mib,
		LimitFrom: "systemd: web.service/EffectiveMemoryMax", AvailableFrom: "systemd: web.service/EffectiveMemoryMax",
	}
	if got := read(t, b); got != want {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	write(t, b.root+onlineFile, "0-3\n")
	cpu, err := b.CPU()
	if want := (CPU{Limit: 1000, Limited: true, Quota: 1000, HasQuota: true, Allowed: 4, Online: 4, LimitFrom: "systemd: app.slice/CPUQuotaPerSecUSec"}); err != nil || cpu != want {
		t.Errorf("CPU: got %+v, %v", cpu, err)
	}
	if dir, _, ok := b.Place(); ok {
		t.Errorf("the place is %s: there is no such directory", dir)
	}
	if why := missed(b, "cgroup"); why != "no cgroup file system is mounted" {
		t.Errorf("no cgroup because %q", why)
	}
	if _, err := b.Parts(); err == nil || err.Error() != "read systemd: web.service: not told" {
		t.Errorf("Parts: %v", err)
	}
	listed := map[string]string{}
	for _, s := range b.Sources() {
		listed[s.File] = s.Value
	}
	for file, value := range map[string]string{
		"systemd: web.service/MemoryCurrent": "104857600", "systemd: web.service/MemoryAvailable": "94371840",
		"systemd: app-web.slice/MemoryMax": "max", "systemd: app.slice/MemoryMax": "201326592",
		"systemd: web.service/EffectiveMemoryMax": "157286400",
	} {
		if listed[file] != value {
			t.Errorf("Sources: %s is %q, want %s", file, listed[file], value)
		}
	}
}

// TestSystemdLevels changes what a running systemd tells.
func TestSystemdLevels(t *testing.T) {
	m := newManager()
	b := openManager(t, m)
	for _, step := range []struct {
		set                        map[string]any
		limit, available, headroom int64
		from                       string
	}{
		{map[string]any{"web.service EffectiveMemoryMax": infinity}, 192 * mib, 72 * mib, 72 * mib, "app.slice/MemoryMax"},
		{map[string]any{"web.service MemoryAvailable": uint64(50 * mib)}, 192 * mib, 72 * mib, 50 * mib, "app.slice/MemoryMax"},
		{map[string]any{"app.slice MemoryMax": infinity, "web.service MemoryAvailable": infinity}, 256 * mib, 156 * mib, 156 * mib, "web.service/MemoryMax"},
		{map[string]any{"web.service MemoryMax": uint64(64 * mib)}, 64 * mib, 0, 0, "web.service/MemoryMax"},
		{map[string]any{"web.service MemoryMax": infinity}, 1 << 30, 512 * mib, 512 * mib, ""},
	} {
		for property, value := range step.set {
			m.set(property, value)
		}
		got := read(t, b)
		if got.Limit != step.limit || got.Available != step.available || got.Headroom != step.headroom ||
			step.from != "" && got.LimitFrom != "systemd: "+step.from {
			t.Errorf("after %v: got %+v", step.set, got)
		}
	}
	b.SetLimit(128 * mib)
	if got := read(t, b); got.Limit != 128*mib || got.Available != 28*mib || got.Used != 100*mib {
		t.Errorf("with a limit of 128 MiB: got %+v", got)
	}
}

// TestSystemdAbsurd: a number that cannot be is an error that names the property,
// and no number at all.
func TestSystemdAbsurd(t *testing.T) {
	for property, value := range map[string]any{
		"web.service MemoryCurrent": uint64(1 << 63), "app.slice MemoryMax": infinity - 1, "web.service MemoryMax": "256M",
		"web.service MemoryHigh": []byte{1}, "app.slice MemoryCurrent": -1.5,
	} {
		t.Run(property, func(t *testing.T) {
			m := newManager()
			b := openManager(t, m)
			read(t, b)
			m.set(property, value)
			unit, name, _ := strings.Cut(property, " ")
			b.feed.at = b.feed.at.Add(-oldest) // an earlier answer is too old
			if got, err := b.Read(); err == nil || !strings.Contains(err.Error(), unit) || !strings.Contains(err.Error(), name) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// TestSystemdOld is a version with few of the properties, and a unit whose memory is
// not accounted.
func TestSystemdOld(t *testing.T) {
	m := newManager()
	for _, name := range []string{"MemoryAvailable", "EffectiveMemoryMax", "MemorySwapCurrent", "MemorySwapMax", "MemoryHigh"} {
		for _, unit := range []string{"web.service ", "app-web.slice ", "app.slice "} {
			delete(m.properties, unit+name)
		}
	}
	m.properties["app-web.slice MemoryCurrent"] = infinity
	b := openManager(t, m)
	if got := read(t, b); got.Limit != 192*mib || got.HasHigh || got.Headroom != 72*mib {
		t.Errorf("got %+v", got)
	}
	if len(b.levels) != 2 {
		t.Errorf("%d levels, want those of web.service and app.slice", len(b.levels))
	}
	for _, s := range b.Sources() {
		if s.Name == effectiveMax && s.Missing != "this systemd does not tell it" {
			t.Errorf("got %+v", s)
		}
	}
}

func TestSystemdUnaccounted(t *testing.T) {
	m := newManager()
	for property, value := range m.properties {
		if _, ok := value.(uint64); ok {
			m.properties[property] = infinity
		}
	}
	b := openManager(t, m)
	if why := missed(b, "systemd"); !strings.Contains(why, "web.service has no limit, and its memory is not accounted") {
		t.Errorf("systemd is not used because %q", why)
	}
}

// TestSystemBus has only the bus, which knows nobody who did not say Hello, and
// needs a destination.
func TestSystemBus(t *testing.T) {
	root := socketRoot(t)
	m := newManager()
	listen(t, root+systemBus, func(c net.Conn) {
		hello := false
		answering(func(destination, path, member string, args []any) ([]any, error) {
			switch {
			case destination == "org.freedesktop.DBus" && member == "org.freedesktop.DBus.Hello":
				hello = true
				return []any{":1.7"}, nil
			case !hello || destination != systemdName:
				return nil, errors.New("org.freedesktop.DBus.Error.AccessDenied")
			}
			return m.handle(destination, path, member, args)
		})(c)
	})
	b := openPatient(t, root)
	if got := read(t, b); b.Rung() != "systemd" || got.Limit != 150*mib {
		t.Errorf("%s: got %+v; %v", b.Rung(), got, b.Missed())
	}
}

// TestSystemdAway: answers stop, the connection goes, and another one is made.
func TestSystemdAway(t *testing.T) {
	m := newManager()
	root := socketRoot(t)
	conns := make(chan net.Conn, 8)
	listen(t, root+systemdSocket, func(c net.Conn) {
		conns <- c
		answering(m.handle)(c)
	})
	b := openTree(t, root)
	before := read(t, b)
	m.mu.Lock() // it does not answer
	if got, err := b.Read(); err != nil || got != before {
		t.Errorf("while it does not answer: got %+v, %v", got, err)
	}
	if got, err := b.Read(); err != nil || got != before {
		t.Errorf("and again: got %+v, %v", got, err)
	}
	b.feed.at = b.feed.at.Add(-oldest)
	if _, err := b.Read(); err == nil || !strings.Contains(err.Error(), "systemd: no answer for") {
		t.Errorf("when the answer is old: got %v", err)
	}
	m.properties["web.service EffectiveMemoryMax"] = uint64(80 * mib)
	m.mu.Unlock()
	await(t, b, 80*mib)
	(<-conns).Close()
	m.set("web.service EffectiveMemoryMax", uint64(70*mib))
	await(t, b, 70*mib)
	select {
	case <-conns:
	default:
		t.Error("no other connection was made")
	}
}

// await reads until the limit is n, each time when the question before is answered.
func await(t *testing.T, b *Budget, n int64) {
	t.Helper()
	for range 100 {
		if b.feed.asked {
			b.feed.answers <- <-b.feed.answers
		}
		if m, err := b.Read(); err == nil && m.Limit == n {
			return
		}
	}
	t.Errorf("the limit never became %d: %v", n, b.feed.problem)
}

// TestSystemdLate: it answers when a lower source was taken already.
func TestSystemdLate(t *testing.T) {
	root := processTree(t)
	m := newManager()
	var free atomic.Bool
	listen(t, root+systemdSocket, func(c net.Conn) {
		if !free.Load() {
			c.Close()
			return
		}
		answering(m.handle)(c)
	})
	b := openPatient(t, root)
	if got := read(t, b); b.Rung() != "processes" || got.Used != processesUse || len(b.late) != 1 {
		t.Fatalf("%s: got %+v", b.Rung(), got)
	}
	l := b.late[0].feed
	when := l.when
	read(t, b)
	if read(t, b); l.asked || l.when != when {
		t.Error("it was asked again at once")
	}
	free.Store(true)
	l.when = l.when.Add(-oldest)
	read(t, b)
	if len(b.late) == 1 { // else it was quick
		l.answers <- <-l.answers
	}
	if got := read(t, b); b.Rung() != "systemd" || got.Limit != 150*mib {
		t.Errorf("%s: got %+v", b.Rung(), got)
	}
	if got := b.Missed(); len(got) != 1 || got[0].Rung != "cgroup" {
		t.Errorf("missed: %v", got)
	}
}

func TestUnitPath(t *testing.T) {
	for name, escaped := range map[string]string{
		"web.service": "web_2eservice", "-.slice": "_2d_2eslice", "1a.scope": "_31a_2escope",
		"docker-0f.scope": "docker_2d0f_2escope", `a@b\x2d_ü.service`: "a_40b_5cx2d_5f_c3_bc_2eservice",
	} {
		path := unitPath(name)
		if back, ok := unitName(path); path != unitsPath+escaped || back != name || !ok {
			t.Errorf("%s: got %s, and back %q, %v", name, path, back, ok)
		}
	}
	for _, path := range []string{"/", "/org/freedesktop/systemd1/unit/a.b", "/org/freedesktop/systemd1/unit/a_2", unitsPath + "a_2E"} {
		if name, ok := unitName(path); ok {
			t.Errorf("%s is %q", path, name)
		}
	}
}

func TestNoBus(t *testing.T) {
	b := openTree(t, socketRoot(t))
	if why := missed(b, "systemd"); why != systemdSocket+" and "+systemBus+": file does not exist" {
		t.Errorf("systemd: %s", why)
	}
	if why := missed(b, "cgmanager"); why != cgmanagerSocket+": file does not exist" {
		t.Errorf("cgmanager: %s", why)
	}
	if why := missed(b, "processes"); !strings.Contains(why, "no process can be seen") {
		t.Errorf("processes: %s", why)
	}
}

// TestSystemdOnV1: where MemoryLimit= is set, and MemoryMax= is not, the former holds.
func TestSystemdOnV1(t *testing.T) {
	m := newManager()
	m.set("web.service MemoryLimit", uint64(128*mib))
	m.set("app.slice MemoryLimit", infinity)
	if got := read(t, openManager(t, m)); got.Limit != 128*mib || got.LimitFrom != "systemd: web.service/MemoryLimit" {
		t.Errorf("got %d from %s", got.Limit, got.LimitFrom)
	}
	m.set("web.service MemoryMax", uint64(100*mib))
	if got := read(t, openManager(t, m)); got.Limit != 100*mib || got.LimitFrom != "systemd: web.service/MemoryMax" {
		t.Errorf("both set: got %d from %s", got.Limit, got.LimitFrom)
	}
}
