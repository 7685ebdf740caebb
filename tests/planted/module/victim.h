/* SPDX-License-Identifier: GPL-2.0-only */
/* A module that does nothing: plant_modules.c hides it. */
#include <linux/bug.h>
#include <linux/module.h>

static int __init rf_victim_init(void)
{
	return 0;
}

static void __exit rf_victim_exit(void)
{
	/* So that the table of BUG()s knows this module too. */
	WARN_ON(!THIS_MODULE->name[0]);
}

module_init(rf_victim_init);
module_exit(rf_victim_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("ringfence test victim");
