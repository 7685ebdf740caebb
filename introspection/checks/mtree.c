// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Maple trees (include/linux/maple_tree.h, lib/maple_tree.c). A node is of 256 bytes; a pointer to
 * one has its type in bits 3 to 6. Its slots have ranges: each ends at its pivot, the last one
 * where the node itself ends. What lies behind that slot is no longer of the tree.
 */
#include <errno.h>

#include "introspection/checks/impl.h"

#define NODE 256u	   /* bytes, and how it is aligned: MAPLE_NODE_MASK */
#define TYPE_SHIFT 3u	   /* MAPLE_NODE_TYPE_SHIFT */
#define TYPE_MASK 0xfu	   /* MAPLE_NODE_TYPE_MASK */
#define INTERNAL_MIN 4096u /* xa_is_node() */
#define HEIGHT_MAX 31u	   /* MAPLE_HEIGHT_MAX */
#define SLOTS_MAX 31u

/* Of one type of node. */
struct shape {
	int64_t type;
	uint64_t pivots, slots; /* where they stand */
	unsigned int count;	/* of slots; there is one pivot less */
	bool leaf;
};

enum { LEAF, RANGE, GAPS, SHAPES };

struct tree {
	struct shape shapes[SHAPES];
	uint64_t parent; /* of struct maple_node */
	uint64_t root;	 /* where the tree is */
	rf_object_fn fn;
	void *ctx;
};

static int lay_out_shape(struct rf_run *run, const char *type, const char *enumerator, bool leaf,
			 struct shape *s)
{
	struct rf_member pivots, slots;
	const struct rf_kernel *k = run->c->k;

	if (rf_kernel_member(k, type, "pivot", &pivots) ||
	    rf_kernel_member(k, type, "slot", &slots) ||
	    rf_kernel_enumerator(k, "maple_type", enumerator, &s->type) || slots.size % 8 ||
	    !slots.size || slots.size / 8 > SLOTS_MAX || pivots.size + 8 != slots.size ||
	    !rf_within(slots.offset, slots.size, 0, NODE) ||
	    !rf_within(pivots.offset, pivots.size, 0, NODE))
		return rf_run_lacks(run, "the kernel's maple trees have other nodes: struct %s",
				    type);
	s->pivots = pivots.offset;
	s->slots = slots.offset;
	s->count = (unsigned int)(slots.size / 8);
	s->leaf = leaf;
	return 0;
}

static int lay_out(struct rf_run *run, struct tree *t)
{
	uint64_t size;
	int err;

	if ((err = rf_run_member(run, "maple_node", "parent", 8, &t->parent)) ||
	    (err = rf_run_sizeof(run, "maple_node", &size)) ||
	    (err = lay_out_shape(run, "maple_range_64", "maple_leaf_64", true, &t->shapes[LEAF])) ||
	    (err = lay_out_shape(run, "maple_range_64", "maple_range_64", false,
				 &t->shapes[RANGE])) ||
	    (err = lay_out_shape(run, "maple_arange_64", "maple_arange_64", false,
				 &t->shapes[GAPS])))
		return err;
	if (size != NODE)
		return rf_run_lacks(run, "the kernel's maple trees have nodes of another size");
	return 0;
}

static int broken(struct rf_run *run, uint64_t at, int err)
{
	run->at = at;
	return err;
}

static const struct shape *shape_of(const struct tree *t, uint64_t node)
{
	int64_t type = node >> TYPE_SHIFT & TYPE_MASK;

	for (unsigned int i = 0; i < SHAPES; i++)
		if (t->shapes[i].type == type)
			return &t->shapes[i];
	return NULL;
}

static int walk_node(struct rf_run *run, const struct tree *t, uint64_t node, uint64_t above,
		     uint64_t min, uint64_t max, unsigned int height);

/* An entry may be a value, or a mark of the tree's own: then it is no object. */
static int walk_slot(struct rf_run *run, const struct tree *t, const struct shape *s,
		     uint64_t entry, uint64_t node, uint64_t min, uint64_t max, unsigned int height)
{
	if (s->leaf)
		return !entry || entry & 3 ? 0 : t->fn(run, entry, t->ctx);
	if (!entry)
		return broken(run, node, -EBADMSG);
	return walk_node(run, t, entry, node, min, max, height - 1);
}

/* above: the node that leads here, 0 none. What the tree has given up has itself as parent. */
static int walk_node(struct rf_run *run, const struct tree *t, uint64_t node, uint64_t above,
		     uint64_t min, uint64_t max, unsigned int height)
{
	uint64_t words[NODE / 8], at = node & ~(uint64_t)(NODE - 1), parent;
	const struct shape *s = shape_of(t, node);
	int err;

	if (!height)
		return broken(run, t->root, -ELOOP);
	if (!s)
		return broken(run, at, -EBADMSG);
	err = rf_run_read(run, at, words, sizeof(words));
	if (err)
		return err;
	parent = words[t->parent / 8];
	if (above ? (parent ^ above) / NODE : parent ^ (t->root | 1))
		return broken(run, at, -EBADMSG);
	for (unsigned int i = 0; !err && i < s->count; i++) {
		uint64_t end = i + 1 < s->count ? words[s->pivots / 8 + i] : max;

		if (i && !end) /* it was never set: the slot before was the last, or this one is */
			end = max;
		if (end < min || end > max)
			return broken(run, at, -EBADMSG);
		err = walk_slot(run, t, s, words[s->slots / 8 + i], node, min, end, height);
		if (end == max)
			return err;
		min = end + 1;
	}
	return err;
}

int rf_run_mtree(struct rf_run *run, uint64_t tree, rf_object_fn fn, void *ctx)
{
	struct tree t = { .root = tree, .fn = fn, .ctx = ctx };
	uint64_t root, entry;
	int err;

	if ((err = rf_run_member(run, "maple_tree", "ma_root", 8, &root)) ||
	    (err = lay_out(run, &t)) || (err = rf_run_u64(run, tree + root, &entry)))
		return err;
	if ((entry & 3) != 2 || entry <= INTERNAL_MIN) /* a single entry, or none */
		return entry & 3 || !entry ? 0 : fn(run, entry, ctx);
	return walk_node(run, &t, entry & ~UINT64_C(2), 0, 0, UINT64_MAX, HEIGHT_MAX);
}
