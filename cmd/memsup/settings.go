package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/memsup/memsup/procfile"
)

// setting is the text of an option and where it was written: --grace,
// MEMSUP_GRACE or memsup.toml:3:9.
type setting struct {
	text, from string
	inFile     bool
}

func (s setting) errorf(format string, args ...any) error {
	if s.inFile {
		return mistakeAt(s.from, format, args...)
	}
	return fmt.Errorf(s.from+": "+format, args...)
}

// mistake is an error in a file.
type mistake struct {
	at  string // FILE:LINE:COLUMN
	err error
}

func (m *mistake) Error() string { return m.at + ": " + m.err.Error() }
func (m *mistake) Unwrap() error { return m.err }

func mistakeAt(at, format string, args ...any) error {
	return &mistake{at, fmt.Errorf(format, args...)}
}

// wrap names the setting in an error about its text. The column that a
// procfile.Error has within the text is left out where from has one already. An
// error that names its place, as that of one item of an array, stays as it is.
func (s setting) wrap(err error) error {
	if m := (*mistake)(nil); errors.As(err, &m) {
		return err
	}
	if e := (*procfile.Error)(nil); s.inFile && errors.As(err, &e) {
		return s.errorf("%s", e.Msg)
	}
	return s.errorf("%w", err)
}

// settings are all the places where options are written. The first error
// stays in err, so that options can be read one after the other.
type settings struct {
	flags map[string]setting
	file  *configFile // nil where there is none
	seen  []seen
	err   error
}

// seen is a file that was read; its contents are nil where it is not there.
type seen struct {
	path     string
	contents []byte
}

// open reads the configuration file that the flags, the environment or the
// default name.
func (s *settings) open() error {
	name, src, err := s.readFile("config", "memsup.toml")
	if err == nil && src != nil {
		s.file, err = parseConfig(name, src)
	}
	return err
}

// readFile reads the file that an option names. The default may be missing:
// then src is nil. So may one that cannot be seen, and a directory, which .env
// is for many who work with Python.
func (s *settings) readFile(name, otherwise string) (path string, src []byte, err error) {
	v, given := s.get(name)
	if !given {
		v.text = otherwise
	}
	src, err = os.ReadFile(v.text)
	if err != nil {
		src = nil // of a directory it is not
	}
	s.seen = append(s.seen, seen{v.text, src})
	switch {
	case err == nil:
		return v.text, src, nil
	case given:
		return v.text, nil, v.wrap(err)
	case errors.Is(err, os.ErrNotExist):
		return v.text, nil, nil
	}
	if info, statErr := os.Stat(v.text); statErr != nil || info.IsDir() {
		return v.text, nil, nil
	}
	return v.text, nil, err
}

// given lists where an option was written, the strongest last: the file, the
// environment, a flag. An empty variable is none.
func (s *settings) given(name string) []setting {
	var list []setting
	if s.file != nil {
		if v, ok := s.file.options[name]; ok {
			list = append(list, v)
		}
	}
	variable := variableOf(name)
	if text := os.Getenv(variable); text != "" {
		list = append(list, setting{text: text, from: variable})
	}
	if v, ok := s.flags[name]; ok {
		list = append(list, v)
	}
	return list
}

func (s *settings) get(name string) (setting, bool) {
	list := s.given(name)
	if len(list) == 0 {
		return setting{}, false
	}
	return list[len(list)-1], true
}

// variableOf is the name of an option's environment variable.
func variableOf(name string) string {
	return "MEMSUP_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// read gives an option's value, or what it is where it was not written. A
// mistake is reported also where a stronger setting hides it.
func read[T any](s *settings, name string, otherwise T, parse func(string) (T, error)) T {
	for _, v := range s.given(name) {
		value, err := parse(v.text)
		if err != nil {
			s.fail(v.wrap(err))
			return otherwise
		}
		otherwise = value
	}
	return otherwise
}

func (s *settings) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// text gives an option that can be any text.
func (s *settings) text(name, otherwise string) string {
	return read(s, name, otherwise, func(text string) (string, error) {
		if text == "" {
			return "", errors.New("empty; write a value")
		}
		return text, nil
	})
}

// choice gives an option that is one of a few words, the default first.
func (s *settings) choice(name string, words ...string) string {
	return read(s, name, words[0], oneOf(words...))
}

func oneOf(words ...string) func(string) (string, error) {
	return func(text string) (string, error) {
		for _, word := range words {
			if text == word {
				return word, nil
			}
		}
		last := len(words) - 1
		return "", fmt.Errorf("%q is unknown; write %s or %s", text, strings.Join(words[:last], ", "), words[last])
	}
}

func (s *settings) boolean(name string, otherwise bool) bool {
	return read(s, name, otherwise, parseBool)
}
