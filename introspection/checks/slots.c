// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/checks/slots.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "introspection/checks/impl.h"

#define ARRAY_MAX 65536u /* elements */

struct row {
	const struct rf_slots *s;
	uint64_t link, ops, name, name_size;
};

/* "packet handler x" */
static void name_object(struct rf_run *run, const struct row *r, uint64_t object, char *out,
			size_t size)
{
	char name[48] = "";
	uint64_t at = object + r->name;

	if (r->s->name && (r->name_size != 8 || !rf_run_u64(run, at, &at)))
		rf_run_text(run, at, name, sizeof(name));
	snprintf(out, size, "%s%s%s", r->s->what, name[0] ? " " : "", name);
}

static int look_at(struct rf_run *run, uint64_t object, void *ctx)
{
	const struct row *r = ctx;
	uint64_t table;
	char what[96];
	int err;

	rf_run_saw(run);
	name_object(run, r, object, what, sizeof(what));
	if (!r->s->ops)
		return rf_run_functions(run, r->s->type, object, what);
	err = rf_run_u64(run, object + r->ops, &table);
	return err ? err : rf_run_table(run, r->s->ops_type, object, table, what);
}

static int lay_out(struct rf_run *run, const struct rf_slots *s, struct row *r)
{
	struct rf_member name;
	int err = 0;

	*r = (struct row){ .s = s };
	if (s->link)
		err = rf_run_member(run, s->type, s->link, 0, &r->link);
	if (!err && s->ops)
		err = rf_run_member(run, s->type, s->ops, 8, &r->ops);
	if (err || !s->name)
		return err;
	if (rf_kernel_member(run->c->k, s->type, s->name, &name))
		return rf_run_lacks(run, "the kernel's types have no %s in struct %s", s->name,
				    s->type);
	r->name = name.offset;
	r->name_size = name.size;
	return 0;
}

/* An entry of the system call table and its like. */
static int look_at_call(struct rf_run *run, const struct row *r, uint64_t at)
{
	uint64_t target;
	int err = rf_run_u64(run, at, &target);

	return err ? err : rf_run_core_code(run, at, target, r->s->what);
}

static int look_at_element(struct rf_run *run, struct row *r, uint64_t at)
{
	uint64_t object;
	int err;

	switch (r->s->shape) {
	case RF_SHAPE_CODE:
		return look_at_call(run, r, at);
	case RF_SHAPE_LISTS:
		/* Up to the next symbol there may be padding. */
		err = rf_run_u64(run, at, &object);
		return err || !object ? err : rf_run_list(run, at, r->link, look_at, r);
	case RF_SHAPE_HLISTS:
		return rf_run_hlist(run, at, r->link, look_at, r);
	case RF_SHAPE_POINTERS:
		err = rf_run_u64(run, at, &object);
		return err || !object ? err : look_at(run, object, r);
	default:
		return look_at(run, at, r);
	}
}

static int walk_array(struct rf_run *run, struct row *r, uint64_t head, uint64_t bytes)
{
	uint64_t each = r->s->shape == RF_SHAPE_LISTS ? 16 : 8;
	int err = 0;

	if (r->s->shape == RF_SHAPE_STRUCTS)
		err = rf_run_sizeof(run, r->s->type, &each);
	if (!err && (!each || bytes / each > ARRAY_MAX))
		err = -EBADMSG;
	for (uint64_t i = 0; !err && i < bytes / each; i++)
		err = look_at_element(run, r, head + i * each);
	return err;
}

int rf_run_slots_at(struct rf_run *run, const struct rf_slots *s, uint64_t head, uint64_t bytes)
{
	struct row r;
	int err = lay_out(run, s, &r);

	if (err)
		return err;
	switch (s->shape) {
	case RF_SHAPE_LIST:
		return rf_run_list(run, head, r.link, look_at, &r);
	case RF_SHAPE_HLIST:
		return rf_run_hlist(run, head, r.link, look_at, &r);
	case RF_SHAPE_CHAIN:
		return rf_run_chain(run, head, r.link, look_at, &r);
	default:
		return walk_array(run, &r, head, bytes);
	}
}

static int walk_row(struct rf_run *run, const struct rf_slots *s)
{
	uint64_t head, in_head = 0;
	struct rf_symbol symbol;
	rf_gva end;
	int err;

	if (rf_run_symbol(run, s->symbol, &head))
		return -ENOENT;
	if (s->head_path) {
		err = rf_run_member(run, s->head_type, s->head_path, 0, &in_head);
		if (err)
			return err;
	}
	if (rf_kernel_symbol_extent(run->c->k, rf_gva_of(head), &symbol, &end))
		return -EBADMSG;
	return rf_run_slots_at(run, s, head + in_head, end.v - head);
}

/* Two rows in a row of one symbol are one structure, in the shapes of two kernels. */
static bool is_same_as(const struct rf_slots *a, const struct rf_slots *b)
{
	return a->symbol && b->symbol && !strcmp(a->symbol, b->symbol);
}

int rf_run_slots(struct rf_run *run, const struct rf_slots *rows)
{
	int err, lacks = -ENOENT;

	for (; rows->symbol; rows++) {
		err = walk_row(run, rows);
		if (!err)
			while (is_same_as(rows, rows + 1))
				rows++;
		if (err == -ENOENT || (err == -ENOTSUP && is_same_as(rows, rows + 1)))
			continue;
		if (err && err != -ENOTSUP)
			return err;
		if (err || lacks == -ENOENT)
			lacks = err;
	}
	return lacks == -ENOENT ? rf_run_lacks(run, "the kernel has nothing of this kind") : lacks;
}
