#include "textflag.h"

// entry: see entry_amd64.s.
TEXT ·entry(SB),NOSPLIT|NOFRAME,$0
	MOVD $0, R13
	MOVD $64, R12
	MOVD $·scratch(SB), R14

next:
	MOVD R12, R0               // rt_sigaction(R12, NULL, &scratch, 8)
	MOVD $0, R1
	MOVD R14, R2
	MOVD $8, R3
	MOVD $134, R8
	SVC
	LSL  $1, R13
	MOVD (R14), R9
	CMP  $1, R9                // SIG_IGN
	BNE  shown
	ORR  $1, R13

shown:
	SUBS $1, R12
	BNE  next
	MOVD R13, ·ignoredAtEntry(SB)

	MOVD $0, R0                // rt_sigprocmask(SIG_BLOCK, NULL, &blockedAtEntry, 8)
	MOVD $0, R1
	MOVD $·blockedAtEntry(SB), R2
	MOVD $8, R3
	MOVD $135, R8
	SVC
	MOVD $1, R9
	MOVD R9, ·entered(SB)
	JMP  _rt0_arm64_linux(SB)
