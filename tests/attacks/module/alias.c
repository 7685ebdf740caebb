// SPDX-License-Identifier: GPL-2.0-only
/* Targets, aliases of them, and the verdict on an attempt. */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "attacks.h"

void rf_say(struct rf_report *r, const char *format, ...)
{
	size_t used = strlen(r->detail);
	va_list args;

	if (used && used + 2 < sizeof(r->detail)) {
		strcpy(r->detail + used, " ");
		used++;
	}
	va_start(args, format);
	vscnprintf(r->detail + used, sizeof(r->detail) - used, format, args);
	va_end(args);
}

void rf_skip(struct rf_report *r, const char *why)
{
	r->outcome = RF_SKIPPED;
	rf_say(r, "%s", why);
}

void rf_kept(struct rf_report *r, const char *what, bool kept)
{
	rf_say(r, "%s=%s", what, kept ? "kept" : "CHANGED");
}

struct page *rf_page(const void *at)
{
	/* Knows the kernel image's own mapping as well as the direct map. */
	return virt_to_page(at);
}

bool rf_aim_at(struct rf_report *r, const char *symbol, u8 *at, unsigned int len)
{
	u8 *start = rf_symbol(symbol);

	if (!start || len > RF_LONGEST) {
		rf_skip(r, "no such symbol in this kernel:");
		rf_say(r, "%s", symbol);
		return false;
	}
	r->symbol = symbol;
	r->at = at;
	r->offset = at - start;
	r->len = len;
	memcpy(r->before, at, len);
	return true;
}

bool rf_aim(struct rf_report *r, const char *symbol, unsigned long offset, unsigned int len)
{
	u8 *start = rf_symbol(symbol);

	return rf_aim_at(r, symbol, start ? start + offset : NULL, len);
}

bool rf_aim_banner(struct rf_report *r, struct rf_alias *alias, unsigned int align, unsigned int len)
{
	/* The text behind /proc/version: nobody minds it wrong for a moment, and it is longer than any store here. */
	u8 *start = rf_symbol("linux_banner");

	return rf_aim(r, "linux_banner", start ? PTR_ALIGN(start, align) - start : 0, len) && rf_alias_map(r, alias);
}

u8 *rf_quiet_page(struct rf_report *r)
{
	u8 *start = rf_symbol("__start_BTF"), *stop = rf_symbol("__stop_BTF");

	if (!start || !stop || stop - start < 64 * PAGE_SIZE) {
		rf_skip(r, "this kernel has no type data to aim at");
		return NULL;
	}
	return PTR_ALIGN(start + 32 * PAGE_SIZE, PAGE_SIZE);
}

bool rf_alias_map(struct rf_report *r, struct rf_alias *alias)
{
	struct page *pages[2] = { rf_page(r->at), NULL };
	unsigned int count = 1;

	if (offset_in_page(r->at) + r->len > PAGE_SIZE)
		pages[count++] = rf_page(r->at + r->len - 1);
	alias->map = vmap(pages, count, VM_MAP, PAGE_KERNEL);
	if (!alias->map) {
		rf_skip(r, "vmap failed");
		return false;
	}
	alias->at = alias->map + offset_in_page(r->at);
	return true;
}

void rf_alias_unmap(struct rf_alias *alias)
{
	vunmap(alias->map);
}

void rf_judge(struct rf_report *r, bool faulted)
{
	struct rf_alias alias;

	if (!rf_alias_map(r, &alias))
		return;
	if (memcmp(alias.at, r->before, r->len)) {
		r->outcome = RF_LANDED;
		if (faulted)
			rf_say(r, "landed although it faulted");
		memcpy(alias.at, r->before, r->len);
	} else {
		r->outcome = faulted ? RF_FAULTED : RF_UNCHANGED;
	}
	rf_alias_unmap(&alias);
}
