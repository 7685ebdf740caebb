/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of struct rf_kernel, for the files that make it up. */
#ifndef RF_INTROSPECTION_KERNEL_INTERNAL_H
#define RF_INTROSPECTION_KERNEL_INTERNAL_H

#include "introspection/btf.h"
#include "introspection/kernel.h"
#include "introspection/symbols.h"

/* Where the running task is found; looked up once, as records are written while a vCPU waits. */
struct rf_task_layout {
	bool known;
	uint64_t current; /* offset of the task pointer in the per-CPU area */
	uint64_t comm, comm_size, pid, tgid, real_cred, uid;
};

struct rf_module_part {
	uint64_t base, size; /* offsets in struct module of two members: a pointer, a 32-bit size */
};

#define RF_MODULE_PARTS_MAX 16u

struct rf_module_layout {
	bool known;
	rf_gva head;   /* struct list_head modules */
	uint64_t size; /* bytes of struct module that are read */
	uint64_t list, name, name_size;
	unsigned int part_count;
	struct rf_module_part part[RF_MODULE_PARTS_MAX];
};

struct rf_kernel {
	struct rf_image image;
	uint8_t levels;
	struct rf_symbols symbols;
	struct rf_btf *btf; /* NULL: no types */
	struct rf_task_layout task;
	struct rf_module_layout module;
	char banner[256];
};

/* Fill the layouts from symbols and types; what cannot be known stays unknown. */
void rf_task_layout_init(struct rf_kernel *k);
void rf_module_layout_init(struct rf_kernel *k);

/*
 * Where the `len` bytes of a symbol lie. -ENOENT without it; per-CPU and other absolute symbols
 * have no place in the image.
 */
int rf_kernel_symbol_gpa(const struct rf_kernel *k, const char *name, uint64_t len, rf_gpa *gpa);

/* Copies a string of the guest's, len bytes at most; '?' for what is not printable ASCII. */
static inline void rf_guest_text(const char *from, size_t len, char *to, size_t to_size)
{
	size_t i;

	for (i = 0; i < len && i + 1 < to_size && from[i]; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	to[i] = '\0';
}

#endif
