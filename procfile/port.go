package procfile

import "fmt"

const (
	maxPort  = 65535
	typeStep = 100 // foreman's distance between the first ports of two types
)

// Ports gives each process type the TCP port of its first worker: the type
// web gets base, and the others base+100, base+200 and so on in the order of
// names. Without web the first type gets base, as every first type does in
// foreman, which has no rule for web.
//
// The names are those of all types of the Procfile, whether they run or not,
// so that a type keeps its port whichever others run beside it. A port above
// 65535 is reported by [Port], since the type may never need it. A base
// outside 1 to 65535 is an error.
func Ports(names []string, base int) (map[string]int, error) {
	if base < 1 || base > maxPort {
		return nil, fmt.Errorf("base port %d is no TCP port; write a number from 1 to %d", base, maxPort)
	}
	ports := make(map[string]int, len(names))
	next := base
	for _, name := range names {
		if name == "web" {
			ports[name] = base
			next += typeStep
		}
	}
	for _, name := range names {
		if name != "web" {
			ports[name] = next
			next += typeStep
		}
	}
	return ports, nil
}

// Port gives the port of the worker NAME.INDEX: typeBase, which [Ports] gave
// for the type, for index 1 and one more for each further index. A port above
// 65535 is an error that names the worker, as is an index below 1. From index
// 101 on a worker's port is also that of another type's worker, as in foreman.
func Port(name string, typeBase, index int) (int, error) {
	if index < 1 {
		return 0, fmt.Errorf("%s.%d is no worker; workers count from 1", name, index)
	}
	if typeBase > maxPort-(index-1) {
		return 0, fmt.Errorf("%s.%d would get port %d, above %d; use a lower base port or fewer workers", name, index, uint64(typeBase)+uint64(index-1), maxPort)
	}
	return typeBase + index - 1, nil
}
