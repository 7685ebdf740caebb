// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Code that nobody owns: every page that the kernel's own page tables let be executed in kernel
 * mode, against the image and what the guest's lists account for. It is found whatever it hooks.
 *
 * Not found: code in a page that is on a list (a module's, or a pack of BPF's programs), and in
 * page tables of one process alone.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "introspection/checks/families.h"
#include "introspection/checks/pieces.h"
#include "introspection/checks/stacks.h"

#define HALF_4 UINT64_C(0xffff800000000000) /* the kernel's half with 4 levels of tables */
#define HALF_5 UINT64_C(0xff00000000000000)
/* Of tables, in one sweep: as many as map 256 GiB page by page. */
#define ENTRIES_MAX (UINT64_C(1) << 26)

/* In a row, of nobody's. */
struct region {
	uint64_t first, pages; /* 0 pages: none */
	bool writable, leaves;
};

/* Places that may be left by a module: more of them are told, whatever the guest is at. */
#define LEAVING_MAX 16

struct sweep {
	struct rf_run *run;
	struct rf_pieces pieces;
	struct rf_range text; /* of the image, to the end of its last page */
	uint64_t image_end;   /* 0: unknown */
	struct region now;
	uint64_t next; /* behind it */
	struct region leaving[LEAVING_MAX];
	size_t leaving_count;
	uint64_t init_text; /* of struct mod_initfree */
};

/*
 * Thunks for indirect jumps, arch/x86/kernel/alternative.c its_init_thunk(): jmp *reg; int3, before
 * it may stand what ends a check of FineIBT's. The list of the kernel's own pages of them is freed
 * after the boot. Whatever has nothing else in it does nothing by itself.
 */
static size_t thunk_at(const uint8_t *p, size_t room)
{
	static const uint8_t check[] = { 0xea, 0x75, 0xfd };
	size_t at = 0;

	if (room >= sizeof(check) && !memcmp(p, check, sizeof(check)))
		at = sizeof(check);
	if (at < room && p[at] == 0x41)
		at++;
	if (at + 3 > room || p[at] != 0xff || (p[at + 1] & 0xf8) != 0xe0 || p[at + 2] != 0xcc)
		return 0;
	return at + 3;
}

/* Nothing but filling, and such thunks. */
static bool is_empty(const uint8_t page[RF_PAGE_SIZE])
{
	size_t len;

	for (size_t at = 0; at < RF_PAGE_SIZE; at += len) {
		len = page[at] == 0xcc || !page[at] ? 1 : thunk_at(page + at, RF_PAGE_SIZE - at);
		if (!len)
			return false;
	}
	return true;
}

/* Pages in a row are one finding. */
static int tell_run(struct sweep *s, const struct region *r)
{
	char what[64];

	snprintf(what, sizeof(what), "%llu %sexecutable page%s", (unsigned long long)r->pages,
		 r->writable ? "writable " : "", r->pages == 1 ? "" : "s");
	return rf_run_found(s->run, r->first, what, r->first,
			    "it can be executed in kernel mode, and no list accounts for it");
}

/* A guest that goes on is looked at again instead. */
static bool may_leave(const struct sweep *s, const struct region *r)
{
	const struct rf_run *run = s->run;

	return !run->c->options.live && !run->each && !r->writable && s->image_end &&
	       r->first >= s->image_end && r->first < RF_MODULES_END &&
	       r->pages <= (RF_MODULES_END - r->first) / RF_PAGE_SIZE &&
	       s->leaving_count < LEAVING_MAX;
}

static int tell(struct sweep *s)
{
	const struct region r = s->now;

	s->now.pages = 0;
	if (!r.pages)
		return 0;
	if (!may_leave(s, &r))
		return tell_run(s, &r);
	s->leaving[s->leaving_count++] = r;
	return 0;
}

static int note(struct sweep *s, uint64_t gva, bool writable)
{
	int err = 0;

	if (gva != s->next || writable != s->now.writable)
		err = tell(s);
	if (!s->now.pages)
		s->now.first = gva;
	s->now.pages++;
	s->now.writable = writable;
	s->next = gva + RF_PAGE_SIZE;
	return err;
}

/* What stands on init_free_list begins where a module's beginning did. */
static int strike_out(struct rf_run *run, uint64_t object, void *ctx)
{
	struct sweep *s = ctx;
	uint64_t text;
	int err = rf_run_u64(run, object + s->init_text, &text);

	for (size_t i = 0; !err && i < s->leaving_count; i++)
		if (s->leaving[i].first == text)
			s->leaving[i].leaves = true;
	return err;
}

/*
 * kernel/module/main.c of 6.1, 6.12 and 7.3: a module is off the list, and what it began with is
 * no part of it any more, a grace period of RCU before that memory is given back: free_module(),
 * and do_free_init(), which takes what stands on init_free_list. No error of asking takes away
 * what was found; and the guest can say so of whatever it likes, so that this is no way to be
 * clean.
 */
static void ask_who_leaves(struct sweep *s)
{
	bool all = false;
	uint64_t list;

	if (!s->leaving_count)
		return;
	if (rf_run_is_in(s->run, "free_module|do_free_init", &all))
		all = false;
	for (size_t i = 0; i < s->leaving_count; i++)
		s->leaving[i].leaves = all;
	if (!all && !rf_run_symbol(s->run, "init_free_list", &list) &&
	    !rf_run_member(s->run, "mod_initfree", "init_text|module_init", 8, &s->init_text))
		rf_run_chain(s->run, list, 0, strike_out, s);
}

static int tell_who_stays(struct sweep *s, bool ask)
{
	unsigned long long pages = 0, places = 0, first = 0;
	int err = 0;

	if (ask)
		ask_who_leaves(s);
	for (size_t i = 0; !err && i < s->leaving_count; i++) {
		const struct region *r = &s->leaving[i];

		if (!r->leaves)
			err = tell_run(s, r);
		else if (!places++)
			first = r->first;
		pages += r->leaves ? r->pages : 0;
	}
	if (err || !places)
		return err;
	return rf_run_undecided(
		s->run,
		"%llu pages on no list (places: %llu, first %#llx) may be of a module "
		"just unloaded, so the guest says: dump again; still there, they "
		"are a finding",
		pages, places, first);
}

/* The image's text has to be that of the image. */
static int look_at_text(struct sweep *s, uint64_t gva, uint64_t gpa)
{
	rf_gpa own;

	rf_run_saw(s->run);
	if (rf_kernel_image_gpa(s->run->c->k, rf_gva_of(gva), &own) || own.v == gpa)
		return 0;
	return rf_run_found(s->run, gva, "page of the kernel's text", gva,
			    "another page is mapped where it belongs");
}

static int look_at_page(struct sweep *s, uint64_t gva, uint64_t gpa, bool writable)
{
	uint8_t page[RF_PAGE_SIZE];
	int err;

	rf_run_saw(s->run);
	err = rf_memory_read(&s->run->c->m, rf_gpa_of(gpa), page, sizeof(page));
	if (err) {
		s->run->at = gva;
		return err;
	}
	return is_empty(page) ? 0 : note(s, gva, writable);
}

/* Each page that is nobody's costs a read; what is somebody's is passed over at once. */
static int look_at_mapping(void *ctx, const struct rf_mapping *run)
{
	uint64_t gva = run->gva.v, left = run->size, gpa = run->gpa.v, next;
	struct sweep *s = ctx;
	int err = 0;

	if (run->user || !run->executable)
		return 0;
	for (; !err && left; gva += next, gpa += next, left -= next) {
		const struct rf_range *piece = rf_pieces_find(&s->pieces, gva);

		next = RF_PAGE_SIZE;
		if (gva >= s->text.start && gva < s->text.end) {
			err = look_at_text(s, gva, gpa);
			next = s->text.end - gva;
		} else if (piece) {
			rf_run_saw(s->run);
			next = piece->end - gva;
		} else {
			err = look_at_page(s, gva, gpa, run->writable);
		}
		next = next < left ? next : left;
	}
	return err;
}

static int look_for_code(struct rf_run *run)
{
	struct rf_checks *c = run->c;
	struct sweep s = { .run = run, .text = c->text };
	uint64_t half = c->p.levels == 5 ? HALF_5 : HALF_4;
	int err, told;

	if (s.text.start == s.text.end)
		return rf_run_lacks(run, "the kernel does not say where its text lies");
	if (!rf_run_symbol(run, "_end", &s.image_end))
		s.image_end = (s.image_end + RF_PAGE_SIZE - 1) & ~(RF_PAGE_SIZE - 1);
	s.text.end = (s.text.end + RF_PAGE_SIZE - 1) & ~(RF_PAGE_SIZE - 1);
	err = rf_pieces_of_all(run, &s.pieces);
	if (!err)
		err = rf_pt_walk(&c->m, &c->p, rf_gva_of(half), rf_gva_of(0), ENTRIES_MAX,
				 look_at_mapping, &s);
	/* What has been seen by then is told, however the walk ended. */
	told = tell(&s);
	if (!told)
		told = tell_who_stays(&s, !err);
	rf_pieces_deinit(&s.pieces);
	return err ? err : told;
}

const struct rf_check rf_check_code_of_nobody = {
	.name = "code-of-nobody",
	.summary = "each page that can be executed in kernel mode is the image's, a listed "
		   "module's, or made by the kernel itself",
	.reading = "a module hides, or code was put into memory without one; in a dump, rarely, "
		   "what is left of a module just unloaded, where the dump does not show that",
	.attack = "T1014",
	.severity = RF_SEVERITY_CRITICAL,
	.period_ms = 10000,
	.reads = 1 << 20,
	.run = look_for_code,
};
