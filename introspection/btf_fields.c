// SPDX-License-Identifier: LGPL-2.1-or-later
/* All members of a type, for people who look at memory: what stands where, and how it is read. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "introspection/btf_impl.h"

#define DIMENSIONS_MAX 16u
#define REFERENCES_MAX 32u

static const char *word_of(const struct btf_type *t)
{
	switch (btf_kind(t)) {
	case BTF_KIND_STRUCT:
		return "struct ";
	case BTF_KIND_UNION:
		return "union ";
	case BTF_KIND_FWD:
		return btf_kflag(t) ? "union " : "struct ";
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return "enum ";
	default:
		return "";
	}
}

/* "struct cred *", "char[16]", "pid_t": as it would be declared, near enough. */
static void name_type(const struct rf_btf *b, uint32_t id, char out[RF_FIELD_TYPE_TEXT])
{
	char suffix[32] = "";
	const char *name = "", *word = "";
	size_t stars = 0, used = 0;

	for (unsigned int i = 0; i < REFERENCES_MAX && !*name; i++) {
		const struct btf_type *t = id ? rf_btf_type(b, id) : NULL;

		if (!t) {
			name = id ? "?" : "void";
		} else if (btf_is_array(t)) {
			used += snprintf(suffix + used, sizeof(suffix) - used, "[%u]",
					 btf_array(t)->nelems);
			used = used < sizeof(suffix) ? used : sizeof(suffix) - 1;
			id = btf_array(t)->type;
		} else if (btf_is_ptr(t) || btf_is_mod(t) || btf_kind(t) == BTF_KIND_TYPE_TAG) {
			stars += btf_is_ptr(t);
			id = t->type;
		} else {
			word = word_of(t);
			name = rf_btf_name(b, t->name_off);
			if (!*name)
				name = btf_is_func_proto(t) ? "function" : "(unnamed)";
		}
	}
	snprintf(out, RF_FIELD_TYPE_TEXT, "%s%.64s%s%.*s%s", word, name, stars ? " " : "",
		 (int)(stars < 4 ? stars : 4), "****", suffix);
}

/* Without its array: what is repeated, and how often. */
static const struct btf_type *element_of(const struct rf_btf *b, uint32_t id, struct rf_field *out)
{
	const struct btf_type *t = rf_btf_resolve(b, id);

	out->count = 1;
	for (unsigned int i = 0; t && btf_is_array(t); i++) {
		out->is_array = true;
		if (i == DIMENSIONS_MAX ||
		    __builtin_mul_overflow(out->count, (uint64_t)btf_array(t)->nelems, &out->count))
			return NULL;
		t = rf_btf_resolve(b, btf_array(t)->type);
	}
	return t;
}

static enum rf_field_kind int_kind(const struct btf_type *t)
{
	uint32_t encoding = btf_int_encoding(t);

	if (encoding & BTF_INT_BOOL)
		return RF_FIELD_BOOL;
	return encoding & BTF_INT_SIGNED ? RF_FIELD_SIGNED : RF_FIELD_UNSIGNED;
}

/* Kind, and bits of one. 0, -EBADMSG. */
static int measure(const struct rf_btf *b, const struct btf_type *t, struct rf_field *out)
{
	const struct btf_type *to;

	if (btf_kind(t) != BTF_KIND_PTR && t->size > UINT32_MAX / 8)
		return -EBADMSG;
	out->width = t->size * 8;
	switch (btf_kind(t)) {
	case BTF_KIND_INT:
		out->kind = int_kind(t);
		out->width = btf_int_bits(t);
		out->bit += btf_int_offset(t);
		return 0;
	case BTF_KIND_PTR:
		to = rf_btf_resolve(b, t->type);
		out->kind = to && btf_is_func_proto(to) ? RF_FIELD_FUNCTION : RF_FIELD_POINTER;
		out->width = 64;
		return 0;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		out->kind = RF_FIELD_ENUM;
		out->is_signed = btf_kflag(t);
		return 0;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		out->kind = btf_is_struct(t) ? RF_FIELD_STRUCT : RF_FIELD_UNION;
		return 0;
	case BTF_KIND_FLOAT:
		out->kind = RF_FIELD_OTHER;
		return 0;
	default:
		return -EBADMSG;
	}
}

static bool is_inside(const struct rf_field *f, uint64_t room)
{
	uint64_t bits;

	return !__builtin_mul_overflow(f->count, (uint64_t)f->width, &bits) && bits <= room &&
	       f->bit <= room - bits;
}

struct answer {
	const struct rf_btf *b;
	uint64_t room;	    /* bits of the outermost type */
	unsigned int above; /* fields that stand around all of these */
	rf_field_fn fn;
	void *ctx;
};

/* Tells of one; *inner: its own members are to be told of, NULL: it has none. */
static int tell(const struct answer *a, const char *name, const struct rf_btf_found *m,
		unsigned int depth, const struct btf_type **inner)
{
	struct rf_field f = { .name = name, .bit = m->bits, .depth = depth };
	const struct btf_type *t = element_of(a->b, m->type, &f);
	int r = t ? measure(a->b, t, &f) : -EBADMSG;

	if (r)
		return r;
	if (m->width)
		f.width = m->width;
	if (!is_inside(&f, a->room))
		return -EBADMSG;
	f.of = t;
	name_type(a->b, m->type, f.type);
	*inner = btf_is_composite(t) && !f.is_array ? t : NULL;
	return a->fn(a->ctx, &f);
}

/* A struct whose members are being told of. */
struct level {
	const struct btf_type *type;
	uint64_t bits;
	unsigned int next, named; /* named: how many of those around it have a name */
};

static int tell_all(const struct answer *a, const struct btf_type *type, uint64_t bits,
		    unsigned int depth_max)
{
	struct level stack[RF_BTF_NESTING_MAX] = { { type, bits, 0, 0 } };
	unsigned int depth = 1, budget = RF_BTF_MEMBERS_MAX;

	while (depth) {
		struct level *l = &stack[depth - 1];
		const struct btf_type *inner = NULL;
		struct rf_btf_found m;
		const char *name;
		int r;

		if (l->next == btf_vlen(l->type)) {
			depth--;
			continue;
		}
		if (!budget--)
			return -EBADMSG;
		name = rf_btf_name(a->b, btf_members(l->type)[l->next].name_off);
		m.type = btf_members(l->type)[l->next].type;
		m.bits = l->bits + btf_member_bit_offset(l->type, l->next);
		m.width = btf_member_bitfield_size(l->type, l->next);
		l->next++;
		r = tell(a, name, &m, a->above + depth - 1, &inner);
		if (r)
			return r;
		if (!inner || (*name && l->named >= depth_max))
			continue;
		if (depth == RF_BTF_NESTING_MAX)
			return -EBADMSG;
		stack[depth++] = (struct level){ inner, m.bits, 0, l->named + (*name != '\0') };
	}
	return 0;
}

int rf_btf_fields(const struct rf_btf *b, const char *type, const char *path,
		  unsigned int depth_max, rf_field_fn fn, void *ctx)
{
	struct answer a = { b, 0, 0, fn, ctx };
	const struct btf_type *t, *inner;
	struct rf_btf_found f = { 0 };
	int r = rf_btf_find(b, type, &t);

	if (r)
		return r;
	a.room = (uint64_t)t->size * 8;
	if (!path)
		return tell_all(&a, t, 0, depth_max);
	r = rf_btf_find_path(b, t, path, &f);
	if (!r)
		r = tell(&a, path, &f, 0, &inner);
	a.above = 1;
	return r || !inner ? r : tell_all(&a, inner, f.bits, depth_max);
}

const char *rf_btf_field_value(const struct rf_btf *b, const struct rf_field *f, int64_t value)
{
	return f->kind == RF_FIELD_ENUM ? rf_btf_value_name(b, f->of, value) : NULL;
}
