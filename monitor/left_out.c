// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the table of patch sites does not have, and why, in words for people. Entries of init text,
 * which is freed, duplicates, frozen sites and those under way are in no list: nothing is missing
 * for them.
 */
#include <stdio.h>
#include <string.h>

#include "monitor/monitor.h"

struct reason {
	const char *name, *why;
	size_t at;  /* of struct rf_textpatch_stats: a size_t */
	bool usual; /* a stock 6.1 has 558 of them: no ground for a record */
};

#define AT(member) offsetof(struct rf_textpatch_stats, member)
static const struct reason reasons[] = {
	{ "odd",
	  "what stood there when the table was made is no instruction that the kernel patches in",
	  AT(odd), false },
	{ "outside", "the kernel lists them, and they or their targets lie outside of its text",
	  AT(outside), false },
	{ "full",
	  "the table has no room for more sites, or for more places that they may lead to; counted "
	  "at each look",
	  AT(full), false },
	{ "nameless",
	  "function tracing: no function begins there, or one that was overridden; older kernels "
	  "have some, and "
	  "nobody can trace there anyway",
	  AT(nameless), true },
	{ "foreign",
	  "listed in memory that the guest can write, and no such instruction, or inside of "
	  "another "
	  "site",
	  AT(foreign), false },
	{ "unread",
	  "lists of the guest that could not be read to their end, with all that they hold",
	  AT(unread), false },
};

#define NOTHING_KEPT                                                                               \
	"all sites listed in writable memory (ftrace, probes, lock prefixes): the monitor before " \
	"this one left no table that is whole, and the guest is not asked"

static size_t count_of(const struct rf_textpatch_stats *s, const struct reason *r)
{
	size_t n;

	memcpy(&n, (const char *)s + r->at, sizeof(n));
	return n;
}

/* "symbol+0x12", or the address. */
static void first_odd(struct rf_guest *g, const struct rf_textpatch_stats *s, char *out,
		      size_t size)
{
	struct rf_named n = { .addr = 0 };

	rf_name_address(g, &g->paging, s->first_odd.v, &n);
	if (n.symbol[0])
		snprintf(out, size, "%s+0x%llx", n.symbol, (unsigned long long)n.offset);
	else
		snprintf(out, size, "0x%llx", (unsigned long long)s->first_odd.v);
}

json_t *rf_left_out_status(struct rf_guest *g)
{
	struct rf_textpatch_stats s;
	json_t *all;
	char first[160];

	if (!g->patches)
		return json_null();
	rf_textpatch_stats(g->patches, &s);
	all = json_array();
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		size_t n = count_of(&s, &reasons[i]);

		if (!n)
			continue;
		first[0] = '\0';
		if (reasons[i].at == AT(odd))
			first_odd(g, &s, first, sizeof(first));
		json_array_append_new(all, json_pack("{s:s, s:I, s:s, s:s}", "reason",
						     reasons[i].name, "count", (json_int_t)n, "why",
						     reasons[i].why, "first", first));
	}
	if (s.nothing_kept)
		json_array_append_new(all,
				      json_pack("{s:s, s:n, s:s, s:s}", "reason", "nothing-kept",
						"count", "why", NOTHING_KEPT, "first", ""));
	return all;
}

/* nothing_kept has a record of its own (patches.c). */
int rf_left_out_record(struct rf_guest *g)
{
	struct rf_record r = { .kind = "patch",
			       .region = "text",
			       .outcome = "sites left out of the table" };
	struct rf_textpatch_stats s;
	char text[1024] = "";
	size_t len = 0;

	rf_textpatch_stats(g->patches, &s);
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		size_t n = count_of(&s, &reasons[i]);

		if (!n || reasons[i].usual || len >= sizeof(text))
			continue;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %zu (%s)",
					len ? "; " : "", reasons[i].name, n, reasons[i].why);
	}
	if (!len)
		return 0;
	if (s.odd) {
		r.has_target = true;
		rf_name_address(g, &g->paging, s.first_odd.v, &r.target);
	}
	r.detail = text;
	return rf_record_write(g, &r);
}
