package procfile

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Simple splits a command into the words that sh would give to execve(2),
// where the command is one simple command and no sh could read it in another
// way. Otherwise it is false, and the command is to be run as sh -c COMMAND.
// Quotes are sh's: single, double and backslash. A leading exec is taken off.
//
// It is false rather than clever. A command is not simple when it holds,
// outside of quotes, an operator, a newline or another control character, a
// comment, a glob, a brace or a tilde; anywhere but in single quotes a command
// substitution or any "$" other than $NAME and ${NAME}; a quote that is not
// closed; an assignment before the command; or when its first word is a
// reserved word or builtin of dash, bash or busybox, also where a program of
// that name exists, such as echo.
//
// Lookup gives the variables of the environment that the command will have,
// each of them once; nil has none. The command is not simple when it uses a
// variable that is not set or that shells set by themselves, or when the value
// of one outside of double quotes is empty or holds a blank, a glob character,
// a backslash or a brace, which one sh or another would drop, split, match
// against files or expand. In double quotes every value is taken as it is.
// foreman itself replaces $NAME in the text before any shell sees it, in
// single quotes too; that is not copied.
func Simple(command string, lookup func(string) (string, bool)) (argv []string, ok bool) {
	words, ok := splitWords(command, lookup)
	if !ok || len(words) == 0 {
		return nil, false
	}
	if words[0] == "exec" {
		words = words[1:]
	}
	if len(words) == 0 || !runnable(words[0]) || isShellWord(words[0]) {
		return nil, false
	}
	return words, true
}

// runnable is false for first words that sh might take for an assignment, an
// option of exec or of sh itself, or a job.
func runnable(name string) bool {
	return name != "" && !strings.Contains(name, "=") && !strings.ContainsRune("-+%", rune(name[0]))
}

// splitter holds the words of a command up to pos.
type splitter struct {
	in     string
	pos    int
	lookup func(string) (string, bool)
	words  []string
	word   []byte
	inWord bool // a word has begun, which may be empty, as "" is
}

func splitWords(command string, lookup func(string) (string, bool)) ([]string, bool) {
	if !utf8.ValidString(command) || strings.ContainsRune(command, 0) {
		return nil, false
	}
	s := &splitter{in: command, lookup: lookup}
	for s.pos < len(s.in) {
		if !s.unquoted() {
			return nil, false
		}
	}
	s.endWord()
	return s.words, true
}

func (s *splitter) endWord() {
	if s.inWord {
		s.words = append(s.words, string(s.word))
	}
	s.word, s.inWord = s.word[:0], false
}

// unquoted takes one character, quoted text or expansion.
func (s *splitter) unquoted() bool {
	c := s.in[s.pos]
	s.pos++
	switch {
	case c == ' ' || c == '\t':
		s.endWord()
		return true
	case c < ' ' || c == 0x7f, strings.IndexByte("|&;<>()`*?[{}~", c) >= 0, c == '#' && !s.inWord:
		return false
	}
	s.inWord = true
	switch c {
	case '\'':
		return s.singleQuoted()
	case '"':
		return s.doubleQuoted()
	case '$':
		value, ok := s.expand()
		s.word = append(s.word, value...)
		return ok && value != "" && !strings.ContainsAny(value, " \t\n\\*?[{")
	case '\\':
		if s.pos == len(s.in) || s.in[s.pos] == '\n' {
			return false
		}
		c = s.in[s.pos]
		s.pos++
	}
	s.word = append(s.word, c)
	return true
}

func (s *splitter) singleQuoted() bool {
	end := strings.IndexByte(s.in[s.pos:], '\'')
	if end < 0 {
		return false
	}
	s.word = append(s.word, s.in[s.pos:s.pos+end]...)
	s.pos += end + 1
	return true
}

func (s *splitter) doubleQuoted() bool {
	for s.pos < len(s.in) {
		c := s.in[s.pos]
		s.pos++
		switch c {
		case '"':
			return true
		case '`':
			return false
		case '$':
			value, ok := s.expand()
			if !ok {
				return false
			}
			s.word = append(s.word, value...)
			continue
		case '\\':
			if s.pos < len(s.in) && strings.IndexByte("$`\"\\", s.in[s.pos]) >= 0 {
				c = s.in[s.pos]
				s.pos++
			} else if s.pos < len(s.in) && s.in[s.pos] == '\n' {
				return false
			}
		}
		s.word = append(s.word, c)
	}
	return false
}

// expand takes NAME or {NAME} after a "$" and gives the variable's value.
func (s *splitter) expand() (string, bool) {
	rest := s.in[s.pos:]
	braced := strings.HasPrefix(rest, "{")
	rest = strings.TrimPrefix(rest, "{")
	end := 0
	for end < len(rest) && isWordByte(rest[end]) {
		end++
	}
	name := rest[:end]
	if name == "" || '0' <= name[0] && name[0] <= '9' || isShellVariable(name) || s.lookup == nil {
		return "", false
	}
	s.pos += end
	if braced {
		if !strings.HasPrefix(rest[end:], "}") {
			return "", false
		}
		s.pos += len("{}")
	}
	return s.lookup(name)
}

func isShellWord(name string) bool {
	_, found := slices.BinarySearch(shellWords, name)
	return found
}

func isShellVariable(name string) bool {
	_, found := slices.BinarySearch(shellVariables, name)
	return found || strings.HasPrefix(name, "BASH") || strings.HasPrefix(name, "COMP_")
}
