// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/fake_hooks.h"

#include <errno.h>
#include <stdlib.h>

struct rf_hook fake_hooks[FAKE_HOOKS];
unsigned int fake_hooks_count;
size_t fake_odd;

struct rf_textpatch {
	char unused;
};
struct rf_hooks {
	char unused;
};

int rf_textpatch_create(const struct rf_kernel *k, const struct rf_memory *m,
			const struct rf_paging *p, struct rf_patch_table *table, bool kept,
			uint32_t frozen, struct rf_textpatch **out, struct rf_diag *diag)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void rf_textpatch_destroy(struct rf_textpatch *t)
{
	free(t);
}

int rf_textpatch_sweep(struct rf_textpatch *t, const struct rf_memory *m, const struct rf_paging *p)
{
	return 0;
}

void rf_textpatch_stats(const struct rf_textpatch *t, struct rf_textpatch_stats *out)
{
	*out = (struct rf_textpatch_stats){ .odd = fake_odd };
}

int rf_hooks_create(struct rf_textpatch *t, const struct rf_memory *m, struct rf_hooks **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void rf_hooks_destroy(struct rf_hooks *h)
{
	free(h);
}

bool rf_hooks_shows(const struct rf_hooks *h, enum rf_hook_kind kind)
{
	return kind != RF_HOOK_FPROBE;
}

int rf_hooks_walk(const struct rf_hooks *h, const struct rf_memory *m, const struct rf_paging *p,
		  rf_hook_fn fn, void *ctx)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < fake_hooks_count; i++)
		err = fn(ctx, &fake_hooks[i]);
	return err;
}
