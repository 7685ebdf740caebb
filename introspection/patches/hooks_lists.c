// SPDX-License-Identifier: LGPL-2.1-or-later
/* The kernel's own lists: tracers, functions that are called directly, and tables of chains. */
#include <errno.h>

#include "introspection/patches/hooks_impl.h"

#define OPS_MAX 4096u
#define CHAIN_MAX 4096u
#define CHUNK 4096u

int rf_hook_each_ops(const struct rf_hook_view *k, rf_hook_object_fn fn, struct rf_hook_listed *to)
{
	uint64_t ops;
	int err = rf_hook_word(k, k->l->ops, &ops);

	for (unsigned int i = 0; !err && ops != k->l->ops_end; i++) {
		if (i == OPS_MAX)
			return -EBADMSG;
		err = fn(k, ops, to);
		if (!err)
			err = rf_hook_word(k, ops + k->l->ops_next, &ops);
	}
	return err;
}

static int each_of_chain(const struct rf_hook_view *k, uint64_t at, uint64_t node,
			 rf_hook_object_fn fn, struct rf_hook_listed *to)
{
	int err = 0;

	for (unsigned int i = 0; !err && at; i++) {
		if (i == CHAIN_MAX)
			return -EBADMSG;
		err = fn(k, at - node, to);
		if (!err)
			err = rf_hook_word(k, at, &at);
	}
	return err;
}

int rf_hook_each_chained(const struct rf_hook_view *k, uint64_t table, uint64_t n, uint64_t node,
			 rf_hook_object_fn fn, struct rf_hook_listed *to)
{
	uint64_t chunk[CHUNK / 8];
	int err = 0;

	for (uint64_t at = 0; !err && at < n;) {
		uint64_t some = n - at < CHUNK / 8 ? n - at : CHUNK / 8;

		err = rf_live_read(&k->g, table + at * 8, chunk, some * 8);
		for (uint64_t i = 0; !err && i < some; i++)
			err = each_of_chain(k, chunk[i], node, fn, to);
		at += some;
	}
	return err;
}

int rf_hook_each_direct(const struct rf_hook_view *k, rf_hook_object_fn fn,
			struct rf_hook_listed *to)
{
	uint64_t hash, bits, buckets;
	int err = rf_hook_word(k, k->l->direct, &hash);

	if (!err)
		err = rf_hook_word(k, hash + k->l->bits, &bits);
	if (!err)
		err = rf_hook_word(k, hash + k->l->buckets, &buckets);
	if (!err && bits > RF_HASH_BITS_MAX)
		return -EBADMSG;
	return err ? err
		   : rf_hook_each_chained(k, buckets, UINT64_C(1) << bits, k->l->node, fn, to);
}
