/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * x86-64 page tables, walked from outside the guest.
 *
 * Format: Intel SDM vol. 3A 4.5 / AMD APM vol. 2 5.3 (4 and 5 levels, 4 KiB, 2 MiB, 1 GiB pages).
 * Tables are hostile: every loop is bounded by the levels and the range asked for, a malformed
 * entry is -EBADMSG, one that is not present -ENOENT, one that points outside RAM -EFAULT.
 */
#ifndef RF_INTROSPECTION_PAGETABLE_H
#define RF_INTROSPECTION_PAGETABLE_H

#include "introspection/memory.h"

/* MODULES_END, arch/x86/include/asm/pgtable_64_types.h: code of modules lies between the image and
 * this. */
#define RF_MODULES_END UINT64_C(0xffffffffff000000)

struct rf_paging {
	rf_gpa root;	/* CR3 without PCID and flag bits, page aligned */
	uint8_t levels; /* 4, or 5 with CR4.LA57 */
};

/* As the registers hold it: CR3 with PCID and LAM bits, CR4.LA57 (bit 12). Long mode is assumed. */
static inline struct rf_paging rf_paging_of(uint64_t cr3, uint64_t cr4)
{
	return (struct rf_paging){ rf_gpa_of(cr3 & UINT64_C(0x000ffffffffff000)),
				   cr4 & UINT64_C(0x1000) ? 5 : 4 };
}

/* What the hardware would make of one address: permissions are the AND over all levels. */
struct rf_translation {
	rf_gpa gpa;	    /* of the address asked for, not of the page */
	uint64_t page_size; /* 4 KiB, 2 MiB or 1 GiB */
	bool writable;	    /* R/W set at every level (CR0.WP is not looked at) */
	bool user;	    /* U/S set at every level */
	bool executable;    /* NX clear at every level (EFER.NXE assumed set) */
};

/* 0, -ENOENT, -EBADMSG, -EFAULT, -EINVAL (not canonical, levels not 4 or 5). */
int rf_pt_translate(const struct rf_memory *m, const struct rf_paging *p, rf_gva gva,
		    struct rf_translation *out);

/* An entry that a walk from the root down has read. */
struct rf_pt_step {
	rf_gpa at; /* where it stands */
	uint64_t entry;
	uint8_t level; /* of its table: 0 holds those of 4 KiB pages */
};
#define RF_PT_LEVELS_MAX 5u

/* The same, and what was read on the way, *count of them: also where it ends with an error. */
int rf_pt_trace(const struct rf_memory *m, const struct rf_paging *p, rf_gva gva,
		struct rf_pt_step steps[RF_PT_LEVELS_MAX], unsigned int *count,
		struct rf_translation *out);
/* "PML4", "PDPT" ... */
const char *rf_pt_level_text(unsigned int level);
/* "present writable accessed dirty nx": what the processor looks at. Returns out. */
#define RF_PT_FLAGS_TEXT 128
const char *rf_pt_flags_text(const struct rf_pt_step *step, char out[RF_PT_FLAGS_TEXT]);

/* Reads [gva, gva+len) across page borders. 0 or errors as above; then buf is unspecified. */
int rf_pt_read(const struct rf_memory *m, const struct rf_paging *p, rf_gva gva, void *buf,
	       size_t len);

/*
 * For who searches memory for tables: the last entry of one leads to another table, below which
 * something may be executable. Then *next is where that one lies.
 */
bool rf_pt_leads_on(uint64_t entry, uint64_t *next);

/* One run of pages that is contiguous in both address spaces and of one permission. */
struct rf_mapping {
	rf_gva gva;
	rf_gpa gpa;
	uint64_t size; /* bytes */
	bool writable, user, executable;
};

/*
 * Calls fn for each present run inside [start, end), page aligned, in one canonical half, end 0
 * meaning the top of the address space, ascending, merged as far as it goes. Not-present holes are
 * skipped at the level they stand at. fn returns 0 to go on; any other value stops the walk and is
 * returned. At most max_entries table entries are looked at, else -E2BIG (a hostile tree can
 * alias).
 */
int rf_pt_walk(const struct rf_memory *m, const struct rf_paging *p, rf_gva start, rf_gva end,
	       uint64_t max_entries, int (*fn)(void *ctx, const struct rf_mapping *run), void *ctx);

#endif
