package procfile

import (
	"reflect"
	"testing"
)

func TestPorts(t *testing.T) {
	tests := []struct {
		name  string
		types []string
		base  int
		want  map[string]int
	}{
		{"web first", []string{"web", "worker", "clock"}, 5000, map[string]int{"web": 5000, "worker": 5100, "clock": 5200}},
		{"web in the middle", []string{"release", "web", "worker"}, 5000, map[string]int{"web": 5000, "release": 5100, "worker": 5200}},
		{"no web", []string{"api", "worker"}, 80, map[string]int{"api": 80, "worker": 180}},
		{"above 65535", []string{"web", "worker"}, 65535, map[string]int{"web": 65535, "worker": 65635}},
		{"no type", nil, 1, map[string]int{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Ports(tt.types, tt.base)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func TestPortsErrors(t *testing.T) {
	tests := []struct {
		base int
		want string
	}{
		{0, "base port 0 is no TCP port; write a number from 1 to 65535"},
		{-1, "base port -1 is no TCP port; write a number from 1 to 65535"},
		{65536, "base port 65536 is no TCP port; write a number from 1 to 65535"},
	}
	for _, tt := range tests {
		if got, err := Ports([]string{"web"}, tt.base); err == nil || err.Error() != tt.want || got != nil {
			t.Errorf("%d: got %v, %v; want %s", tt.base, got, err, tt.want)
		}
	}
}

func TestPort(t *testing.T) {
	tests := []struct{ base, index, want int }{
		{5000, 1, 5000},
		{5100, 3, 5102},
		{65535, 1, 65535},
		{1, 65535, 65535},
	}
	for _, tt := range tests {
		if got, err := Port("web", tt.base, tt.index); err != nil || got != tt.want {
			t.Errorf("%d, %d: got %d, %v; want %d", tt.base, tt.index, got, err, tt.want)
		}
	}
}

func TestPortErrors(t *testing.T) {
	tests := []struct {
		base, index int
		want        string
	}{
		{65500, 37, "worker.37 would get port 65536, above 65535; use a lower base port or fewer workers"},
		{65635, 1, "worker.1 would get port 65635, above 65535; use a lower base port or fewer workers"},
		{5000, 1<<31 - 1, "worker.2147483647 would get port 2147488646, above 65535; use a lower base port or fewer workers"},
		{5000, 0, "worker.0 is no worker; workers count from 1"},
		{5000, -1 << 31, "worker.-2147483648 is no worker; workers count from 1"},
	}
	for _, tt := range tests {
		if got, err := Port("worker", tt.base, tt.index); err == nil || err.Error() != tt.want || got != 0 {
			t.Errorf("%d, %d: got %d, %v; want %s", tt.base, tt.index, got, err, tt.want)
		}
	}
}
