// Package container holds the tests that run memsup as the first process of
// real containers with a memory limit:
//
//	go test -tags container -timeout 15m ./test/container
//
// They need root, Docker on the same machine and, where the image
// debian:bookworm-slim is not there yet, mmdebstrap, which makes it from
// Debian's packages. Without these they skip, under CI=true they fail.
// MEMSUP_BINARY names a memsup to test in place of the one built from this
// tree.
//
// The images stay in Docker's store (memsup-test/…) so that only the first run
// installs packages; containers are always removed.
package container
