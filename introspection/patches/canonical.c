// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Text without what the kernel has patched in it. Two monitors that look at the same guest at two
 * times, before and behind a migration, must see the same, though the second one knows only what
 * the guest says then:
 *  - sites of the tables are there for both: zeros;
 *  - a lock prefix is one only until a second CPU comes up (smp.c), and then is what that
 *    has made of it: so it is in any case;
 *  - a probe's site is one only while it is armed: so the instruction stands there in any case. Who
 *    was told of it before the int3 came has it from the text. Who finds it armed has it from the
 *    guest's own list: a false one makes another text of it, and is noticed.
 */
#include <string.h>

#include "introspection/patches/impl.h"

#define LOCK 0xf0

/* The part of the site that lies in [at, at + len). */
static void put(const struct rf_textpatch *t, const struct rf_patch_site *s, uint64_t at,
		uint8_t *buf, size_t len)
{
	static const uint8_t zeros[RF_SITE_MAX_LEN], lock[RF_SITE_MAX_LEN] = { LOCK };
	bool own = s->kind == RF_SITE_KPROBE || s->kind == RF_SITE_KGDB;
	const uint8_t *bytes = own ? s->own : s->kind == RF_SITE_SMP_LOCK ? lock : zeros;
	uint8_t size = rf_shape_len(t, s);

	for (uint8_t i = 0; i < size; i++)
		if (rf_within(s->at + i, 1, at, len))
			buf[s->at + i - at] = bytes[i];
}

static void put_all(const struct rf_textpatch *t, const struct rf_patch_site *sites, uint32_t count,
		    uint64_t at, uint8_t *buf, size_t len)
{
	uint32_t lo = 0, hi = count;

	while (lo < hi) { /* the first that may reach into it */
		uint32_t mid = lo + (hi - lo) / 2;

		if (sites[mid].at + UINT64_C(0) + RF_SITE_MAX_LEN <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < count && sites[lo].at < at + len; lo++)
		put(t, &sites[lo], at, buf, len);
}

void rf_textpatch_canonical(const struct rf_textpatch *t, rf_gva gva, uint8_t *buf, size_t len)
{
	const struct rf_patch_table *table = t->table;

	if (!rf_textpatch_in_text(t, gva.v))
		return;
	put_all(t, table->sites, table->sites_count, gva.v - t->text, buf, len);
	put_all(t, table->extra, table->extra_count, gva.v - t->text, buf, len);
}
