// SPDX-License-Identifier: LGPL-2.1-or-later
/* A patch log that anybody may have written: what is found in it as a name is safe to be shown. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/patch_names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct rf_patch_names *n, const struct rf_patch_head *head, uint32_t at)
{
	const char *text = rf_patch_names_find(n, head, at);

	if (text && (!*text || strlen(text) >= RF_PATCH_NAME_BYTES))
		abort();
	for (; text && *text; text++)
		if (*text <= ' ' || *text > '~' || *text == '"' || *text == '\\')
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rf_patch_head head = { 0 };
	struct rf_patch_names *n;
	union rf_patch_record r;
	uint64_t offset = 0;
	uint32_t to;
	int fd = memfd_create("patches", 0);

	if (write(fd, data, size) != (ssize_t)size || rf_patch_names_read(fd, 0, &head, &n))
		abort();
	while (rf_patchlog_read(fd, &offset, &r, 1) == 1) {
		if (rf_patch_is_head(&r))
			head = r.head;
		look(n, &head, r.line.at);
		if (rf_patch_is_line(&r) && rf_patch_leads(&r.line, &to))
			look(n, &head, to);
	}
	rf_patch_names_destroy(n);
	close(fd);
	return 0;
}
