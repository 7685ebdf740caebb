// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Lists and trees of the guest's (include/linux/types.h, list.h, rbtree_types.h, xarray.h). Nothing
 * in them need end: a list that comes back to where it was is found by Brent's method, a tree by
 * its depth; what is long without a circle, by the run's budget.
 */
#include <errno.h>

#include "introspection/checks/impl.h"

#define DEPTH_MAX 128u /* of a red-black tree: twice the logarithm of what fits in memory */

/* Does a walk come back? */
struct circle {
	uint64_t seen, steps, limit;
};

static bool goes_round(struct circle *c, uint64_t at)
{
	if (at == c->seen)
		return true;
	if (++c->steps > c->limit) {
		c->seen = at;
		c->limit = c->limit * 2 + 1;
		c->steps = 0;
	}
	return false;
}

static int endless(struct rf_run *run, uint64_t head)
{
	run->at = head;
	return -ELOOP;
}

int rf_run_list(struct rf_run *run, uint64_t head, uint64_t link, rf_object_fn fn, void *ctx)
{
	uint64_t node[2], before = head, at; /* next, prev */
	struct circle circle = { 0 };
	int err = rf_run_u64(run, head, &at);

	while (!err && at != head) {
		if (goes_round(&circle, at))
			return endless(run, head);
		err = rf_run_read(run, at, node, sizeof(node));
		if (err)
			return err;
		/* Torn, or one of its ends was bent by hand. */
		if (node[1] != before) {
			run->at = at;
			return -EBADMSG;
		}
		err = fn(run, at - link, ctx);
		before = at;
		at = node[0];
	}
	return err;
}

int rf_run_chain(struct rf_run *run, uint64_t head, uint64_t next, rf_object_fn fn, void *ctx)
{
	struct circle circle = { 0 };
	uint64_t at;
	int err = rf_run_u64(run, head, &at);

	while (!err && at) {
		/* The processor would follow it; the kernel never makes one. */
		if (at & 7) {
			run->at = at;
			return -EBADMSG;
		}
		if (goes_round(&circle, at))
			return endless(run, head);
		err = fn(run, at, ctx);
		if (!err)
			err = rf_run_u64(run, at + next, &at);
	}
	return err;
}

struct linked {
	uint64_t link;
	rf_object_fn fn;
	void *ctx;
};

static int around_node(struct rf_run *run, uint64_t node, void *ctx)
{
	const struct linked *l = ctx;

	return l->fn(run, node - l->link, l->ctx);
}

int rf_run_hlist(struct rf_run *run, uint64_t head, uint64_t link, rf_object_fn fn, void *ctx)
{
	struct linked l = { link, fn, ctx };

	return rf_run_chain(run, head, 0, around_node, &l); /* hlist_node's next stands first */
}

int rf_run_rbtree(struct rf_run *run, uint64_t root, uint64_t link, rf_object_fn fn, void *ctx)
{
	uint64_t right, left, top, stack[DEPTH_MAX], node[2]; /* rb_right, rb_left */
	unsigned int depth = 1;
	int err;

	if ((err = rf_run_member(run, "rb_node", "rb_right", 8, &right)) ||
	    (err = rf_run_member(run, "rb_node", "rb_left", 8, &left)) ||
	    (err = rf_run_u64(run, root, &top)))
		return err;
	stack[0] = top;
	while (!err && depth) {
		top = stack[--depth];
		if (!top)
			continue;
		if (depth + 2 > DEPTH_MAX)
			return endless(run, root);
		if ((err = rf_run_u64(run, top + right, &node[0])) ||
		    (err = rf_run_u64(run, top + left, &node[1])))
			return err;
		err = fn(run, top - link, ctx);
		stack[depth++] = node[0];
		stack[depth++] = node[1];
	}
	return err;
}

/* --- xarray: a tree of nodes of 64 slots, and of pointers with marks in their low bits ----- */

#define SLOTS 64u	   /* XA_CHUNK_SIZE without CONFIG_BASE_SMALL */
#define INTERNAL_MIN 4096u /* xa_is_node() */
#define LEVELS 11u	   /* of 6 bits each: 64 bits */

struct nodes {
	uint64_t shift, slots;
};

static bool is_node(uint64_t entry)
{
	return (entry & 3) == 2 && entry > INTERNAL_MIN;
}

static int walk_entry(struct rf_run *run, const struct nodes *n, uint64_t entry, unsigned int level,
		      rf_object_fn fn, void *ctx)
{
	uint64_t slot[SLOTS];
	int err;

	if (entry & 1) { /* a value: none of these trees has any */
		run->at = entry;
		return -EBADMSG;
	}
	if (!is_node(entry)) /* a mark of the tree's own is no object */
		return entry & 3 || !entry ? 0 : fn(run, entry, ctx);
	if (!level)
		return endless(run, entry - 2);
	err = rf_run_read(run, entry - 2 + n->slots, slot, sizeof(slot));
	for (unsigned int i = 0; !err && i < SLOTS; i++)
		err = walk_entry(run, n, slot[i], level - 1, fn, ctx);
	return err;
}

int rf_run_xarray(struct rf_run *run, uint64_t root, rf_object_fn fn, void *ctx)
{
	uint64_t head, entry, size;
	struct nodes n;
	int err;

	if ((err = rf_run_member(run, "xarray", "xa_head", 8, &head)) ||
	    (err = rf_run_member(run, "xa_node", "shift", 1, &n.shift)) ||
	    (err = rf_run_member(run, "xa_node", "slots", 0, &n.slots)) ||
	    (err = rf_run_sizeof(run, "xa_node", &size)) ||
	    (err = rf_run_u64(run, root + head, &entry)))
		return err;
	if (size < n.slots + SLOTS * 8)
		return rf_run_lacks(run, "this kernel's xarrays have nodes of another size");
	return walk_entry(run, &n, entry, LEVELS, fn, ctx);
}
