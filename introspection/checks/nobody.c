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

struct sweep {
	struct rf_run *run;
	struct rf_pieces pieces;
	struct rf_range text;  /* of the image, to the end of its last page */
	uint64_t first, pages; /* of nobody's, one after the other; 0 none */
	uint64_t next;	       /* behind them */
	bool writable;
	bool asked, leaves; /* where memory stands still: whether a module's memory is given back */
	uint64_t left, left_at; /* pages of nobody's meanwhile, and the first of them */
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

/*
 * kernel/module/main.c of 6.1, 6.12 and 7.3: a module is off the list, and what it began with is
 * no part of it any more, a grace period of RCU before that memory is given back: free_module(),
 * do_free_init(), which takes what stands on init_free_list.
 */
static int ask_who_leaves(struct sweep *s)
{
	uint64_t list, first = 0;
	int err;

	if (s->asked)
		return 0;
	s->asked = true;
	err = rf_run_is_in(s->run, "free_module|do_free_init", &s->leaves);
	if (!err && !s->leaves && !rf_run_symbol(s->run, "init_free_list", &list)) {
		err = rf_run_u64(s->run, list, &first);
		s->leaves = first;
	}
	/* What does not say so leaves what was found. */
	return err == -ENOTSUP ? 0 : err;
}

/*
 * Whether the pages may be a module's that is just leaving. A guest that goes on is looked at again
 * instead; and the guest can say so of whatever it likes, so that this is no way to be clean.
 */
static int may_leave(struct sweep *s, bool *out)
{
	const struct rf_run *run = s->run;
	int err;

	*out = false;
	if (run->c->options.live || run->each || s->writable || s->first < s->text.end ||
	    s->first >= RF_MODULES_END)
		return 0;
	err = ask_who_leaves(s);
	*out = s->leaves;
	return err;
}

/* Pages in a row are one finding. */
static int tell(struct sweep *s)
{
	uint64_t pages = s->pages;
	bool leave;
	char what[64];
	int err;

	if (!pages)
		return 0;
	err = may_leave(s, &leave);
	s->pages = 0;
	if (err)
		return err;
	if (leave) {
		s->left_at = s->left ? s->left_at : s->first;
		s->left += pages;
		return 0;
	}
	snprintf(what, sizeof(what), "%llu %sexecutable page%s", (unsigned long long)pages,
		 s->writable ? "writable " : "", pages == 1 ? "" : "s");
	return rf_run_found(s->run, s->first, what, s->first,
			    "it can be executed in kernel mode, and no list accounts for it");
}

static int note(struct sweep *s, uint64_t gva, bool writable)
{
	int err = 0;

	if (gva != s->next || writable != s->writable)
		err = tell(s);
	if (!s->pages)
		s->first = gva;
	s->pages++;
	s->next = gva + RF_PAGE_SIZE;
	s->writable = writable;
	return err;
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
	int err;

	if (s.text.start == s.text.end)
		return rf_run_lacks(run, "the kernel does not say where its text lies");
	s.text.end = (s.text.end + RF_PAGE_SIZE - 1) & ~(RF_PAGE_SIZE - 1);
	err = rf_pieces_of_all(run, &s.pieces);
	if (!err)
		err = rf_pt_walk(&c->m, &c->p, rf_gva_of(half), rf_gva_of(0), ENTRIES_MAX,
				 look_at_mapping, &s);
	if (!err)
		err = tell(&s);
	if (!err && s.left)
		err = rf_run_undecided(
			run,
			"a module's memory is just being given back: whose %llu pages "
			"from %#llx on are, another dump says",
			(unsigned long long)s.left, (unsigned long long)s.left_at);
	rf_pieces_deinit(&s.pieces);
	return err;
}

const struct rf_check rf_check_code_of_nobody = {
	.name = "code-of-nobody",
	.summary = "each page that can be executed in kernel mode is the image's, a listed "
		   "module's, or made by the kernel itself",
	.reading = "a module hides, or code was put into memory without one",
	.attack = "T1014",
	.severity = RF_SEVERITY_CRITICAL,
	.period_ms = 10000,
	.reads = 1 << 20,
	.run = look_for_code,
};
