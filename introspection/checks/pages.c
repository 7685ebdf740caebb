// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Pages that a check has read lately, of a guest that runs: it reads some bytes here and some
 * there, of the same few pages again and again, and each read is a system call (hv/view.c). A dump
 * has its own (hv/dump/cache.c).
 */
#include <string.h>

#include "introspection/checks/impl.h"

int rf_pages_read(void *checks, rf_gpa gpa, void *buf, size_t len)
{
	struct rf_checks *c = checks;
	uint64_t number = gpa.v / RF_PAGE_SIZE, at = gpa.v % RF_PAGE_SIZE;
	struct rf_page *page = &c->pages[number % RF_PAGES];

	if (!len || len > RF_PAGE_SIZE / 2 || len > RF_PAGE_SIZE - at)
		return rf_memory_read(&c->memory, gpa, buf, len);
	if (page->number != number + 1) {
		page->number = 0;
		/* A part may be there where all of it is not. */
		if (rf_memory_read(&c->memory, rf_gpa_of(gpa.v - at), page->bytes, RF_PAGE_SIZE))
			return rf_memory_read(&c->memory, gpa, buf, len);
		page->number = number + 1;
	}
	memcpy(buf, page->bytes + at, len);
	return 0;
}

void rf_pages_forget(struct rf_checks *c)
{
	for (size_t i = 0; i < RF_PAGES; i++)
		c->pages[i].number = 0;
}
