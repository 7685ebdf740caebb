/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Is the patch log (policy/patchlog.h) as the record says? Lines of kind "patches" name how far it
 * went and what its hash was; those lines are in the chain (policy/verify.h), so the log is, too.
 */
#ifndef RF_POLICY_PATCHPROOF_H
#define RF_POLICY_PATCHPROOF_H

#include "policy/verify.h"

struct rf_patch_proof;

/* NULL: no memory. */
struct rf_patch_proof *rf_patch_proof_create(rf_finding_fn fn, void *ctx);
void rf_patch_proof_destroy(struct rf_patch_proof *p); /* NULL is fine */

/* A line of the record, without its newline; most say nothing of patches. 0 or -ENOMEM. */
int rf_patch_proof_line(struct rf_patch_proof *p, unsigned int file, uint64_t number,
			const char *line, size_t len);
/*
 * All lines of one file were given: does its patch log fit? fd: of that, -1: there is none. fn is
 * called for what does not fit, at the line that says so, and for what cannot be told; then what
 * was said is forgotten. The file is read once. 0, -errno of reading it, or -ENOMEM.
 */
int rf_patch_proof_check(struct rf_patch_proof *p, int fd);

#endif
