// SPDX-License-Identifier: LGPL-2.1-or-later
/* Readings of the kernel's page tables. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "introspection/posture/impl.h"

/* Of tables: a guest of 64 GiB all of whose memory is mapped by 4 KiB pages has 16 million. */
#define ENTRIES_MAX (UINT64_C(1) << 25)

struct pages {
	uint64_t mask;
	uint64_t mapped;
	uint64_t executable; /* pages that are */
	uint64_t found;	     /* pages that are all of mask */
	uint64_t first;
};

static int take_run(void *ctx, const struct rf_mapping *run)
{
	struct pages *p = ctx;
	uint64_t is =
		(run->writable ? RF_PAGE_WRITABLE : 0) | (run->executable ? RF_PAGE_EXECUTABLE : 0);

	p->mapped += run->size / RF_PAGE_SIZE;
	if (run->executable)
		p->executable += run->size / RF_PAGE_SIZE;
	if ((is & p->mask) != p->mask)
		return 0;
	if (!p->found)
		p->first = run->gva.v;
	p->found += run->size / RF_PAGE_SIZE;
	return 0;
}

static int walk(struct rf_look *l, uint64_t start, uint64_t end, struct pages *p)
{
	struct rf_checks *c = l->run->c;
	int err = rf_pt_walk(&c->m, &c->p, rf_gva_of(start & ~(RF_PAGE_SIZE - 1)),
			     rf_gva_of(end ? (end + RF_PAGE_SIZE - 1) & ~(RF_PAGE_SIZE - 1) : 0),
			     ENTRIES_MAX, take_run, p);

	if (err)
		l->run->at = start;
	return err == -ENOENT || err == -EINVAL ? -EBADMSG : err;
}

static const char *is_what(uint64_t mask)
{
	if (mask == RF_PAGE_WRITABLE)
		return "writable";
	return mask == RF_PAGE_EXECUTABLE ? "executable" : "writable and executable";
}

static void tell(const struct pages *p, const char *of, struct rf_answer *out)
{
	out->value = p->found != 0;
	if (p->found)
		snprintf(out->text, sizeof(out->text), "%" PRIu64 " pages of %s are %s", p->found,
			 of, is_what(p->mask));
	else
		snprintf(out->text, sizeof(out->text), "as wanted");
	snprintf(out->by, sizeof(out->by), "page tables");
	if (p->found)
		snprintf(out->by, sizeof(out->by), "page tables, first %#" PRIx64, p->first);
}

/* Where no page is, none is of the wrong kind, and that says nothing. */
static int walk_mapped(struct rf_look *l, uint64_t start, uint64_t end, struct pages *p)
{
	int err = walk(l, start, end, p);

	if (err || p->mapped)
		return err;
	l->run->at = start;
	return -EBADMSG;
}

/* r->type and r->path: the first symbol, and the one behind. */
int rf_read_pages(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out)
{
	struct pages p = { .mask = r->mask };
	uint64_t start, end;
	int err = rf_run_symbol(l->run, r->type, &start);

	if (!err)
		err = rf_run_symbol(l->run, r->path, &end);
	if (!err && end <= start)
		err = -EBADMSG;
	if (!err)
		err = walk_mapped(l, start, end, &p);
	if (!err)
		tell(&p, r->name, out);
	return err;
}

/* From the image's end on; before 7.x an executable page there is a module's. */
int rf_read_module_pages(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out)
{
	struct pages p = { .mask = r->mask };
	uint64_t end;
	int err = rf_run_symbol(l->run, "_end", &end);

	if (!err && (end < UINT64_C(0xffffffff80000000) || end >= RF_MODULES_END))
		err = -EBADMSG;
	if (!err)
		err = walk(l, (end + RF_PAGE_SIZE - 1) & ~(RF_PAGE_SIZE - 1), RF_MODULES_END, &p);
	if (err)
		return err;
	if (!p.executable && !p.found) {
		rf_run_lacks(l->run, "no module is loaded whose pages could be looked at");
		return -ENOENT;
	}
	tell(&p, r->name, out);
	return 0;
}

int rf_read_all_pages(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out)
{
	struct pages p = { .mask = r->mask };
	/* The half's beginning, Documentation/arch/x86/x86_64/mm.rst and 5level-paging.rst. */
	uint64_t start = l->run->c->p.levels == 5 ? UINT64_C(0xff00000000000000)
						  : UINT64_C(0xffff800000000000);
	int err = walk_mapped(l, start, 0, &p);

	if (!err)
		tell(&p, r->name, out);
	return err;
}
