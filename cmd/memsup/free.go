package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// freeLong are the long options of free in procps-ng 4. Those without a short
// form have a letter that is none.
var freeLong = []longOption{
	{name: "bytes", letter: 'b'},
	{name: "kilo", letter: 'K'},
	{name: "mega", letter: 'M'},
	{name: "giga", letter: 'G'},
	{name: "tera", letter: 'T'},
	{name: "peta", letter: 'P'},
	{name: "kibi", letter: 'k'},
	{name: "mebi", letter: 'm'},
	{name: "gibi", letter: 'g'},
	{name: "tebi", letter: 'e'},
	{name: "pebi", letter: 'p'},
	{name: "human", letter: 'h'},
	{name: "si", letter: 'i'},
	{name: "lohi", letter: 'l'},
	{name: "line", letter: 'L'},
	{name: "total", letter: 't'},
	{name: "committed", letter: 'v'},
	{name: "seconds", letter: 's', hasArg: true},
	{name: "count", letter: 'c', hasArg: true},
	{name: "wide", letter: 'w'},
	{name: "help", letter: 'H'},
	{name: "version", letter: 'V'},
}

const freeUsage = `
Usage: memsup free [options]

The unit, at most one, else KiB:
  -b, --bytes   -k, --kibi   -m, --mebi   -g, --gibi   --tebi   --pebi
                    --kilo       --mega       --giga   --tera   --peta
  -h, --human       each number in the unit that suits it
      --si          powers of 1000

What is shown:
  -w, --wide        buffers and cache apart
  -l, --lohi        low and high memory
  -t, --total       memory and swap together
  -v, --committed   CommitLimit and Committed_AS, which are the host's
  -L, --line        the four most wanted numbers, in one line
  -s, --seconds N   again after N seconds
  -c, --count N     N times in all

      --help        this text
  -V, --version

The flags, the columns and the exit status are those of free(1) in procps-ng 4.0,
and the numbers those of memsup meminfo.
`

// freeOptions is what free's command line asks for.
type freeOptions struct {
	exponent                              int // 1 is bytes, 2 KiB, 3 MiB and so on; 0 is none named
	si, human                             bool
	wide, lohi, total, committed, oneLine bool
	repeat                                bool
	count                                 int64 // of repeats; 0 is without end
	interval                              time.Duration
}

func freeCommand(status *int) *cobra.Command {
	return &cobra.Command{
		Use:                "free [options]",
		Short:              "Print what free(1) prints, for the container",
		DisableFlagParsing: true, // they are procps's: -h is not --help
		ValidArgsFunction:  completeFree,
		RunE: func(cmd *cobra.Command, args []string) error {
			*status = runFree(args, cmd.OutOrStdout(), cmd.ErrOrStderr())
			return nil
		},
	}
}

func completeFree(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var list []string
	for _, o := range freeLong {
		list = append(list, "--"+o.name)
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// runFree is free's main: its exit status is procps's, 1 for every mistake.
func runFree(args []string, out, problems io.Writer) int {
	o, code := parseFree(args, out, problems)
	if o == nil {
		return code
	}
	err := withMeminfo(nil, func(read func() (string, error)) error { return o.show(out, read) })
	if err != nil {
		fmt.Fprintln(problems, "memsup: cannot free:", err)
		return 1
	}
	return 0
}

// show prints the table, anew after each interval where that is asked for.
func (o *freeOptions) show(out io.Writer, read func() (string, error)) error {
	for n := int64(1); ; n++ {
		text, err := read()
		if err != nil {
			return err
		}
		if _, err := io.WriteString(out, o.table(text)); err != nil {
			return err
		}
		if !o.repeat || n == o.count {
			return nil
		}
		fmt.Fprintln(out)
		time.Sleep(o.interval)
	}
}

// parseFree reads the command line. Where that already ends the program, there
// are no options but an exit status.
func parseFree(args []string, out, problems io.Writer) (o *freeOptions, code int) {
	fail := func(format string, a ...any) (*freeOptions, int) {
		fmt.Fprintf(problems, "memsup: cannot free: "+format+"\n", a...)
		return nil, 1
	}
	o = &freeOptions{interval: time.Second}
	opts := getopt{program: "memsup: cannot free", args: args, short: "bkmghlLtvc:ws:V", long: freeLong, errors: problems}
	for letter := opts.next(); letter != 0; letter = opts.next() {
		exponent := 0
		switch letter {
		case 'b', 'k', 'm', 'g', 'e', 'p':
			exponent = 1 + strings.IndexByte("bkmgep", letter)
		case 'K', 'M', 'G', 'T', 'P':
			exponent = 2 + strings.IndexByte("KMGTP", letter)
			o.si = true
		case 'i':
			o.si = true
		case 'h':
			o.human = true
		case 'l':
			o.lohi = true
		case 'L':
			o.oneLine = true
		case 't':
			o.total = true
		case 'v':
			o.committed = true
		case 'w':
			o.wide = true
		case 's':
			interval, ok := parseSeconds(opts.arg)
			if !ok {
				return fail("--seconds: %q is no positive number of seconds; write one such as 0.5", opts.arg)
			}
			o.repeat, o.interval = true, interval
		case 'c':
			n, rest, ok := strtol(opts.arg)
			if !ok || rest != "" || n < 1 {
				return fail("--count: %q is no number from 1 up", opts.arg)
			}
			o.repeat, o.count = true, n
		case 'H':
			io.WriteString(out, freeUsage)
			return nil, 0
		case 'V':
			fmt.Fprintln(out, "memsup free", versionName())
			return nil, 0
		default:
			io.WriteString(problems, freeUsage)
			return nil, 1
		}
		if exponent > 0 && o.exponent > 0 {
			return fail("more than one unit; write one")
		}
		o.exponent = max(o.exponent, exponent)
	}
	if len(opts.args) > 0 {
		fmt.Fprintf(problems, "memsup: cannot free: unexpected %q\n", opts.args[0])
		io.WriteString(problems, freeUsage)
		return nil, 1
	}
	return o, 0
}

// parseSeconds reads a number with "." or "," before its decimals, of at least
// a microsecond.
func parseSeconds(s string) (time.Duration, bool) {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	n, err := strconv.ParseFloat(strings.Replace(s, ",", ".", 1), 64)
	if err != nil || strings.Trim(s, "+0123456789.,") != "" || n < 1e-6 {
		return 0, false
	}
	return time.Duration(min(n*float64(time.Second), 1<<62)), true
}
