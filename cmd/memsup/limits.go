package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/memsup/memsup/policy"
	"github.com/memsup/memsup/procfile"
	"github.com/memsup/memsup/supervisor"
)

// addLimit takes a key of [limits].
func (f *configFile) addLimit(e *entry) error {
	switch {
	case len(e.path) == 1:
		return nil
	case len(e.path) > 2 || e.kind == unstable.Table:
		return e.keyErrorf("%s is a table; write NAME = NUMBER, such as db = 20", strings.Join(e.path, "."))
	}
	f.limits = append(f.limits, *e)
	_, err := e.number("20")
	return err
}

// addUse takes a key of a type's uses.
func (t *typeTable) addUse(e *entry) error {
	switch {
	case len(e.path) == 2 && e.kind == unstable.Table:
		return nil
	case len(e.path) == 2:
		return e.keyErrorf("uses is a table; write uses = { NAME = NUMBER }, such as uses = { db = 5 }")
	case len(e.path) > 3 || e.kind == unstable.Table:
		return e.keyErrorf("%s is a table; write NAME = NUMBER, such as db = 5", strings.Join(e.path[1:], "."))
	}
	t.uses = append(t.uses, *e)
	_, err := e.number("5")
	return err
}

// number reads a number from 1 to mostNumber.
func (e *entry) number(example string) (int, error) {
	if err := e.check(intKind, example); err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(e.text)
	switch {
	case err != nil:
		return 0, e.errorf("%q is no whole number; write one such as %s", e.text, example)
	case n < 1:
		return 0, e.errorf("%d is too little; write 1 or more", n)
	case n > mostNumber:
		return 0, e.errorf("%d is too much; write %d or less", n, mostNumber)
	}
	return n, nil
}

// mostNumber keeps what all workers use of a limit countable.
const mostNumber = 1_000_000_000

// limit finds the limit that a type uses.
func (f *configFile) limit(use *entry) (index int, err error) {
	names := make([]string, len(f.limits))
	for i := range f.limits {
		if names[i] = f.limits[i].key(); names[i] == use.key() {
			return i, nil
		}
	}
	if len(names) == 0 {
		return 0, use.keyErrorf("no limit %q; write [limits] and below it %[1]s = NUMBER", use.key())
	}
	return 0, use.keyErrorf("no limit %q in [limits]; its limits are %s", use.key(), strings.Join(names, ", "))
}

// addLimits gives c the limits and its types what they use of them, and says
// whether the fewest workers of all pass one.
func (l *loader) addLimits(c *supervisor.Config) error {
	if l.file == nil {
		return nil
	}
	for i := range l.file.limits {
		e := &l.file.limits[i]
		n, err := e.number("20")
		if err != nil {
			return err
		}
		c.Limits = append(c.Limits, policy.Limit{Name: e.key(), Most: n})
	}
	for _, table := range l.file.types {
		uses := make([]int, len(c.Limits))
		for i := range table.uses {
			e := &table.uses[i]
			j, err := l.file.limit(e)
			if err != nil {
				return err
			}
			if uses[j], err = e.number("5"); err != nil {
				return err
			}
		}
		for i := range c.Types {
			if c.Types[i].Name == table.name && len(table.uses) > 0 {
				c.Types[i].Uses = uses
			}
		}
	}
	fewest := policy.Config{Limits: c.Limits}
	for i := range c.Types {
		fewest.Types = append(fewest.Types, policy.Type{Min: c.Types[i].Range.Min, Uses: c.Types[i].Uses})
	}
	if j, used, exceeded := fewest.Exceeded(); exceeded {
		return l.file.limits[j].errorf("the fewest workers use %d of %d: %s; write a higher limit, or fewer workers",
			used, c.Limits[j].Most, usesText(c, j))
	}
	return nil
}

// usesText is who uses a limit, and how much of it at least: web 2 × 5.
func usesText(c *supervisor.Config, limit int) string {
	var parts []string
	for i := range c.Types {
		if t := &c.Types[i]; limit < len(t.Uses) && t.Uses[limit] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d × %d", t.Name, t.Range.Min, t.Uses[limit]))
		}
	}
	return strings.Join(parts, ", ")
}

// limitsNote says what the types use of each limit.
func limitsNote(c *supervisor.Config) string {
	text := ""
	for j := range c.Limits {
		who := usesText(c, j)
		if who == "" {
			who = "nobody"
		}
		text += fmt.Sprintf("%s: %d, of which at least are used: %s\n", c.Limits[j].Name, c.Limits[j].Most, who)
	}
	return text
}

// parseDemand reads what asks for workers.
func parseDemand(s string) (policy.Demand, string, error) {
	for _, d := range [...]policy.Demand{policy.NoDemand, policy.Backlog, policy.Busyness} {
		if s == d.String() {
			return d, "", nil
		}
	}
	if s == "command" {
		return 0, "", fmt.Errorf("%q stands for a command of yours; write that, such as \"./wanted\"", s)
	}
	if strings.TrimSpace(s) == "" {
		return 0, "", fmt.Errorf("%q is no demand; write \"backlog\", \"cpu\", \"none\" or a command that prints a number", s)
	}
	if near, ok := nearest(s, []string{"none", "backlog", "cpu"}); ok {
		return 0, "", fmt.Errorf("%q is unknown; write %q, or a command with its path", s, near)
	}
	return policy.Number, s, nil
}

// checkDemand says whether what asks for the type's workers can be had.
func (t *typeTable) checkDemand(to *supervisor.Type) error {
	if to.Demand == policy.Backlog && len(to.Listen) == 0 {
		e := t.values["demand"]
		return e.errorf(`"backlog" needs a socket of memsup's own, where connections wait; write listen = "tcp://0.0.0.0:$PORT" as well, or demand = "cpu"`)
	}
	return nil
}

// demandNote says what a type's demand comes to.
func demandNote(t *supervisor.Type) string {
	switch {
	case t.Demand == policy.NoDemand:
		return ""
	case !t.Range.Auto && t.Range.Min >= t.Range.Max:
		return fmt.Sprintf("%s: demand has nothing to decide, the number is %d; write workers = \"1..auto\", say\n", t.Name, t.Range.Min)
	case t.Demand == policy.Backlog:
		return t.Name + ": memory is the ceiling; one more when connections wait, one fewer after 5 minutes in which none did\n"
	case t.Demand == policy.Busyness:
		return t.Name + ": memory is the ceiling; one more when all are busy 80%, one fewer after 5 minutes in which fewer would have done\n"
	default:
		return fmt.Sprintf("%s: memory is the ceiling; as many as this prints, every 10 seconds: %s\n", t.Name, t.DemandCommand)
	}
}

// checkDemandProgram says whether a command's program is there, where it is one
// simple command.
func (l *loader) checkDemandProgram(t *supervisor.Type) error {
	if t.Demand != policy.Number {
		return nil
	}
	argv, simple := procfile.Simple(t.DemandCommand, l.variableOf(t))
	if !simple {
		return nil
	}
	if err := l.find(argv[0], t); err != nil {
		e := l.file.typeTable(t.Name).values["demand"]
		return e.errorf("%w; write \"backlog\", \"cpu\", \"none\" or a program that is in PATH, or its path", err)
	}
	return nil
}
