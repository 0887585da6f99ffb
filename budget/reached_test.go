package budget

import "testing"

func TestLimitReached(t *testing.T) {
	const peak, most, both = "/memory.peak", "/memory.max_usage_in_bytes", "/memory.memsw.max_usage_in_bytes"
	for _, tt := range []struct {
		name, tree string
		files      map[string]string
		want       bool
	}{
		{"v2 at its limit", "docker-v2", map[string]string{v2 + peak: "268435456\n"}, true},
		{"v2 within 1/64", "docker-v2", map[string]string{v2 + peak: "264241152\n"}, true},
		{"v2 below it", "docker-v2", map[string]string{v2 + peak: "264241151\n"}, false},
		{"v2 within 1 MiB", "docker-v2", map[string]string{v2 + "/memory.max": "8388608\n", v2 + peak: "7340032\n"}, true},
		{"v2 below 1 MiB", "docker-v2", map[string]string{v2 + "/memory.max": "8388608\n", v2 + peak: "7340031\n"}, false},
		{"v2 without a limit", "docker-v2", map[string]string{v2 + "/memory.max": "max\n", v2 + peak: "268435456\n"}, false},
		{"v2 before Linux 5.19", "docker-v2", nil, false},
		{"v2 unreadable", "docker-v2", map[string]string{v2 + peak: "-\n"}, false},
		{"v1 at its limit", "docker-v1-private", map[string]string{v1 + most: "268431360\n"}, true},
		{"v1 below it", "docker-v1-private", map[string]string{v1 + most: "200000000\n", v1 + both: "500000000\n"}, false},
		{"v1 at the limit with swap", "docker-v1-private", map[string]string{v1 + most: "200000000\n", v1 + both: "536870912\n"}, true},
		{"v1 without these files", "docker-v1-private", nil, false},
		{"v1 without limits", "docker-v1-private", map[string]string{
			v1 + "/memory.limit_in_bytes": "9223372036854771712\n", v1 + "/memory.memsw.limit_in_bytes": "9223372036854771712\n",
			v1 + "/memory.stat": "total_inactive_file 0\n", v1 + most: "268435456\n", v1 + both: "268435456\n",
		}, false},
		{"no cgroup", "no-cgroupfs", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := tree(t, tt.tree)
			for path, text := range tt.files {
				write(t, root+path, text)
			}
			b := openTree(t, root)
			if got := b.LimitReached(); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if err := b.Close(); err != nil || b.LimitReached() {
				t.Errorf("after Close: %v", err)
			}
		})
	}
}
