// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The report on the sensitive instructions of a sealed kernel's text, made when somebody asks for
 * it: piece by piece between events, so that no vCPU waits longer than for one piece.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/cover.h"
#include "monitor/monitor.h"
#include "introspection/x86/gadget.h"

#define PIECE (UINT64_C(32) << 10)
#define KEPT 4096u /* a stock kernel has 300 to 1,000 */
/* Of an answer's list: all of it must fit into the socket's buffer
 * (/proc/sys/net/core/wmem_default). */
#define LIST_BYTES (96u << 10)
#define FRESH_NS UINT64_C(5000000000) /* so long a finished report is given out again */

struct rf_gadget_report {
	rf_gva start, end, at;			    /* done up to `at` */
	int err;				    /* the text could not be read */
	uint64_t spent_ns, longest_ns, finished_ns; /* longest: of one piece */
	uint32_t counts[RF_GADGET_KINDS][2];	    /* by intended */
	uint32_t total, kept;			    /* kept: in found */
	struct {
		uint64_t addr;
		uint8_t kind;
		bool intended;
	} found[KEPT];
};

static int keep(void *ctx, const struct rf_gadget *g)
{
	struct rf_gadget_report *r = ctx;

	r->counts[g->kind][g->intended]++;
	r->total++;
	if (r->kept < KEPT) {
		r->found[r->kept].addr = g->addr.v;
		r->found[r->kept].kind = (uint8_t)g->kind;
		r->found[r->kept++].intended = g->intended;
	}
	return 0;
}

static bool is_done(const struct rf_gadget_report *r)
{
	return r->err || r->at.v >= r->end.v;
}

static void forget(struct rf_guest *g)
{
	free(g->gadgets);
	g->gadgets = NULL;
}

static bool busy(const struct rf_guest *g)
{
	return g->gadgets && !is_done(g->gadgets);
}

static void step(struct rf_guest *g)
{
	struct rf_gadget_report *r = g->gadgets;
	uint64_t now = rf_now_ns(), spent;
	rf_gva to;

	to.v = r->end.v - r->at.v < PIECE ? r->end.v : r->at.v + PIECE;
	r->err = rf_gadgets_find(g->disasm, g->kernel, &g->mem, r->at, to, keep, r);
	r->at = to;
	r->finished_ns = rf_now_ns();
	spent = r->finished_ns - now;
	r->spent_ns += spent;
	if (spent > r->longest_ns)
		r->longest_ns = spent;
}

/* The sealed text, NULL when there is none. */
static const struct rf_measured *text_of(const struct rf_guest *g)
{
	for (uint32_t i = 0; g->kernel && i < g->regions_count; i++)
		if (g->regions[i].region.kind == RF_REGION_TEXT)
			return &g->regions[i];
	return NULL;
}

static int begin(struct rf_guest *g, const struct rf_measured *text)
{
	struct rf_gadget_report *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->start = r->at = rf_gva_of(text->region.gva);
	r->end = rf_gva_of(text->region.gva + text->region.size);
	forget(g);
	g->gadgets = r;
	return 0;
}

static struct rf_in_force in_force(const struct rf_guest *g)
{
	bool compared = rf_traps_load(g) && g->policy.register_check_ms;
	struct rf_backend_info info;
	bool watched = !g->hv->ops->info(g->hv, &info) && rf_watched_is_on(g, info.cr_watch);

	return (struct rf_in_force){
		.observing = g->policy.mode == RF_MODE_OBSERVE,
		.lstar = true, /* the fence's own filter, from the guest's first moment on */
		.msrs = g->pins,
		.cr_watch = g->policy.pin_control && watched,
		.cr_trap_sites = g->control_by_traps && rf_traps_load(g),
		.cr_compared = g->policy.pin_control && compared,
		.trap_sites = g->tables_known && rf_traps_load(g),
		.compared = g->tables_known && compared,
	};
}

static json_t *counts(const struct rf_guest *g, const struct rf_gadget_report *r)
{
	struct rf_in_force f = in_force(g);
	json_t *rows = json_array();

	for (int k = 1; k < RF_GADGET_KINDS; k++) {
		for (int intended = 1; intended >= 0; intended--) {
			struct rf_cover c = rf_cover_of(&f, (enum rf_gadget_kind)k, intended);

			json_array_append_new(rows,
					      json_pack("{s:s, s:b, s:I, s:s, s:s}", "kind",
							rf_gadget_kind_text((enum rf_gadget_kind)k),
							"intended", intended, "count",
							(json_int_t)r->counts[k][intended],
							"covered", c.word, "by", c.by));
		}
	}
	return rows;
}

/* A symbol of the guest's own making, in characters that JSON takes. */
static void place(struct rf_guest *g, uint64_t addr, char *text, size_t size)
{
	struct rf_named n;

	rf_name_address(g, &g->paging, addr, &n);
	snprintf(text, size, "%.64s+0x%llx", n.symbol, (unsigned long long)n.offset);
	for (char *c = text; *c; c++)
		if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
			*c = '?';
}

static json_t *list(struct rf_guest *g, const struct rf_gadget_report *r, json_int_t *left_out)
{
	json_t *rows = json_array();
	size_t bytes = 0;
	uint32_t i;

	for (i = 0; i < r->kept && bytes < LIST_BYTES; i++) {
		char text[96];

		place(g, r->found[i].addr, text, sizeof(text));
		/* The punctuation, the address, the kind and the truth value: 80 bytes at most. */
		bytes += 80 + strlen(text);
		json_array_append_new(
			rows,
			json_pack("{s:o, s:s, s:s, s:b}", "at",
				  json_sprintf("0x%llx", (unsigned long long)r->found[i].addr),
				  "symbol", text, "kind",
				  rf_gadget_kind_text((enum rf_gadget_kind)r->found[i].kind),
				  "intended", (int)r->found[i].intended));
	}
	*left_out = (json_int_t)r->total - i;
	return rows;
}

static json_t *reply(struct rf_guest *g)
{
	const struct rf_measured *text = text_of(g);
	const struct rf_gadget_report *r = g->gadgets;
	json_int_t left_out;
	json_t *rows;

	if (!text)
		return json_pack("{s:s}", "error", "no kernel's text is sealed");
	if (!r || (is_done(r) && rf_now_ns() - r->finished_ns > FRESH_NS)) {
		if (begin(g, text))
			return NULL;
		r = g->gadgets;
	}
	if (!is_done(r))
		return json_pack("{s:b, s:I, s:I}", "done", 0, "searched",
				 (json_int_t)(r->at.v - r->start.v), "text_bytes",
				 (json_int_t)(r->end.v - r->start.v));
	if (r->err)
		return json_pack("{s:s}", "error", "the kernel's text could not be read");
	rows = list(g, r, &left_out);
	return json_pack("{s:b, s:s, s:o, s:I, s:I, s:f, s:f, s:o, s:o, s:I}", "done", 1, "name",
			 g->name, "text", json_sprintf("0x%llx", (unsigned long long)r->start.v),
			 "text_bytes", (json_int_t)(r->end.v - r->start.v), "total",
			 (json_int_t)r->total, "search_ms", (double)r->spent_ns / 1e6,
			 "longest_piece_ms", (double)r->longest_ns / 1e6, "kinds", counts(g, r),
			 "list", rows, "left_out", left_out);
}

const struct rf_guard rf_guard_gadgets = {
	.name = "gadgets",
	.forget = forget,
	.command = "gadgets",
	.reply = reply,
	.busy = busy,
	.step_unit = { 1 << 14, "one step of the search for sensitive instructions" },
	.step = step,
};
