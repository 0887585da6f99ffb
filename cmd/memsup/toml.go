package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// configFile is a memsup.toml whose keys exist and have values of the right
// kind. What the values say is read later.
type configFile struct {
	name    string
	options map[string]setting // by the option's name
	limits  []entry
	export  []entry
	types   []*typeTable // in the file's order
}

// typeTable is what the file says of one process type.
type typeTable struct {
	name     string
	at       string // where the type is first named
	keys     []string
	values   map[string]entry
	uses     []entry
	env      []entry
	actuator []entry // of the table in its place
	rlimits  []entry
}

// entry is one key, with its table, and its value.
type entry struct {
	path  []string
	kind  unstable.Kind // Table for the head of a table and for {}
	text  string        // of a string, number or boolean
	items []entry       // of an array
	keyAt string        // memsup.toml:3:1
	at    string        // memsup.toml:3:9, where the value begins
	// within gives the place of a byte of text. It is at where the text is not
	// in the file as it is.
	within func(offset int) string
}

func (e *entry) setting() setting { return setting{text: e.text, from: e.at, inFile: true} }

// key is the last part of the path.
func (e *entry) key() string { return e.path[len(e.path)-1] }

func (e *entry) errorf(format string, args ...any) error {
	return mistakeAt(e.at, format, args...)
}

func (e *entry) keyErrorf(format string, args ...any) error {
	return mistakeAt(e.keyAt, format, args...)
}

// parseConfig reads a memsup.toml.
func parseConfig(name string, src []byte) (*configFile, error) {
	var whole map[string]any
	if err := toml.Unmarshal(src, &whole); err != nil {
		return nil, syntaxError(name, src, err)
	}
	r := tomlReader{name: name, src: src}
	r.parser.Reset(src)
	if err := r.read(); err != nil {
		return nil, err
	}
	f := &configFile{name: name, options: make(map[string]setting)}
	for i := range r.entries {
		if err := f.add(&r.entries[i]); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// syntaxError gives TOML's own mistakes their place.
func syntaxError(name string, src []byte, err error) error {
	e := (*toml.DecodeError)(nil)
	if !errors.As(err, &e) {
		return mistakeAt(name+":1:1", "%w", err)
	}
	line, column := e.Position()
	lines := strings.Split(string(src), "\n")
	if line >= 1 && line <= len(lines) && column-1 <= len(lines[line-1]) {
		column = utf8.RuneCountInString(lines[line-1][:column-1]) + 1
	}
	return mistakeAt(fmt.Sprintf("%s:%d:%d", name, line, column), "%s", strings.TrimPrefix(e.Error(), "toml: "))
}

// tomlReader lists all keys of a file with their places.
type tomlReader struct {
	name    string
	src     []byte
	parser  unstable.Parser
	entries []entry
}

func (r *tomlReader) read() error {
	var table []string
	for r.parser.NextExpression() {
		node := r.parser.Expression()
		switch node.Kind {
		case unstable.KeyValue:
			r.keyValue(table, node)
		case unstable.ArrayTable:
			path, offset := r.path(nil, node)
			name := strings.Join(path, ".")
			return mistakeAt(r.place(offset), "[[%s]] is a list of tables; write [%[1]s]", name)
		case unstable.Table:
			var offset int
			table, offset = r.path(nil, node)
			at := r.place(offset)
			r.entries = append(r.entries, entry{path: table, kind: unstable.Table, keyAt: at, at: at})
		}
	}
	return r.parser.Error()
}

// path adds a node's key to table. The offset is that of the key's last part.
func (r *tomlReader) path(table []string, node *unstable.Node) (path []string, offset int) {
	path = slices.Clone(table)
	for it := node.Key(); it.Next(); {
		path = append(path, string(it.Node().Data))
		offset = int(it.Node().Raw.Offset)
	}
	return path, offset
}

func (r *tomlReader) keyValue(table []string, node *unstable.Node) {
	path, offset := r.path(table, node)
	value := node.Value()
	if value.Kind == unstable.InlineTable {
		at := r.place(offset)
		r.entries = append(r.entries, entry{path: path, kind: unstable.Table, keyAt: at, at: at})
		for it := value.Children(); it.Next(); {
			r.keyValue(path, it.Node())
		}
		return
	}
	e := r.value(value)
	e.path, e.keyAt = path, r.place(offset)
	if e.kind == unstable.Array {
		e.at = r.place(r.arrayOffset(offset))
	}
	r.entries = append(r.entries, e)
}

// arrayOffset is where the array of the key at an offset begins: the parser
// does not tell. A key may hold a bracket or an equals sign in quotes.
func (r *tomlReader) arrayOffset(offset int) int {
	quote := byte(0)
	for ; offset < len(r.src); offset++ {
		switch c := r.src[offset]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && c == '[':
			return offset
		}
	}
	return offset
}

func (r *tomlReader) value(node *unstable.Node) entry {
	offset := int(node.Raw.Offset)
	e := entry{kind: node.Kind, text: string(node.Data), at: r.place(offset)}
	if node.Kind == unstable.Integer && strings.ContainsAny(e.text, "_xob") { // 5_000, 0x1388
		if n, err := strconv.ParseInt(e.text, 0, 64); err == nil {
			e.text = strconv.FormatInt(n, 10)
		}
	}
	e.within = func(int) string { return e.at }
	if quoted := string(r.parser.Raw(node.Raw)); len(quoted) >= 2 && quoted[1:len(quoted)-1] == e.text {
		e.within = func(n int) string { return r.place(offset + 1 + n) }
	}
	if node.Kind == unstable.Array {
		for it := node.Children(); it.Next(); {
			e.items = append(e.items, r.value(it.Node()))
		}
	}
	return e
}

// place gives FILE:LINE:COLUMN for an offset; columns count characters.
func (r *tomlReader) place(offset int) string {
	before := string(r.src[:offset])
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Sprintf("%s:%d:%d", r.name, line, column)
}
