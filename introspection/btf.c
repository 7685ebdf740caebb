// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/btf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "introspection/btf_impl.h"
#include "introspection/symbols.h"

/*
 * C needs two or three of each; the guest gets no more than this before its types count as
 * malformed.
 */
#define MODIFIERS_MAX 32u  /* typedef, const ... in a row */
#define DIMENSIONS_MAX 16u /* arrays of arrays */
#define PROBES_PER_TYPE 16u

struct rf_btf {
	struct btf *btf;
	uint32_t *slot; /* open addressing by name: type id of a struct, union, enum or typedef; 0
			   is free */
	uint32_t mask;
};

const char *rf_btf_name(const struct rf_btf *b, uint32_t offset)
{
	const char *name = btf__name_by_offset(b->btf, offset);

	return name ? name : "";
}

const struct btf_type *rf_btf_type(const struct rf_btf *b, uint32_t id)
{
	return id ? btf__type_by_id(b->btf, id) : NULL;
}

static bool is_enum(const struct btf_type *t)
{
	return btf_is_enum(t) || btf_kind(t) == BTF_KIND_ENUM64;
}

static bool is_indexed(const struct btf_type *t)
{
	return t->name_off && (btf_is_composite(t) || is_enum(t) || btf_is_typedef(t));
}

/* Of types with one name and kind the first stays, as in btf__find_by_name_kind(). */
static int index_names(struct rf_btf *b, uint32_t count)
{
	uint64_t probes = (uint64_t)count * PROBES_PER_TYPE;
	const struct btf_type *t, *other;
	uint32_t at;

	for (uint32_t id = 1; id < count; id++) {
		t = rf_btf_type(b, id);
		if (!t || !is_indexed(t))
			continue;
		at = rf_name_hash(rf_btf_name(b, t->name_off)) & b->mask;
		for (; b->slot[at]; at = (at + 1) & b->mask) {
			other = rf_btf_type(b, b->slot[at]);
			if (btf_kind(other) == btf_kind(t) &&
			    !strcmp(rf_btf_name(b, other->name_off), rf_btf_name(b, t->name_off)))
				break;
			if (!probes--)
				return -EBADMSG;
		}
		if (!b->slot[at])
			b->slot[at] = id;
	}
	return 0;
}

static int make_index(struct rf_btf *b)
{
	uint32_t count = btf__type_cnt(b->btf), wanted = 0;

	for (uint32_t id = 1; id < count; id++)
		wanted += is_indexed(rf_btf_type(b, id));
	for (b->mask = 15; b->mask < wanted + wanted / 2;)
		b->mask = b->mask * 2 + 1;
	b->slot = calloc((size_t)b->mask + 1, sizeof(*b->slot));
	return b->slot ? index_names(b, count) : -ENOMEM;
}

/*
 * What libbpf takes on trust: the header in our byte order (it would swap the blob in place), with
 * the size the format has had so far, and both sections inside the blob.
 */
static bool header_valid(const void *blob, size_t len)
{
	struct btf_header h;
	size_t room;

	if (len < sizeof(h) || len > RF_BTF_SIZE_MAX)
		return false;
	memcpy(&h, blob, sizeof(h));
	if (h.magic != BTF_MAGIC || h.version != BTF_VERSION || h.hdr_len < sizeof(h) ||
	    h.hdr_len > len || h.hdr_len & 3)
		return false;
	room = len - h.hdr_len;
	return rf_within(h.type_off, h.type_len, 0, room) &&
	       rf_within(h.str_off, h.str_len, 0, room) && !(h.type_off & 3);
}

int rf_btf_create(const void *blob, size_t len, struct rf_btf **out)
{
	libbpf_print_fn_t print;
	struct rf_btf *b;
	int r = -EBADMSG;

	if (!header_valid(blob, len))
		return -EBADMSG;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	/* libbpf reports malformed blobs on stderr unless told not to. */
	print = libbpf_set_print(NULL);
	b->btf = btf__new(blob, len);
	libbpf_set_print(print);
	if (!b->btf)
		r = errno == ENOMEM ? -ENOMEM : -EBADMSG;
	else
		r = make_index(b);
	if (r) {
		rf_btf_destroy(b);
		return r;
	}
	*out = b;
	return 0;
}

void rf_btf_destroy(struct rf_btf *b)
{
	if (!b)
		return;
	btf__free(b->btf);
	free(b->slot);
	free(b);
}

/* --- following references -------------------------------------------------------- */

const struct btf_type *rf_btf_resolve(const struct rf_btf *b, uint32_t id)
{
	for (unsigned int i = 0; i < MODIFIERS_MAX; i++) {
		const struct btf_type *t = rf_btf_type(b, id);

		if (!t)
			return NULL;
		if (!btf_is_mod(t) && !btf_is_typedef(t) && btf_kind(t) != BTF_KIND_TYPE_TAG)
			return t;
		id = t->type;
	}
	return NULL;
}

int rf_btf_bytes(const struct rf_btf *b, uint32_t id, uint64_t *out)
{
	uint64_t n = 1;

	for (unsigned int i = 0; i < DIMENSIONS_MAX; i++) {
		const struct btf_type *t = rf_btf_resolve(b, id);

		if (!t)
			return -EBADMSG;
		switch (btf_kind(t)) {
		case BTF_KIND_ARRAY:
			if (__builtin_mul_overflow(n, (uint64_t)btf_array(t)->nelems, &n))
				return -EBADMSG;
			id = btf_array(t)->type;
			continue;
		case BTF_KIND_PTR:
			return __builtin_mul_overflow(n, UINT64_C(8), out) ? -EBADMSG : 0;
		case BTF_KIND_INT:
		case BTF_KIND_FLOAT:
		case BTF_KIND_ENUM:
		case BTF_KIND_ENUM64:
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
			return __builtin_mul_overflow(n, (uint64_t)t->size, out) ? -EBADMSG : 0;
		default:
			return -EBADMSG;
		}
	}
	return -EBADMSG;
}

static int find_type(const struct rf_btf *b, const char *name, bool enums,
		     const struct btf_type **out)
{
	uint32_t at = rf_name_hash(name) & b->mask;
	const struct btf_type *t, *through = NULL;

	for (; b->slot[at]; at = (at + 1) & b->mask) {
		t = rf_btf_type(b, b->slot[at]);
		if (strcmp(rf_btf_name(b, t->name_off), name))
			continue;
		if (enums ? is_enum(t) : btf_is_composite(t)) {
			*out = t;
			return 0;
		}
		/* `kuid_t` and the like: a struct that has only a typedef name. */
		if (btf_is_typedef(t) && (t = rf_btf_resolve(b, t->type)) &&
		    (enums ? is_enum(t) : btf_is_composite(t)))
			through = t;
	}
	if (!through)
		return -ENOENT;
	*out = through;
	return 0;
}

int rf_btf_find(const struct rf_btf *b, const char *name, const struct btf_type **out)
{
	return find_type(b, name, false, out);
}

/* A struct whose members are still to be searched, and where it starts in the one we began with. */
struct place {
	const struct btf_type *type;
	uint64_t bits;
};

/*
 * One name in a struct, seen through anonymous members as C does. Depth and total work are bounded
 * apart: a hostile blob can nest a type in itself, or make each level hold the next many times.
 */
static int find_member(const struct rf_btf *b, const struct btf_type *type, const char *name,
		       size_t len, struct rf_btf_found *out)
{
	struct place stack[RF_BTF_NESTING_MAX] = { { type, 0 } };
	unsigned int depth = 1, budget = RF_BTF_MEMBERS_MAX;

	while (depth) {
		struct place p = stack[--depth];
		const struct btf_member *m = btf_members(p.type);

		for (unsigned int i = 0; i < btf_vlen(p.type); i++) {
			const char *member = rf_btf_name(b, m[i].name_off);
			uint64_t bits = p.bits + btf_member_bit_offset(p.type, i);

			if (!budget--)
				return -EBADMSG;
			if (*member) {
				if (strncmp(member, name, len) || member[len])
					continue;
				*out = (struct rf_btf_found){ m[i].type, bits,
							      btf_member_bitfield_size(p.type, i) };
				return 0;
			}
			const struct btf_type *t = rf_btf_resolve(b, m[i].type);

			/* Unnamed bit fields are padding. */
			if (!t || !btf_is_composite(t))
				continue;
			if (depth == RF_BTF_NESTING_MAX)
				return -EBADMSG;
			stack[depth++] = (struct place){ t, bits };
		}
	}
	return -ENOENT;
}

/*
 * Bit fields come in two forms: with their own width (kind_flag), or as an int of fewer bits than
 * bytes.
 */
static bool is_bit_field(const struct rf_btf *b, const struct rf_btf_found *f)
{
	const struct btf_type *t = rf_btf_resolve(b, f->type);

	if (f->width || f->bits & 7)
		return true;
	return t && btf_is_int(t) && (btf_int_offset(t) || btf_int_bits(t) != t->size * 8);
}

int rf_btf_find_path(const struct rf_btf *b, const struct btf_type *type, const char *path,
		     struct rf_btf_found *out)
{
	const struct btf_type *t = type;
	struct rf_btf_found f = { 0 };
	uint64_t bits = 0;
	size_t len;
	int r;

	for (;; path += len + 1) {
		len = strcspn(path, ".");
		if (!len)
			return -EINVAL;
		r = find_member(b, t, path, len, &f);
		if (r)
			return r;
		bits += f.bits;
		if (!path[len])
			break;
		t = rf_btf_resolve(b, f.type);
		if (!t)
			return -EBADMSG;
		if (!btf_is_composite(t))
			return -ENOENT;
	}
	*out = (struct rf_btf_found){ f.type, bits, f.width };
	return 0;
}

int rf_btf_member(const struct rf_btf *b, const char *type, const char *path, struct rf_member *out)
{
	const struct btf_type *t;
	struct rf_btf_found f;
	uint64_t size;
	int r;

	r = find_type(b, type, false, &t);
	if (!r)
		r = rf_btf_find_path(b, t, path, &f);
	if (r)
		return r;
	if (is_bit_field(b, &f))
		return -ENOTSUP;
	r = rf_btf_bytes(b, f.type, &size);
	if (r)
		return r;
	/* Who reads the whole type into a buffer of its size looks for its members there. */
	if (f.bits / 8 > t->size || size > t->size - f.bits / 8)
		return -EBADMSG;
	*out = (struct rf_member){ f.bits / 8, size };
	return 0;
}

/* A pointer to a function, or an array of them: how many. */
static uint64_t functions_at(const struct rf_btf *b, uint32_t id)
{
	const struct btf_type *t = rf_btf_resolve(b, id), *to;
	uint64_t n = 1;

	if (t && btf_is_array(t)) {
		n = btf_array(t)->nelems;
		t = rf_btf_resolve(b, btf_array(t)->type);
	}
	to = t && btf_is_ptr(t) ? rf_btf_resolve(b, t->type) : NULL;
	return to && btf_is_func_proto(to) ? n : 0;
}

int rf_btf_functions(const struct rf_btf *b, const char *type, rf_function_member_fn fn, void *ctx)
{
	unsigned int depth = 1, budget = RF_BTF_MEMBERS_MAX;
	struct place stack[RF_BTF_NESTING_MAX];
	const struct btf_type *t;
	uint64_t room;
	int r = find_type(b, type, false, &t);

	if (r)
		return r;
	room = t->size;
	stack[0] = (struct place){ t, 0 };
	while (depth) {
		struct place p = stack[--depth];
		const struct btf_member *m = btf_members(p.type);

		for (unsigned int i = 0; i < btf_vlen(p.type); i++) {
			uint64_t at = (p.bits + btf_member_bit_offset(p.type, i)) / 8;
			uint64_t n = functions_at(b, m[i].type);

			for (uint64_t each = 0; each < n; each++, at += 8) {
				if (!budget-- || !rf_within(at, 8, 0, room))
					return -EBADMSG;
				r = fn(ctx, at, rf_btf_name(b, m[i].name_off));
				if (r)
					return r;
			}
			t = rf_btf_resolve(b, m[i].type);
			if (!budget-- || (t && btf_is_struct(t) && depth == RF_BTF_NESTING_MAX))
				return -EBADMSG;
			if (t && btf_is_struct(t))
				stack[depth++] =
					(struct place){ t,
							p.bits + btf_member_bit_offset(p.type, i) };
		}
	}
	return 0;
}

int rf_btf_sizeof(const struct rf_btf *b, const char *type, uint64_t *out)
{
	const struct btf_type *t;
	int r = find_type(b, type, false, &t);

	if (r)
		return r;
	*out = t->size;
	return 0;
}

/* --- enumerators ----------------------------------------------------------------- */

/* The i-th of an enum: its name and value. */
static const char *enumerator_at(const struct rf_btf *b, const struct btf_type *t, unsigned int i,
				 int64_t *value)
{
	const struct btf_enum64 *wide;
	const struct btf_enum *e;

	if (btf_is_enum(t)) {
		e = btf_enum(t) + i;
		*value = btf_kflag(t) ? (int64_t)e->val : (int64_t)(uint32_t)e->val;
		return rf_btf_name(b, e->name_off);
	}
	wide = btf_enum64(t) + i;
	*value = (int64_t)((uint64_t)wide->val_hi32 << 32 | wide->val_lo32);
	return rf_btf_name(b, wide->name_off);
}

static int enumerator_in(const struct rf_btf *b, const struct btf_type *t, const char *name,
			 int64_t *out)
{
	int64_t value;

	for (unsigned int i = 0; i < btf_vlen(t); i++) {
		if (strcmp(enumerator_at(b, t, i, &value), name))
			continue;
		*out = value;
		return 0;
	}
	return -ENOENT;
}

const char *rf_btf_value_name(const struct rf_btf *b, const struct btf_type *t, int64_t value)
{
	const char *name;
	int64_t v;

	for (unsigned int i = 0; is_enum(t) && i < btf_vlen(t); i++) {
		name = enumerator_at(b, t, i, &v);
		if (v == value)
			return name;
	}
	return NULL;
}

int rf_btf_enumerator(const struct rf_btf *b, const char *enum_name, const char *name, int64_t *out)
{
	uint32_t count = btf__type_cnt(b->btf);
	const struct btf_type *t;
	int r;

	if (enum_name) {
		r = find_type(b, enum_name, true, &t);
		return r ? r : enumerator_in(b, t, name, out);
	}
	for (uint32_t id = 1; id < count; id++) {
		t = rf_btf_type(b, id);
		if (t && is_enum(t) && !enumerator_in(b, t, name, out))
			return 0;
	}
	return -ENOENT;
}
