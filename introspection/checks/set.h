/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets of addresses, which are compared with each other. A zeroed one is empty. */
#ifndef RF_INTROSPECTION_CHECKS_SET_H
#define RF_INTROSPECTION_CHECKS_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_set {
	uint64_t *v;
	size_t count, room;
};

/* 0, -ENOMEM, or -E2BIG: more than any guest has. */
int rf_set_add(struct rf_set *s, uint64_t v);
void rf_set_sort(struct rf_set *s);
bool rf_set_has(const struct rf_set *s, uint64_t v); /* of a sorted one */
void rf_set_deinit(struct rf_set *s);

#endif
