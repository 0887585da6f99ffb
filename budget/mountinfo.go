package budget

import "bytes"

// mount is one mount of a cgroup hierarchy.
type mount struct {
	root    string // the cgroup that is mounted, as this process's namespace names it
	point   string // where it is mounted
	v2      bool
	options string // v1: the super options, among them the controllers
}

// parseMountinfo finds the cgroup mounts in /proc/self/mountinfo (proc(5)):
//
//	36 35 98:0 /root /point rw,noatime shared:1 - cgroup source rw,memory
//
// The number of fields before " - " varies. Space, tab, newline and backslash are
// octal escapes.
func parseMountinfo(text []byte) ([]mount, flaw) {
	var mounts []mount
	at := 1
	for ; len(text) > 0; at++ {
		line, rest, ended := bytes.Cut(text, newline)
		text = rest
		before, after, ok := bytes.Cut(line, []byte(" - "))
		id, _, _ := bytes.Cut(before, []byte(" "))
		if _, isNumber := parseNumber(id); !ended || !ok || !isNumber {
			return nil, flaw{at, line, wantMount}
		}
		kind, after, _ := bytes.Cut(after, []byte(" "))
		if k := string(kind); k != "cgroup" && k != "cgroup2" {
			continue
		}
		_, options, _ := bytes.Cut(after, []byte(" "))
		for range 3 {
			_, before, _ = bytes.Cut(before, []byte(" "))
		}
		root, before, _ := bytes.Cut(before, []byte(" "))
		point, _, _ := bytes.Cut(before, []byte(" "))
		if len(root) == 0 || root[0] != '/' || len(point) == 0 || point[0] != '/' {
			return nil, flaw{at, line, wantMount}
		}
		mounts = append(mounts, mount{
			root:    unescape(root),
			point:   unescape(point),
			v2:      string(kind) == "cgroup2",
			options: string(options),
		})
	}
	if at == 1 {
		return nil, flaw{1, nil, wantMount}
	}
	return mounts, flaw{}
}

const wantMount = "a mount as proc(5) has it"

// unescape undoes the kernel's octal escapes.
func unescape(text []byte) string {
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text)
	}
	plain := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' && i+3 < len(text) && octal(text[i+1]) && octal(text[i+2]) && octal(text[i+3]) {
			c = (text[i+1]-'0')<<6 | (text[i+2]-'0')<<3 | (text[i+3] - '0')
			i += 3
		}
		plain = append(plain, c)
	}
	return string(plain)
}

func octal(c byte) bool { return c >= '0' && c <= '7' }
