// SPDX-License-Identifier: GPL-2.0-only
/* A function pointer in plain data, which anybody may write and the kernel calls. */
#include <linux/delay.h>

#include "attacks.h"

static void ours(void)
{
}

void attack_power_off_hook(struct rf_report *r)
{
	void (**hook)(void) = rf_symbol("pm_power_off");

	if (!hook || !rf_aim(r, "pm_power_off", 0, sizeof(*hook)))
		return rf_skip(r, "this kernel has no pm_power_off");
	WRITE_ONCE(*hook, ours);
	ssleep(rf_patience);
	r->outcome = READ_ONCE(*hook) == ours ? RF_LANDED : RF_UNCHANGED;
	WRITE_ONCE(*hook, NULL);
}
