// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What was patched before the seal and is believed since: breakpoints, whose own bytes the guest's
 * word alone vouches for, and functions that are traced. A command line's kprobe_event= and ftrace=
 * lead there, and so does whoever was in the kernel before it was sealed: the auditor should know.
 */
#include <stdio.h>

#include "monitor/monitor.h"

#define NAMED 8

static void add_name(struct rf_guest *g, uint64_t gva, const char *between, char *text, size_t size)
{
	struct rf_named n = { .addr = 0 };

	rf_name_address(g, &g->paging, gva, &n);
	if (n.symbol[0])
		snprintf(text, size, "%s%.64s+0x%llx", between, n.symbol,
			 (unsigned long long)n.offset);
	else
		snprintf(text, size, "%s0x%llx", between, (unsigned long long)gva);
}

int rf_armed_record(struct rf_guest *g)
{
	uint32_t probes =
		g->table->extra_count < RF_TABLE_EXTRA ? g->table->extra_count : RF_TABLE_EXTRA;
	struct rf_textpatch_stats s;
	char text[1024];
	size_t len;

	rf_textpatch_stats(g->patches, &s);
	if (!probes && !s.traced)
		return 0;
	len = (size_t)snprintf(text, sizeof(text), "%zu functions are traced; %u breakpoints",
			       s.traced, probes);
	for (uint32_t i = 0; i < probes && i < NAMED; i++) {
		add_name(g, g->table->base + g->table->extra[i].at, i ? ", " : ": ", text + len,
			 sizeof(text) - len);
		while (text[len])
			len++;
	}
	if (probes > NAMED)
		snprintf(text + len, sizeof(text) - len, " and %u more", probes - NAMED);
	return rf_note(g, "patch", "patched before the seal, and believed", text);
}
