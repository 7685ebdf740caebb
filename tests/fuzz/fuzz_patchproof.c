// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Lines and a patch log that anybody may have written: lines up to one that is empty, then the log.
 * It is read once, whatever they say, and what is found stands at a line that there is.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "policy/patchproof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t lines;

static void look(void *ctx, const struct rf_finding *f)
{
	if (!rf_finding_text(f->kind) || f->line > lines ||
	    (!f->line && f->kind != RF_FOUND_PATCHES_NOT_COVERED))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data, *end = p + size;
	struct rf_patch_proof *proof = rf_patch_proof_create(look, NULL);
	int fd = memfd_create("patches", 0), err;

	for (lines = 0; p < end && *p != '\n';) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t len = stop ? (size_t)(stop - p) : (size_t)(end - p);

		if (rf_patch_proof_line(proof, 0, ++lines, p, len))
			abort();
		p += len + (stop != NULL);
	}
	if (p < end && write(fd, p + 1, (size_t)(end - p - 1)) != end - p - 1)
		abort();
	err = rf_patch_proof_check(proof, size % 5 ? fd : -1);
	if (err)
		abort();
	rf_patch_proof_destroy(proof);
	close(fd);
	return 0;
}
