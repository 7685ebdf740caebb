// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/checks/set.h"

#include <errno.h>
#include <stdlib.h>

#define SET_MAX ((size_t)1 << 22) /* PID_MAX_LIMIT */

int rf_set_add(struct rf_set *s, uint64_t v)
{
	size_t room = s->room ? s->room * 2 : 256;

	if (s->count == s->room) {
		uint64_t *more = room > SET_MAX ? NULL : realloc(s->v, room * sizeof(*more));

		if (!more)
			return room > SET_MAX ? -E2BIG : -ENOMEM;
		s->v = more;
		s->room = room;
	}
	s->v[s->count++] = v;
	return 0;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void rf_set_sort(struct rf_set *s)
{
	if (s->count)
		qsort(s->v, s->count, sizeof(*s->v), ascending);
}

bool rf_set_has(const struct rf_set *s, uint64_t v)
{
	return s->count && bsearch(&v, s->v, s->count, sizeof(*s->v), ascending);
}

void rf_set_deinit(struct rf_set *s)
{
	free(s->v);
	*s = (struct rf_set){ 0 };
}
