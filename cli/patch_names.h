/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names in a log of allowed patches (policy/patchlog.h), which come behind what they name. */
#ifndef RF_CLI_PATCH_NAMES_H
#define RF_CLI_PATCH_NAMES_H

#include "policy/patchlog.h"

struct rf_patch_names;

/*
 * The names of the places that the patches from `offset` on are about, which follow that head; of
 * no others, however many the log has. They may stand anywhere in it. What is no name is passed
 * over. 0, -errno or -ENOMEM.
 */
int rf_patch_names_read(int fd, uint64_t offset, const struct rf_patch_head *head,
			struct rf_patch_names **out);
void rf_patch_names_destroy(struct rf_patch_names *n); /* NULL is fine */
/* What lies so far from that head's base, as the log said first: a monitor names a place once, and
 * what was added since changes nothing. NULL: it has no name. Printable ASCII without a quote or a
 * backslash. */
const char *rf_patch_names_find(const struct rf_patch_names *n, const struct rf_patch_head *head,
				uint32_t at);

#endif
