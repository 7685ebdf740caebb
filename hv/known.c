/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hv/known.h"

const struct rf_known *rf_known_ioctl(unsigned long request, enum rf_known_fd on)
{
	for (size_t i = 0; i < rf_known_ioctls_count; i++)
		if (rf_known_ioctls[i].what == request && rf_known_ioctls[i].on & on)
			return &rf_known_ioctls[i];
	return NULL;
}

const struct rf_known *rf_known_cap(uint32_t cap)
{
	for (size_t i = 0; i < rf_known_caps_count; i++)
		if (rf_known_caps[i].what == cap)
			return &rf_known_caps[i];
	return NULL;
}
