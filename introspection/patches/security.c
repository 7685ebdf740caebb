// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What switches the kernel's security modules on and off: since 6.12 each of their hooks is a
 * static call, behind a static key that says whether it is used (security/security.c
 * DEFINE_LSM_STATIC_CALL()). Both are set by initcalls alone (security_add_hooks(), __init), and
 * lie in data that anybody in the kernel can write. So what they lead to is as it was at the seal.
 *
 * By name, out of sealed kallsyms. Before 6.12 hooks are lists, and there is nothing to find.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/kernel.h"
#include "introspection/patches/impl.h"

static bool is_key(const char *name)
{
	static const char *const prefixes[] = { "security_hook_active_",
						"__SCK__lsm_static_call_" };

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

static int by_address(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int rf_security_keys(const struct rf_kernel *k, struct rf_security *out)
{
	size_t total = rf_kernel_symbol_count(k), room = 0;

	*out = (struct rf_security){ 0 };
	for (size_t i = 0; i < total; i++) {
		struct rf_symbol symbol;
		uint64_t *more;

		rf_kernel_symbol_at(k, i, &symbol);
		if (!is_key(symbol.name))
			continue;
		if (out->count == room) {
			room = room ? 2 * room : 1024;
			more = reallocarray(out->keys, room, sizeof(*more));
			if (!more)
				return -ENOMEM;
			out->keys = more;
		}
		out->keys[out->count++] = symbol.addr.v;
	}
	if (out->count)
		qsort(out->keys, out->count, sizeof(*out->keys), by_address);
	return 0;
}

bool rf_security_key(const struct rf_security *s, uint64_t key)
{
	return s->count && bsearch(&key, s->keys, s->count, sizeof(key), by_address);
}
