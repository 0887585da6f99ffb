#include "textflag.h"

// entry is the program's entry point where the binary was linked with
// -E github.com/memsup/memsup/spawn.entry. It asks the kernel which signals
// are ignored and blocked before the Go runtime installs its handlers, and
// then starts the runtime. There is no stack frame and no g yet.
TEXT ·entry(SB),NOSPLIT|NOFRAME,$0
	XORQ R13, R13
	MOVQ $64, R12

next:
	MOVQ $13, AX               // rt_sigaction(R12, NULL, &scratch, 8)
	MOVQ R12, DI
	XORQ SI, SI
	LEAQ ·scratch(SB), DX
	MOVQ $8, R10
	SYSCALL
	SHLQ $1, R13
	CMPQ ·scratch(SB), $1      // SIG_IGN
	JNE  shown
	ORQ  $1, R13

shown:
	DECQ R12
	JNZ  next
	MOVQ R13, ·ignoredAtEntry(SB)

	MOVQ $14, AX               // rt_sigprocmask(SIG_BLOCK, NULL, &blockedAtEntry, 8)
	XORQ DI, DI
	XORQ SI, SI
	LEAQ ·blockedAtEntry(SB), DX
	MOVQ $8, R10
	SYSCALL
	MOVQ $1, ·entered(SB)
	JMP  _rt0_amd64_linux(SB)
