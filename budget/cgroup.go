package budget

import (
	"bytes"
	"strings"
)

// membership is one line of /proc/self/cgroup: the cgroup that this process has in
// one hierarchy.
type membership struct {
	controllers string // empty for v2
	path        string
}

// parseCgroup parses /proc/self/cgroup (cgroups(7)), "4:memory:/path" a line. The
// path may itself hold ":".
func parseCgroup(text []byte) ([]membership, flaw) {
	var memberships []membership
	for at := 1; len(text) > 0; at++ {
		line, rest, ended := bytes.Cut(text, newline)
		text = rest
		id, after, _ := bytes.Cut(line, []byte(":"))
		_, ok := parseNumber(id)
		controllers, path, isPath := bytes.Cut(after, []byte(":"))
		if !ended || !ok || !isPath || len(path) == 0 || path[0] != '/' {
			return nil, flaw{at, line, "a hierarchy's number, controllers and path with colons between"}
		}
		memberships = append(memberships, membership{string(controllers), string(path)})
	}
	return memberships, flaw{}
}

// places is where the cgroups are mounted and which of them this process is in.
type places struct {
	fsroot      string
	mounts      []mount
	memberships []membership
}

func (b *Budget) findPlaces() places {
	p := places{fsroot: b.root}
	var f flaw
	path := b.root + "/proc/self/mountinfo"
	if text, err := b.in.all(path); err == nil {
		p.mounts, f = parseMountinfo(text)
		b.in.reject(path, f)
	}
	path = b.root + "/proc/self/cgroup"
	if text, err := b.in.all(path); err == nil {
		p.memberships, f = parseCgroup(text)
		b.in.reject(path, f)
	}
	return p
}

// find returns the directories of a controller from the process's own up to the
// mount's root, in the v1 hierarchy that has the controller or in v2. Of several
// mounts the one wins that shows most of the way.
func (p places) find(controller string, v2 bool) []string {
	own := p.path(controller, v2)
	best, bestRank := "", -1
	var top string
	for _, m := range p.mounts {
		if m.v2 != v2 || !v2 && !hasWord(m.options, controller) {
			continue
		}
		rank := 1
		if file := base(m.root); strings.HasPrefix(file, controller+".") && !exists(p.fsroot+m.point+"/.") {
			// A single file of the cgroup is mounted, perhaps beside others.
			if base(m.point) != file {
				continue
			}
			m.root = parent(m.root)
			m.point = parent(m.point)
			rank = 0
		}
		point := strings.TrimSuffix(p.fsroot+m.point, "/")
		dir := point
		if below, ok := beneath(own, m.root); ok && exists(point+below) {
			dir = point + below
			if rank == 1 {
				rank = 2 + strings.Count(below, "/")
			}
		}
		if rank > bestRank {
			best, top, bestRank = dir, point, rank
		}
	}
	if bestRank < 0 {
		return nil
	}
	dirs := []string{best}
	for len(best) > len(top) {
		best = best[:strings.LastIndexByte(best, '/')]
		dirs = append(dirs, best)
	}
	return dirs
}

// path is the process's cgroup in a hierarchy, "/" if it is not known.
func (p places) path(controller string, v2 bool) string {
	for _, m := range p.memberships {
		if v2 && m.controllers == "" || !v2 && hasWord(m.controllers, controller) {
			return m.path
		}
	}
	return "/"
}

// beneath cuts root off path on a component boundary; the result is empty or
// begins with "/". It is false where path is not under root, or outside of the
// cgroup namespace.
func beneath(path, root string) (string, bool) {
	if strings.Contains(path+"/", "/../") {
		return "", false
	}
	path, root = strings.TrimRight(path, "/"), strings.TrimRight(root, "/")
	below, ok := strings.CutPrefix(path, root)
	return below, ok && (below == "" || below[0] == '/')
}

func parent(path string) string { return path[:max(1, strings.LastIndexByte(path, '/'))] }

// hasWord tells whether a list separated by commas holds word.
func hasWord(list, word string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if item == word {
			return true
		}
	}
	return false
}

func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
