//go:build container

package container

import (
	"fmt"
	"slices"
	"testing"
)

// An image that starts with tini or dumb-init needs no other line changed when
// that name leads to memsup: the same entry points give the same output and
// exit status as with Debian's own tini and dumb-init.
func TestByName(t *testing.T) {
	t.Parallel()
	for _, words := range [][]string{
		{"/usr/bin/tini", "--", "stress", "orphans", "-n", "500", "-exit", "7"},
		{"/usr/bin/tini", "-g", "--", "sh", "-c", "exit 3"},
		{"/usr/bin/tini", "-e", "143", "--", "sh", "-c", "kill -TERM $$"},
		{"/usr/bin/tini", "--", "sh", "-c", "kill -KILL $$"},
		{"/usr/bin/tini", "--", "nosuch"},
		{"/usr/bin/tini", "--", "/etc/passwd"},
		{"/usr/bin/dumb-init", "--", "stress", "orphans", "-n", "500", "-exit", "7"},
		{"/usr/bin/dumb-init", "sh", "-c", "exit 3"},
		{"/usr/bin/dumb-init", "--single-child", "sh", "-c", "kill -KILL $$"},
		{"/usr/bin/dumb-init", "nosuch"},
		{"/usr/bin/dumb-init"},
	} {
		t.Run(fmt.Sprint(words), func(t *testing.T) {
			t.Parallel()
			var codes []int
			var outs [][]string
			for _, i := range []*image{&initsImage, &linkedImage} {
				c := start(t, i, []string{"--entrypoint", words[0]}, words[1:]...)
				codes = append(codes, c.wait())
				outs = append(outs, c.out())
			}
			if codes[0] != codes[1] {
				t.Errorf("exit status %d, the original's is %d", codes[1], codes[0])
			}
			if !slices.Equal(outs[0], outs[1]) {
				t.Errorf("printed %q, the original %q", outs[1], outs[0])
			}
		})
	}
}

// The signals of `docker stop` and `docker kill` arrive under both names, and
// dumb-init rewrites them as told.
func TestSignalsByName(t *testing.T) {
	t.Parallel()
	for _, words := range [][]string{
		{"/usr/bin/tini", "--", "stress", "signals", "-exit", "5"},
		{"/usr/bin/dumb-init", "--", "stress", "signals", "-exit", "5"},
		{"/usr/bin/dumb-init", "--rewrite", "10:12", "--", "stress", "signals", "-exit", "5"},
	} {
		t.Run(fmt.Sprint(words), func(t *testing.T) {
			t.Parallel()
			var outs [][]string
			for _, i := range []*image{&initsImage, &linkedImage} {
				c := start(t, i, []string{"--entrypoint", words[0]}, words[1:]...)
				c.await(1, "ready")
				if _, err := docker("kill", "--signal", "USR1", c.id); err != nil {
					t.Fatal(err)
				}
				c.await(1, "caught SIGUSR")
				c.stop(5)
				outs = append(outs, c.out())
			}
			if !slices.Equal(outs[0], outs[1]) {
				t.Errorf("printed %q, the original %q", outs[1], outs[0])
			}
		})
	}
}
