package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// getopt walks a command line as getopt_long(3) does where the option string
// begins with "+": it stops at the first argument that is not an option. Its
// messages are glibc's, because tini and dumb-init print those.
type getopt struct {
	program string   // begins messages: argv[0] as it is
	args    []string // not yet looked at; after next returned 0, the operands
	short   string   // letters; one that takes an argument is followed by ":"
	long    []longOption
	errors  io.Writer

	arg   string // of the option that next returned
	group string // what remains of "-abc"
}

// longOption is "--name", or any beginning of it that no other option has.
type longOption struct {
	name   string
	letter byte // the short option of the same meaning
	hasArg bool
}

// next returns the letter of the next option, 0 where there is none, and '?'
// after it has written a message.
func (g *getopt) next() byte {
	if g.group != "" {
		return g.nextShort()
	}
	if len(g.args) == 0 {
		return 0
	}
	word := g.args[0]
	if len(word) < 2 || word[0] != '-' {
		return 0
	}
	g.args = g.args[1:]
	if word == "--" {
		return 0
	}
	if len(g.long) > 0 && word[1] == '-' {
		return g.nextLong(word[2:])
	}
	g.group = word[1:]
	return g.nextShort()
}

func (g *getopt) nextShort() byte {
	letter := g.group[0]
	g.group = g.group[1:]
	at := strings.IndexByte(g.short, letter)
	if at < 0 || letter == ':' {
		return g.fail("invalid option -- '" + string([]byte{letter}) + "'")
	}
	if !strings.HasPrefix(g.short[at+1:], ":") {
		return letter
	}
	switch {
	case g.group != "":
		g.arg, g.group = g.group, ""
	case len(g.args) > 0:
		g.arg, g.args = g.args[0], g.args[1:]
	default:
		return g.fail("option requires an argument -- '" + string([]byte{letter}) + "'")
	}
	return letter
}

func (g *getopt) nextLong(word string) byte {
	name, value, given := strings.Cut(word, "=")
	var found []longOption
	for _, o := range g.long {
		if o.name == name {
			found = []longOption{o}
			break
		}
		if strings.HasPrefix(o.name, name) {
			found = append(found, o)
		}
	}
	if len(found) == 0 {
		return g.fail("unrecognized option '--" + word + "'")
	}
	if len(found) > 1 {
		message := "option '--" + word + "' is ambiguous; possibilities:"
		for _, o := range found {
			message += " '--" + o.name + "'"
		}
		return g.fail(message)
	}
	o := found[0]
	switch {
	case !o.hasArg && given:
		return g.fail("option '--" + o.name + "' doesn't allow an argument")
	case !o.hasArg:
	case given:
		g.arg = value
	case len(g.args) > 0:
		g.arg, g.args = g.args[0], g.args[1:]
	default:
		return g.fail("option '--" + o.name + "' requires an argument")
	}
	return o.letter
}

func (g *getopt) fail(message string) byte {
	fmt.Fprintf(g.errors, "%s: %s\n", g.program, message)
	return '?'
}

// strtol reads a decimal number as C's function of that name does: after white
// space, with a sign or none, at most as large as int64 holds. It returns what
// follows the number; ok is false where there is no number.
func strtol(s string) (n int64, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	end := 0
	if end < len(s) && (s[end] == '+' || s[end] == '-') {
		end++
	}
	digits := end
	for end < len(s) && '0' <= s[end] && s[end] <= '9' {
		end++
	}
	if end == digits {
		return 0, s, false
	}
	n, _ = strconv.ParseInt(s[:end], 10, 64) // out of range: the nearest that is in it, as C has it
	return n, s[end:], true
}
