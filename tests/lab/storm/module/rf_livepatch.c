// SPDX-License-Identifier: GPL-2.0-only
/* A live patch whose effect everybody can read: the text of /proc/cmdline. */
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>

static int storm_cmdline_show(struct seq_file *m, void *v)
{
	seq_puts(m, "live patched\n");
	return 0;
}

static struct klp_func funcs[] = {
	{ .old_name = "cmdline_proc_show", .new_func = storm_cmdline_show },
	{},
};

static struct klp_object objects[] = {
	{ .funcs = funcs }, /* no name: the kernel itself */
	{},
};

static struct klp_patch patch = { .mod = THIS_MODULE, .objs = objects };

static int __init storm_livepatch_init(void)
{
	return klp_enable_patch(&patch);
}

/* The core lets the module go only after its patch was disabled. */
static void __exit storm_livepatch_exit(void) {}

module_init(storm_livepatch_init);
module_exit(storm_livepatch_exit);
MODULE_DESCRIPTION("ringfence storm");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
