// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/known.h"

#define ROW_MAX (sizeof(rf_known_caps[0].what) / sizeof(rf_known_caps[0].what[0]))

static const struct rf_known *find(const struct rf_known *rows, size_t count, unsigned long what,
				   unsigned on)
{
	for (const struct rf_known *k = rows; k < rows + count; k++)
		for (size_t i = 0; k->on & on && i < ROW_MAX && k->what[i]; i++)
			if (k->what[i] == what)
				return k;
	return NULL;
}

const struct rf_known *rf_known_ioctl(unsigned long request, enum rf_known_fd on)
{
	return find(rf_known_ioctls, rf_known_ioctls_count, request, on);
}

const struct rf_known *rf_known_cap(uint32_t cap)
{
	return find(rf_known_caps, rf_known_caps_count, cap, RF_ON_VM | RF_ON_VCPU);
}
