// SPDX-License-Identifier: LGPL-2.1-or-later
/* Compiles the table, once for a kernel: its bounds, then every kind of site and target in its
 * turn. */
#include <errno.h>
#include <stdlib.h>

#include "introspection/diag.h"
#include "introspection/kernel.h"
#include "introspection/scratch.h"
#include "introspection/patches/impl.h"

#define TEXT_MAX (UINT64_C(256) << 20) /* bytes; distributions have some 20 MiB */

static int bounds(struct rf_textpatch *t, struct rf_diag *diag)
{
	static const char *const names[] = { "_text", "_etext", "__start_rodata", "__end_rodata" };
	uint64_t *const to[] = { &t->text, &t->etext, &t->rodata, &t->erodata };
	const struct rf_image *image = rf_kernel_image(t->k);

	for (size_t i = 0; i < 4; i++) {
		rf_gva v;

		if (rf_kernel_address(t->k, names[i], &v))
			return rf_diag_fail(diag, -ENOENT, "no symbol %s", names[i]);
		*to[i] = v.v;
	}
	if (t->text >= t->etext || t->rodata >= t->erodata ||
	    !rf_within(t->text, t->etext - t->text, image->base.v, image->size) ||
	    !rf_within(t->rodata, t->erodata - t->rodata, image->base.v, image->size))
		return rf_diag_fail(diag, -EBADMSG, "text or rodata does not lie inside the image");
	if (t->etext - t->text > TEXT_MAX)
		return rf_diag_fail(diag, -EBADMSG, "text has %llu bytes, no plausible number",
				    (unsigned long long)(t->etext - t->text));
	return 0;
}

static int compile(struct rf_loader *l)
{
	struct rf_textpatch *t = l->t;
	const struct rf_live live = rf_live_begin(t, l->m, l->p);
	size_t sealed;
	int err = rf_sealed_sites(l);

	if (!err && l->count)
		err = rf_loader_merge(l);
	if (!err)
		err = rf_loader_own_trampolines(l);
	if (err)
		return err;
	rf_textpatch_shapes(t->table);
	rf_thunk_template(l);
	rf_textpatch_functions(l);
	rf_loader_measure(l, 0);
	sealed = l->count;
	err = rf_ftrace_sites(l);
	if (!err)
		err = rf_thunk_sites(l);
	if (!err)
		err = t->kept ? rf_kept_sites(l) : rf_smp_lock_sites(l);
	if (err)
		return err;
	rf_loader_measure(l, sealed);
	err = rf_loader_part(l);
	if (!err)
		err = rf_loader_keep_keys(l);
	if (err)
		return err;
	rf_loader_write_down(l);
	rf_kept_probes(l);
	if (l->p)
		rf_probe_load(t, &live);
	return 0;
}

int rf_textpatch_load(struct rf_textpatch *t, const struct rf_memory *m, const struct rf_paging *p,
		      const struct rf_kept *before, struct rf_diag *diag)
{
	static const struct rf_kept nothing;
	struct rf_loader l = { .t = t, .m = m, .p = p, .before = before, .diag = diag };
	int err = bounds(t, diag);
	uint64_t size;

	if (err)
		return err;
	size = t->etext - t->text;
	/* What is not of this text, or not whole, says nothing; and the guest is not asked
	 * instead. */
	if (t->kept && !rf_kept_fits(t, before)) {
		l.before = &nothing;
		t->stats.nothing_kept = true;
	}
	t->table->revision = RF_TABLE_REVISION;
	t->table->base = t->text;
	t->table->size = size;
	l.bytes = rf_scratch_alloc(size);
	if (!l.bytes)
		return rf_diag_fail(diag, -ENOMEM, "no memory for a copy of the text");
	err = rf_textpatch_read(t, m, t->text, l.bytes, size);
	if (err)
		rf_diag_fail(diag, err, "the text cannot be read");
	else
		err = compile(&l);
	rf_scratch_free(l.bytes, size);
	free(l.sites);
	return err;
}
