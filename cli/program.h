/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Can the fence be preloaded into this program? The dynamic linker honours LD_PRELOAD only for a
 * dynamically linked program that gains no privilege at exec (ld.so(8), "secure-execution mode");
 * it drops it silently otherwise, and the guest would run without a lock.
 */
#ifndef RF_CLI_PROGRAM_H
#define RF_CLI_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

enum rf_program {
	RF_PROGRAM_OK = 1,
	RF_PROGRAM_SCRIPT, /* starts with #! */
	RF_PROGRAM_NOT_ELF,
	RF_PROGRAM_FOREIGN,    /* ELF of another machine or word size, or not something to run */
	RF_PROGRAM_MALFORMED,  /* an ELF file that contradicts itself */
	RF_PROGRAM_STATIC,     /* no PT_INTERP: no dynamic linker, nothing is preloaded */
	RF_PROGRAM_PRIVILEGED, /* set-user-id, set-group-id or file capabilities */
};

/* Why it cannot be protected, as a phrase that follows the program's name; NULL for
 * RF_PROGRAM_OK. */
const char *rf_program_text(enum rf_program p);

/* Judges the first len bytes of a file; program headers that lie beyond them count as malformed.
 * Pure. */
enum rf_program rf_program_judge(const uint8_t *head, size_t len);

#define RF_PROGRAM_HEAD 16384 /* bytes of the file that are looked at */

/* Judges a file by its content, mode and capabilities. 0, or -errno when it cannot be read. */
int rf_program_check(const char *path, enum rf_program *out);

#endif
