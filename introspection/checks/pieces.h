/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Code outside of the image that the kernel itself keeps track of, page by page: modules, BPF's
 * packs, trampolines of ftrace, slots of probes, and the few pages of the boot. Claims, as all that
 * the guest's lists say.
 */
#ifndef RF_INTROSPECTION_CHECKS_PIECES_H
#define RF_INTROSPECTION_CHECKS_PIECES_H

#include "introspection/checks/impl.h"

/* A zeroed one is empty. */
struct rf_pieces {
	struct rf_range *v; /* of whole pages; when sorted: ascending and apart */
	size_t count, room;
};

/* Trampolines of ftrace and slots of probes: what a function's first bytes may lead to. 0, or as
 * inside.h has it; deinit either way. */
int rf_pieces_of_hooks(struct rf_run *run, struct rf_pieces *out);
/* Those, and all others. */
int rf_pieces_of_all(struct rf_run *run, struct rf_pieces *out);
/* The range that holds gva; NULL: none does. */
const struct rf_range *rf_pieces_find(const struct rf_pieces *p, uint64_t gva);
void rf_pieces_deinit(struct rf_pieces *p);

#endif
