#include "textflag.h"

// handler is called by the kernel on the thread's signal stack, with the
// signal's number in DI. What it writes over, sigreturn restores.
TEXT handler<>(SB),NOSPLIT|NOFRAME,$0
	SUBQ $8, SP
	MOVB DI, (SP)
	MOVL ·writeEnd(SB), DI     // write(writeEnd, SP, 1)
	MOVQ SP, SI
	MOVL $1, DX
	MOVL $1, AX
	SYSCALL
	ADDQ $8, SP
	RET

TEXT restorer<>(SB),NOSPLIT|NOFRAME,$0
	MOVL $15, AX               // rt_sigreturn()
	SYSCALL
	INT  $3

GLOBL ·handlerPC(SB), RODATA, $8
DATA ·handlerPC(SB)/8, $handler<>(SB)
GLOBL ·restorerPC(SB), RODATA, $8
DATA ·restorerPC(SB)/8, $restorer<>(SB)
