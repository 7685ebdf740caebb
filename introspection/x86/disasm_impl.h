/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What disasm.c and store.c share; no one else includes it. */
#ifndef RF_INTROSPECTION_DISASM_IMPL_H
#define RF_INTROSPECTION_DISASM_IMPL_H

#include <capstone/capstone.h>

#include "introspection/x86/disasm.h"

#define RF_INSN_MAX 15 /* Intel SDM vol. 2A 2.3.11 */

/*
 * Two handles because operand detail costs a third of Capstone's speed and walking a function
 * forward needs lengths only. Both instructions are allocated once: nothing is allocated per event.
 */
struct rf_disasm {
	csh detail, plain;
	cs_insn *insn; /* with detail */
	cs_insn *step; /* without */
};

/* The instruction at the start of code, d->insn with operands. False: Capstone knows none there. */
bool rf_disasm_one(struct rf_disasm *d, const uint8_t *code, size_t len, rf_gva addr);

/*
 * Which of the instruction starts in `starts` (each ends or stands at or before `rip`) lies on the
 * instruction stream of the code around it; the answer is a bit mask over starts. Inside a known
 * function the stream is decoded from the function's start, and *known is set: 0 then means that
 * none does. Elsewhere (modules, JIT) it is decoded from many earlier offsets: x86 streams fall
 * into step after a few instructions, and what most of them say is taken; 0 means no evidence.
 */
uint32_t rf_disasm_on_stream(struct rf_disasm *d, const struct rf_kernel *k,
			     const struct rf_memory *m, const struct rf_paging *p, rf_gva rip,
			     const rf_gva *starts, size_t count, bool *known);

#endif
