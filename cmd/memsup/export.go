package main

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/memsup/memsup/supervisor"
)

// exported is one variable of [export]: texts, with an expression after each
// but the last.
type exported struct {
	name        string
	texts       []string
	expressions []expression
}

// expression is what stands in one pair of braces.
type expression struct {
	program *vm.Program
	uses    []string
	at      string
}

// addExport compiles [export], which is for all types.
func (l *loader) addExport(c *supervisor.Config) error {
	if l.file == nil || len(l.file.export) == 0 {
		return nil
	}
	var list []exported
	var texts []string
	for i := range l.file.export {
		e := &l.file.export[i]
		x, err := compile(e)
		if err != nil {
			return err
		}
		if err := x.try(); err != nil {
			return err
		}
		list, texts = append(list, x), append(texts, e.key()+"="+e.text)
	}
	source := strings.Join(texts, "\x00") // which no text has
	for i := range c.Types {
		t := &c.Types[i]
		for _, x := range list {
			if at, uses := x.uses("MEM_SHARE"); uses && !hasShare(c, t) {
				return mistakeAt(at, "MEM_SHARE is not set for %s; give it recycle, or every type a maximum that is a number", t.Name)
			}
		}
		t.ExportText = source
		t.Export = func(vars map[string]float64) ([]string, error) { return export(list, vars) }
	}
	return nil
}

// samples are a small place and a large one.
var samples = [...]map[string]float64{
	{"MEM_LIMIT": 256 << 20, "MEM_AVAILABLE": 100 << 20, "MEM_SHARE": 57 << 20, "CPU_LIMIT": 0.7},
	{"MEM_LIMIT": 64 << 30, "MEM_AVAILABLE": 50 << 30, "MEM_SHARE": 7 << 30, "CPU_LIMIT": 15.5},
}

// try says whether x can be computed in any place. One sample is not enough
// to tell: what divides by MEM_LIMIT - 256 * MiB is right almost everywhere.
func (x *exported) try() (err error) {
	for _, vars := range samples {
		if _, err = export([]exported{*x}, vars); err == nil {
			return nil
		}
	}
	return err
}

// hasShare says whether workers of t have a MEM_SHARE.
func hasShare(c *supervisor.Config, t *supervisor.Type) bool {
	return t.Recycle > 0 || !slices.ContainsFunc(c.Types, func(t supervisor.Type) bool { return t.Range.Auto })
}

func (x *exported) uses(name string) (at string, ok bool) {
	for _, e := range x.expressions {
		if slices.Contains(e.uses, name) {
			return e.at, true
		}
	}
	return "", false
}

// units are the constants of expressions.
func units() map[string]float64 {
	return map[string]float64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
}

// compile splits a text at its braces; {{ and }} are a brace each.
func compile(e *entry) (exported, error) {
	x := exported{name: e.key()}
	var text []byte
	for i := 0; i < len(e.text); i++ {
		switch c := e.text[i]; {
		case c != '{' && c != '}':
			text = append(text, c)
		case strings.HasPrefix(e.text[i+1:], string(c)):
			text = append(text, c)
			i++
		case c == '}':
			return x, mistakeAt(e.within(i), "} without {; write }} for the character itself")
		default:
			end := closing(e.text, i+1)
			if end < 0 {
				return x, mistakeAt(e.within(i), "{ without }; write {{ for the character itself")
			}
			compiled, err := compileExpression(e, i+1, end)
			if err != nil {
				return x, err
			}
			x.texts, text = append(x.texts, string(text)), nil
			x.expressions = append(x.expressions, compiled)
			i = end
		}
	}
	x.texts = append(x.texts, string(text))
	return x, nil
}

// closing finds the brace that ends an expression, past quoted text.
func closing(s string, i int) int {
	quote := byte(0)
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
		case c == '"' || c == '\'' || c == '`':
			quote = c
		case c == '}':
			return i
		}
	}
	return -1
}

func compileExpression(e *entry, start, end int) (expression, error) {
	vars := units()
	for _, name := range []string{"MEM_LIMIT", "MEM_AVAILABLE", "MEM_SHARE", "CPU_LIMIT"} {
		vars[name] = 1
	}
	source := e.text[start:end]
	if strings.TrimSpace(source) == "" {
		return expression{}, mistakeAt(e.within(start), "no expression between { and }; write one such as {MEM_LIMIT / MiB}")
	}
	opts := []expr.Option{expr.Env(vars), expr.DisableAllBuiltins()}
	for _, name := range []string{"abs", "ceil", "floor", "int", "max", "min", "round"} {
		opts = append(opts, expr.EnableBuiltin(name))
	}
	program, err := expr.Compile(source, opts...)
	if err != nil {
		offset := start
		if f := (*file.Error)(nil); errors.As(err, &f) {
			offset += byteOffset(source, f.From)
			err = errors.New(f.Message)
		}
		return expression{}, mistakeAt(e.within(offset), "%w; write an expression of MEM_LIMIT, MEM_AVAILABLE, MEM_SHARE, CPU_LIMIT, KiB, MiB, GiB", err)
	}
	node := program.Node()
	switch k := node.Type().Kind(); k {
	case reflect.Int, reflect.Float64, reflect.String:
	default:
		return expression{}, mistakeAt(e.within(start), "the expression gives a %s; write one that gives a number or a text", k)
	}
	var used names
	ast.Walk(&node, &used)
	return expression{program, used, e.within(start)}, nil
}

// byteOffset is where the n-th character of s begins.
func byteOffset(s string, n int) int {
	offset := 0
	for ; n > 0 && offset < len(s); n-- {
		_, size := utf8.DecodeRuneInString(s[offset:])
		offset += size
	}
	return offset
}

// names collects the variables of an expression.
type names []string

func (n *names) Visit(node *ast.Node) {
	if id, ok := (*node).(*ast.IdentifierNode); ok {
		*n = append(*n, id.Value)
	}
}

// export computes the variables for one worker.
func export(list []exported, vars map[string]float64) ([]string, error) {
	all := units()
	for name, value := range vars {
		all[name] = value
	}
	var env []string
	for _, x := range list {
		text := x.texts[0]
		for i, e := range x.expressions {
			result, err := e.eval(all)
			if err != nil {
				return nil, mistakeAt(e.at, "%w", err)
			}
			text += result + x.texts[i+1]
		}
		env = append(env, x.name+"="+text)
	}
	return env, nil
}

// eval prints an expression's value. Whole numbers have no point. Others are
// bytes, or units of them, and are rounded down, but where CPU_LIMIT is used
// and no MEM_ variable they have up to three decimals, as CPU_LIMIT itself.
func (e *expression) eval(vars map[string]float64) (string, error) {
	result, err := expr.Run(e.program, vars)
	if f := (*file.Error)(nil); errors.As(err, &f) {
		err = errors.New(f.Message)
	}
	if err != nil {
		return "", err
	}
	switch value := result.(type) {
	case float64:
		if math.IsNaN(value) || math.Abs(value) >= 1<<63 {
			return "", fmt.Errorf("the expression gives %v, which is no number of bytes", value)
		}
		if slices.Contains(e.uses, "CPU_LIMIT") && !slices.ContainsFunc(e.uses, func(s string) bool { return strings.HasPrefix(s, "MEM_") }) {
			return strconv.FormatFloat(math.Round(value*1000)/1000, 'f', -1, 64), nil
		}
		return strconv.FormatFloat(math.Floor(value), 'f', -1, 64), nil
	case string:
		if strings.ContainsRune(value, 0) {
			return "", errors.New("the expression gives a NUL; a variable cannot hold it")
		}
		return value, nil
	default:
		return fmt.Sprint(value), nil
	}
}
