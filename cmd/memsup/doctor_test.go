package main

import "testing"

// TestUsageMissing has a limit file that is mounted without its usage.
func TestUsageMissing(t *testing.T) {
	const want = "usage is missing, so this is the limit"
	for _, tt := range []struct {
		limit   string
		usage   finding
		instead string
	}{
		{"/cg/memory.max", finding{From: "/cg/memory.current", Missing: "no such file or directory"}, want},
		{"/cg/memory.limit_in_bytes", finding{From: "/cg/memory.usage_in_bytes", Missing: "no such file or directory"}, want},
		{"systemd: web.service/MemoryMax", finding{From: "systemd: web.service/MemoryCurrent", Missing: "is not accounted"}, want},
		{"/cg/memory.max", finding{From: "/cg/memory.current", Value: "4096"}, ""},
		{"/cg/in/memory.max", finding{From: "/cg/memory.current", Missing: "no such file or directory"}, ""},
		{"/proc/meminfo", finding{From: "/cg/memory.current", Missing: "no such file or directory"}, ""},
	} {
		p := place{available: 1 << 20, availableFrom: tt.limit}
		if got := p.findings([]finding{{Name: "x", From: "/x", Missing: "x"}, tt.usage})[1]; got.Instead != tt.instead || got.Name != "MEM_AVAILABLE" {
			t.Errorf("%s: got %+v", tt.limit, got)
		}
	}
}
