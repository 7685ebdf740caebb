// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Whose a piece of code is. The image's text is known from sealed symbols; modules and BPF's code
 * from the guest's lists, which are claims: who unlinks a module leaves code of nobody behind.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/checks/impl.h"
#include "introspection/kernel_internal.h"

/* include/linux/panic.h: forced, out of tree, unsigned. */
#define TAINTS_UNVOUCHED (UINT64_C(1) << 1 | UINT64_C(1) << 12 | UINT64_C(1) << 13)
#define CLAIMS_MAX 65536u
#define OVERLAPS_MAX 64u /* pieces over one address: more is made up */

static bool is_in(const struct rf_range *r, uint64_t gva)
{
	return gva >= r->start && gva < r->end;
}

bool rf_run_in_text(const struct rf_run *run, uint64_t gva)
{
	return is_in(&run->c->text, gva);
}

bool rf_run_in_rodata(const struct rf_run *run, uint64_t gva)
{
	return is_in(&run->c->text, gva) || is_in(&run->c->rodata, gva);
}

bool rf_run_is_known(const struct rf_run *run, const char *name)
{
	const struct rf_known *known = &run->c->options.known;

	for (size_t i = 0; i < known->count; i++)
		if (!strcmp(known->names[i], name))
			return true;
	return false;
}

void rf_claims_forget(struct rf_checks *c)
{
	c->claims.asked = false;
	c->claims.count = 0;
}

void rf_claims_deinit(struct rf_checks *c)
{
	free(c->claims.v);
	c->claims = (struct rf_claims){ 0 };
}

static int add(struct rf_checks *c, const struct rf_claim *claim)
{
	struct rf_claims *l = &c->claims;
	size_t room = l->room ? l->room * 2 : 256;

	if (claim->range.end <= claim->range.start)
		return 0;
	if (l->count == CLAIMS_MAX)
		return -EBADMSG;
	if (l->count == l->room) {
		struct rf_claim *v = realloc(l->v, room * sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->room = room;
	}
	l->v[l->count++] = *claim;
	return 0;
}

/* --- modules ---------------------------------------------------------------------- */

/* Loaded with a signature that was found good, and no mark that says otherwise. */
static int is_vouched(struct rf_run *run, uint64_t module, const char *name, bool *out)
{
	uint64_t taints, at;
	uint8_t good = 1;
	int err;

	err = rf_run_member(run, "module", "taints", 8, &at);
	if (!err)
		err = rf_run_u64(run, module + at, &taints);
	/* A kernel without CONFIG_MODULE_SIG has no such member: there taints alone say it. */
	if (!err && rf_run_has(run, "module", "sig_ok")) {
		err = rf_run_member(run, "module", "sig_ok", 1, &at);
		if (!err)
			err = rf_run_read(run, module + at, &good, 1);
	}
	if (!err)
		*out = rf_run_is_known(run, name) || (good && !(taints & TAINTS_UNVOUCHED));
	return err;
}

struct each_module {
	rf_module_fn fn;
	void *ctx;
	uint64_t name;
};

static int tell_module(struct rf_run *run, uint64_t object, void *ctx)
{
	struct rf_module_claim m = { .at = object };
	struct each_module *e = ctx;
	int err = rf_run_text(run, object + e->name, m.name, sizeof(m.name));

	if (!err)
		err = is_vouched(run, object, m.name, &m.vouched);
	return err ? err : e->fn(run, &m, e->ctx);
}

int rf_run_modules(struct rf_run *run, rf_module_fn fn, void *ctx)
{
	struct each_module e = { fn, ctx, 0 };
	uint64_t head, link;
	int err;

	if ((err = rf_run_symbol(run, "modules", &head)) ||
	    (err = rf_run_member(run, "module", "list", 16, &link)) ||
	    (err = rf_run_member(run, "module", "name", 0, &e.name)))
		return err;
	return rf_run_list(run, head, link, tell_module, &e);
}

int rf_run_module_part(struct rf_run *run, uint64_t module, unsigned int i, struct rf_range *out)
{
	const struct rf_module_part *part = &run->c->k->module.part[i];
	uint64_t base;
	uint32_t size;
	int err = rf_run_u64(run, module + part->base, &base);

	if (!err)
		err = rf_run_u32(run, module + part->size, &size);
	if (!err)
		*out = (struct rf_range){ base, base + size };
	return err;
}

static int add_module(struct rf_run *run, const struct rf_module_claim *m, void *ctx)
{
	struct rf_claim claim = { .code = RF_CODE_MODULE, .vouched = m->vouched, .module = m->at };
	int err = 0;

	memcpy(claim.name, m->name, sizeof(m->name));
	for (unsigned int i = 0; !err && i < run->c->k->module.part_count; i++) {
		err = rf_run_module_part(run, m->at, i, &claim.range);
		if (!err)
			err = add(run->c, &claim);
	}
	return err;
}

/* --- BPF ----------------------------------------------------------------------------- */

struct ksym {
	uint64_t start, end, name;
};

static int add_piece(struct rf_run *run, uint64_t object, void *ctx)
{
	struct rf_claim claim = { .code = RF_CODE_BPF };
	const struct ksym *s = ctx;
	int err;

	if ((err = rf_run_u64(run, object + s->start, &claim.range.start)) ||
	    (err = rf_run_u64(run, object + s->end, &claim.range.end)) ||
	    (err = rf_run_text(run, object + s->name, claim.name, sizeof(claim.name))))
		return err;
	claim.vouched = rf_run_is_known(run, claim.name);
	return add(run->c, &claim);
}

static int add_bpf(struct rf_run *run)
{
	uint64_t head, link;
	struct ksym s;

	/* A kernel without BPF's compiler has none. */
	if (rf_run_symbol(run, "bpf_kallsyms", &head) ||
	    rf_run_member(run, "bpf_ksym", "lnode", 16, &link) ||
	    rf_run_member(run, "bpf_ksym", "start", 8, &s.start) ||
	    rf_run_member(run, "bpf_ksym", "end", 8, &s.end) ||
	    rf_run_member(run, "bpf_ksym", "name", 0, &s.name))
		return 0;
	return rf_run_list(run, head, link, add_piece, &s);
}

static int read_claims(struct rf_run *run)
{
	int err = run->c->k->module.known ? rf_run_modules(run, add_module, NULL)
					  : rf_run_lacks(run, "modules are not known");

	return err ? err : add_bpf(run);
}

static int by_start(const void *a, const void *b)
{
	const struct rf_claim *x = a, *y = b;

	return x->range.start < y->range.start ? -1 : x->range.start > y->range.start;
}

static void sort_claims(struct rf_claims *l)
{
	uint64_t reach = 0;

	if (l->count)
		qsort(l->v, l->count, sizeof(*l->v), by_start);
	for (size_t i = 0; i < l->count; i++) {
		reach = l->v[i].range.end > reach ? l->v[i].range.end : reach;
		l->v[i].reach = reach;
	}
}

/* Within a budget of their own: how many modules a guest has is no matter of the check's. */
static int ask(struct rf_run *run)
{
	struct rf_budget *b = &run->c->budget;
	struct rf_claims *l = &run->c->claims;
	uint64_t left = b->left;

	if (l->asked)
		return l->err;
	l->asked = true;
	b->left = l->left;
	l->err = read_claims(run);
	sort_claims(l);
	b->given += l->left - b->left; /* so that they count as read */
	l->left = b->left;
	b->left = left;
	return l->err;
}

/*
 * Text of the boot alone is freed behind it (free_initmem()), and what was registered with a
 * function of it keeps the pointer. As long as nothing there can be executed it leads nowhere.
 */
static bool is_dead_text(struct rf_run *run, uint64_t gva)
{
	struct rf_translation t;

	return is_in(&run->c->init, gva) &&
	       (rf_pt_translate(&run->c->m, &run->c->p, rf_gva_of(gva), &t) || !t.executable);
}

int rf_run_owner(struct rf_run *run, uint64_t gva, struct rf_owner *out)
{
	const struct rf_claims *l = &run->c->claims;
	size_t low = 0, high;
	int err;

	*out = (struct rf_owner){ .code = RF_CODE_NOBODY };
	if (rf_run_in_text(run, gva) || is_dead_text(run, gva)) {
		*out = (struct rf_owner){ .code = RF_CODE_CORE, .vouched = true };
		return 0;
	}
	err = ask(run);
	if (err)
		return err;
	high = l->count;
	/* The last that begins at gva or below, and those before it while one of them may reach it.
	 */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (l->v[middle].range.start > gva)
			high = middle;
		else
			low = middle + 1;
	}
	for (unsigned int i = 0; low && l->v[low - 1].reach > gva; i++) {
		const struct rf_claim *c = &l->v[--low];

		if (i == OVERLAPS_MAX) {
			run->at = gva;
			return -EBADMSG;
		}
		if (!is_in(&c->range, gva))
			continue;
		out->code = c->code;
		out->vouched = c->vouched;
		memcpy(out->name, c->name, sizeof(out->name));
		return 0;
	}
	return 0;
}
