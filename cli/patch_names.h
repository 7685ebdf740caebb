/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names in a log of allowed patches (policy/patchlog.h), which come behind what they name. */
#ifndef RF_CLI_PATCH_NAMES_H
#define RF_CLI_PATCH_NAMES_H

#include "policy/patchlog.h"

struct rf_patch_names;

/* Reads all of the log. What is no name, or one too many, is passed over. 0, -errno or -ENOMEM. */
int rf_patch_names_read(int fd, struct rf_patch_names **out);
void rf_patch_names_destroy(struct rf_patch_names *n); /* NULL is fine */
/* What lies so far from that head's base; NULL: it has no name. Printable ASCII
 * without a quote or a backslash. */
const char *rf_patch_names_find(const struct rf_patch_names *n, const struct rf_patch_head *head,
				uint32_t at);

#endif
