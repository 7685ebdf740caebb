// SPDX-License-Identifier: LGPL-2.1-or-later
/* Any bytes as the guest's .BTF, used as the rest of introspection uses types. */
#include <stdlib.h>
#include <string.h>

#include "introspection/btf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All that is told lies in the type. */
static int look(void *ctx, const struct rf_field *f)
{
	const uint64_t *bytes = ctx;

	if (!f->name || f->bit + f->count * f->width > *bytes * 8 ||
	    strlen(f->type) >= sizeof(f->type))
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = {
		"task_struct", "cred", "kuid_t", "module", "bomb", "s"
	};
	static const char *const paths[] = { "pid",  "b",	 "real_cred", "cred.uid.val",
					     "list", "mem.base", "x",	      "val" };
	struct rf_member m;
	struct rf_btf *btf;
	uint64_t bytes;
	int64_t value;

	if (rf_btf_create(data, size, &btf))
		return 0;
	for (unsigned int t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		if (!rf_btf_sizeof(btf, types[t], &bytes))
			rf_btf_fields(btf, types[t], NULL, 8, look, &bytes);
		for (unsigned int p = 0; p < sizeof(paths) / sizeof(paths[0]); p++)
			rf_btf_member(btf, types[t], paths[p], &m);
	}
	rf_btf_enumerator(btf, "system_states", "SYSTEM_RUNNING", &value);
	rf_btf_enumerator(btf, NULL, "SYSTEM_RUNNING", &value);
	rf_btf_destroy(btf);
	return 0;
}
