/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the guest (guest.S) reads of its script, which memory.c writes. All fields are 8 bytes. */
#ifndef RF_TESTS_HOSTILE_GUEST_H
#define RF_TESTS_HOSTILE_GUEST_H

#define SCRIPT 0x200000 /* guest-physical */

#define TIMES 0x4000000 /* where a variant leaves the cycles of its stores */
#define TIMES_COUNT 1000

#define GUEST_CR3 0
#define GUEST_CR4 8
#define GUEST_OPS 16

#define OP_KIND 0
#define OP_A 8
#define OP_B 16
#define OP_C 24
#define OP_SIZE 32

#define OP_HALT 0
#define OP_PRINT 1 /* the text stands in a, b and c */
#define OP_WRMSR 2
#define OP_STORE 3 /* four bytes */
#define OP_COPY 4
#define OP_GOTO 5
#define OP_TIMES 6 /* four bytes to a, c times; the cycles that each took, 8 bytes each, to b */

#endif
