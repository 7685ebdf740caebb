// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a sealed guest's memory holds, page by page, and where there is any, for its owner's own
 * looks and dumps: `ringfence ps --live` and the like walk the guest themselves, in a process of
 * whoever asks, and no verdict waits for them. They get what the guest sees.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>

#include "monitor/monitor.h"

#define BYTES ((size_t)RF_ASKED_PAGES * RF_PAGE_SIZE)

bool rf_asked_is_sane(const struct rf_asked *a)
{
	return !(a->at % RF_PAGE_SIZE) && a->pages && a->pages <= RF_ASKED_PAGES &&
	       a->at <= UINT64_MAX - BYTES;
}

static json_t *hex(uint64_t v)
{
	return json_sprintf("0x%llx", (unsigned long long)v);
}

static json_t *place(const struct rf_image *i)
{
	return json_pack("{s:o, s:o, s:o}", "gva", hex(i->base.v), "gpa", hex(i->gpa.v), "size",
			 hex(i->size));
}

/* Where the kernel's symbols and types are, as monitor/sealed.c reads them: what is sealed. */
static struct rf_image tables_of(const struct rf_guest *g)
{
	for (uint32_t i = 0; i < g->regions_count; i++) {
		const struct rf_region *r = &g->regions[i].region;

		if (r->kind == RF_REGION_RODATA)
			return (struct rf_image){ rf_gva_of(r->gva), rf_gpa_of(r->gpa), r->size };
	}
	return *rf_kernel_image(g->kernel);
}

/* Where a kernel is found from. */
static json_t *kernel(const struct rf_guest *g)
{
	struct rf_image tables = tables_of(g);

	return json_pack("{s:o, s:o, s:o, s:o, s:I}", "sealed", hex(g->kernel_event), "image",
			 place(rf_kernel_image(g->kernel)), "tables", place(&tables), "root",
			 hex(g->paging.root.v), "levels", (json_int_t)g->paging.levels);
}

/* So many pages there are in a row, from the first one on. */
static uint32_t read_pages(struct rf_guest *g, const struct rf_asked *a, uint8_t *out)
{
	uint32_t n = 0;

	while (n < a->pages && !rf_memory_read(&g->mem, rf_gpa_of(a->at + n * RF_PAGE_SIZE),
					       out + n * RF_PAGE_SIZE, RF_PAGE_SIZE))
		n++;
	return n;
}

/* The guest may be another one by now: a reset comes before the order that tells of it. */
static bool is_still_there(const struct rf_guest *g)
{
	struct rf_backend_info info;

	return !g->hv->ops->info(g->hv, &info) && info.kernel == g->kernel_event;
}

static json_t *pages(struct rf_guest *g)
{
	static uint8_t bytes[BYTES];
	static char text[sodium_base64_ENCODED_LEN(BYTES, sodium_base64_VARIANT_ORIGINAL)];
	uint32_t n = read_pages(g, &g->asked, bytes);

	sodium_bin2base64(text, sizeof(text), bytes, n * RF_PAGE_SIZE,
			  sodium_base64_VARIANT_ORIGINAL);
	return json_pack("{s:b, s:o, s:I, s:s}", "done", true, "kernel", kernel(g), "pages",
			 (json_int_t)n, "bytes", text);
}

static json_t *map(struct rf_guest *g)
{
	static struct rf_ram ram[RF_RAM_MAX];
	int n = g->hv->ops->ram ? g->hv->ops->ram(g->hv, ram) : -ENOTSUP;
	json_t *all;

	if (n == -EAGAIN)
		return json_pack("{s:b}", "done", false);
	if (n < 0)
		return json_pack("{s:s}", "error",
				 n == -E2BIG ? "its memory is in too many pieces"
					     : "its fence does not say where its memory is");
	all = json_array();
	for (int i = 0; i < n; i++)
		json_array_append_new(all, json_pack("{s:o, s:o}", "at", hex(ram[i].gpa), "size",
						     hex(ram[i].size)));
	return json_pack("{s:b, s:o, s:o}", "done", true, "kernel", kernel(g), "ranges", all);
}

static json_t *reply(struct rf_guest *g)
{
	bool wants_map = !g->asked.at && !g->asked.pages;
	json_t *o;

	if (!g->kernel || !g->regions_count)
		return json_pack("{s:s}", "error", "no kernel is sealed");
	if (!wants_map && !rf_asked_is_sane(&g->asked))
		return json_pack("{s:s}", "error", "no such pages can be asked for");
	o = wants_map ? map(g) : pages(g);
	if (is_still_there(g))
		return o;
	json_decref(o);
	return json_pack("{s:b}", "done", false);
}

static bool busy(const struct rf_guest *g)
{
	return false;
}

static void step(struct rf_guest *g) {}

const struct rf_guard rf_guard_memory = {
	.name = "memory",
	.command = "memory",
	.reply = reply,
	.busy = busy,
	.step = step,
	.step_unit = { 2 * RF_ASKED_PAGES, "showing memory to who asks" }, /* a page is two */
};
