// Package vm is a laboratory: it runs memsup in a virtual machine of its own,
// with cgroup v2, PSI and a kernel that may kill, and judges by what the machine
// prints.
//
//	go test -tags vm ./test/vm
//	go test -tags vm -run Scenario/leak ./test/vm
//
// A scenario is a file in testdata, in txtar's format. Its first lines say what
// it shows and what is expected; `run` is the shell script of the guest's first
// process; all files lie in /app, where memsup finds its Procfile:
//
//	# A worker that leaks is replaced before the kernel kills.
//	expect leaky.oom_kill == 0 && leaky.leak_started == 3
//	-- run --
//	lab contain leaky -memory 128M -until leak_started=3 -- memsup
//	-- Procfile --
//	leak: lab leak -rate 10MiB/s
//
// What the guest prints as `RESULT NAME {JSON}` is NAME in the expectations,
// which are written in the language of github.com/expr-lang/expr; `lab contain`
// prints one for each container, see lab/contain.go. `report EXPRESSION`
// tells and does not judge; `noisy` says that a scenario measures and may be wrong
// now and then: it is played twice more where it is. `qemu ARG ...` adds to qemu's arguments, `test PKG`
// puts that package's compiled tests in /app/PKG.test, `program PKG` that package's
// program in /app, and `debian PKG ...` Debian's packages, with what they depend on,
// in /disk/debian. -keep DIR keeps what each guest printed.
//
// The kernel, busybox and such packages are Debian's, unpacked once into
// MEMSUP_VM_CACHE or memsup-vm in the user's cache directory. It needs qemu,
// apt-get, dpkg and mke2fs, and no privilege; without them it skips, under
// CI=true it fails. MEMSUP_BINARY names a memsup to test in place of the one
// built from this tree.
package vm
