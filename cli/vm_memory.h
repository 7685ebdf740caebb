/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory of a VM that runs, as its guest sees it. Each page is asked for over its control
 * socket, and comes from the sweeper (monitor/memory.c). Answers are hostile: each is bounded here,
 * and all are of one kernel; how many are asked for, and for how long, is the caller's to bound.
 */
#ifndef RF_CLI_VM_MEMORY_H
#define RF_CLI_VM_MEMORY_H

#include "cli/control.h"

#define RF_VM_MEMORY_PAGE ((uint64_t)4096)
#define RF_VM_MEMORY_PAGES 16u /* at once, as RF_ASKED_PAGES of monitor/pair.h */
#define RF_VM_MEMORY_BLOCK (RF_VM_MEMORY_PAGES * RF_VM_MEMORY_PAGE)

struct rf_vm_memory {
	struct rf_vm vm;
	json_t *kernel; /* as the first answer has it: no other's memory is taken for its */
	int64_t until;	/* as rf_now_ms(), 0: for ever; a guest, or who answers for it, may make it
			   long */
	int err;	/* of asking, the first one; no error of memory that is not there */
	char why[160];	/* of -ENODATA, as its monitor says; printable */
	uint8_t bytes[RF_VM_MEMORY_BLOCK];
};

/* RF_EXIT_OK with the first answer in *out (a reference), or an exit code, told; *l is zeroed but
 * for an open vm. close it in any case. */
int rf_vm_memory_begin(struct rf_vm_memory *l, json_t **out);
/* So many pages from that one on, at most RF_VM_MEMORY_PAGES: how many of them there are in a row,
 * in l->bytes; or -errno, the same from then on. */
int rf_vm_memory_fetch(struct rf_vm_memory *l, uint64_t at, unsigned int pages);
/* Where there is memory, ascending, of whole pages: so many, or -errno as above. */
#define RF_VM_MEMORY_RANGES 1024u
struct rf_vm_range {
	uint64_t at, size; /* guest-physical, bytes */
};
int rf_vm_memory_map(struct rf_vm_memory *l, struct rf_vm_range out[RF_VM_MEMORY_RANGES]);
/* Of an answer, a member like "0x1000"; 0: there is none, or it is no such text. */
uint64_t rf_vm_memory_number(const json_t *o, const char *member);
/* RF_EXIT_OK, or the exit code of the first error of asking, told, with what it means. */
int rf_vm_memory_lost(const struct rf_vm_memory *l, const char *means);
void rf_vm_memory_close(struct rf_vm_memory *l);

#endif
