#include "textflag.h"

// handler: see trap_amd64.s; the number is in R0, and the kernel's vDSO has
// the way back.
TEXT handler<>(SB),NOSPLIT|NOFRAME,$0
	SUB  $16, RSP
	MOVB R0, (RSP)
	MOVW ·writeEnd(SB), R0     // write(writeEnd, RSP, 1)
	MOVD RSP, R1
	MOVD $1, R2
	MOVD $64, R8
	SVC
	ADD  $16, RSP
	RET

GLOBL ·handlerPC(SB), RODATA, $8
DATA ·handlerPC(SB)/8, $handler<>(SB)
GLOBL ·restorerPC(SB), RODATA, $8
DATA ·restorerPC(SB)/8, $0
