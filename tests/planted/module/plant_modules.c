// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hidden modules: introspection/checks/modules.c. It is other modules of ours that are hidden, as
 * this one has to go again: rf_victim1 to 5, which do nothing.
 */
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/panic.h>

#include "planted.h"

static struct list_head *modules;

static struct module *find(struct rf_planted *p, const char *name)
{
	struct module *m;

	modules = rf_symbol("modules");
	if (!modules)
		return NULL;
	list_for_each_entry(m, modules, list) if (!strcmp(m->name, name))
	{
		p->object = (unsigned long)m;
		return m;
	}
	return NULL;
}

static bool is_listed(const struct module *wanted)
{
	struct module *m;

	list_for_each_entry(m, modules, list) if (m == wanted) return true;
	return false;
}

static void unlist(struct module *m)
{
	list_del_rcu(&m->list);
	synchronize_rcu();
}

static void list_again(struct module *m)
{
	list_add_rcu(&m->list, modules);
}

/* --- off the list ------------------------------------------------------------------- */

static struct module *unlisted, *deleted, *nowhere, *unseen;

static int plant_unlisted(struct rf_planted *p)
{
	unlisted = find(p, "rf_victim1");
	if (!unlisted)
		return rf_cannot(p, "no module rf_victim1");
	unlist(unlisted);
	return 0;
}

static void undo_unlisted(struct rf_planted *p)
{
	list_again(unlisted);
}

static bool real_unlisted(const struct rf_planted *p)
{
	return !is_listed(unlisted);
}

/* Off the list, and out of sysfs. */
static int plant_deleted(struct rf_planted *p)
{
	deleted = find(p, "rf_victim2");
	if (!deleted)
		return rf_cannot(p, "no module rf_victim2");
	unlist(deleted);
	kobject_del(&deleted->mkobj.kobj);
	return 0;
}

static int show_again(struct module *m)
{
	return kobject_add(&m->mkobj.kobj, NULL, "%s", m->name);
}

static void undo_deleted(struct rf_planted *p)
{
	if (show_again(deleted))
		pr_emerg("FAILED to undo %s\n", deleted->name);
	list_again(deleted);
}

static bool real_deleted(const struct rf_planted *p)
{
	return !is_listed(deleted) && !deleted->mkobj.kobj.state_in_sysfs;
}

/* And off the list of those with BUG()s, which is before the tree in a reader's mind. */
static int plant_nowhere(struct rf_planted *p)
{
	nowhere = find(p, "rf_victim3");
	if (!nowhere)
		return rf_cannot(p, "no module rf_victim3");
	unlist(nowhere);
	kobject_del(&nowhere->mkobj.kobj);
#ifdef CONFIG_GENERIC_BUG
	list_del_rcu(&nowhere->bug_list);
	synchronize_rcu();
#endif
	return 0;
}

static void undo_nowhere(struct rf_planted *p)
{
#ifdef CONFIG_GENERIC_BUG
	struct list_head *bugs = rf_symbol("module_bug_list");

	if (bugs)
		list_add_rcu(&nowhere->bug_list, bugs);
#endif
	if (show_again(nowhere))
		pr_emerg("FAILED to undo %s\n", nowhere->name);
	list_again(nowhere);
}

static bool real_nowhere(const struct rf_planted *p)
{
	return !is_listed(nowhere) && !nowhere->mkobj.kobj.state_in_sysfs;
}

/* On the list, which ps-like tools do not read as sysfs is easier to. */
static int plant_unseen(struct rf_planted *p)
{
	unseen = find(p, "rf_victim4");
	if (!unseen)
		return rf_cannot(p, "no module rf_victim4");
	kobject_del(&unseen->mkobj.kobj);
	return 0;
}

static void undo_unseen(struct rf_planted *p)
{
	if (show_again(unseen))
		pr_emerg("FAILED to undo %s\n", unseen->name);
}

static bool real_unseen(const struct rf_planted *p)
{
	return is_listed(unseen) && !unseen->mkobj.kobj.state_in_sysfs;
}

/* --- without any trace: its code alone is left, and nobody's ---------------------------- */

static void (*tree_remove)(struct module *m), (*tree_insert)(struct module *m);
static struct module *gone;

/* A victim has no more than one page of code. */
static int at_code_of(struct rf_planted *p, const struct module *m)
{
	if (!m)
		return rf_cannot(p, "no such module");
	p->object = p->target = (unsigned long)m->exit & PAGE_MASK;
	return 0;
}

static int plant_gone(struct rf_planted *p)
{
	tree_remove = rf_symbol("mod_tree_remove");
	tree_insert = rf_symbol("mod_tree_insert");
	gone = find(p, "rf_victim5");
	if (!gone || !tree_remove || !tree_insert)
		return rf_cannot(p, "no module rf_victim5, or no tree of addresses");
	unlist(gone);
	kobject_del(&gone->mkobj.kobj);
#ifdef CONFIG_GENERIC_BUG
	list_del_rcu(&gone->bug_list);
#endif
	tree_remove(gone);
	synchronize_rcu();
	return at_code_of(p, gone);
}

static void undo_gone(struct rf_planted *p)
{
#ifdef CONFIG_GENERIC_BUG
	struct list_head *bugs = rf_symbol("module_bug_list");

	if (bugs)
		list_add_rcu(&gone->bug_list, bugs);
#endif
	tree_insert(gone);
	if (show_again(gone))
		pr_emerg("FAILED to undo %s\n", gone->name);
	list_again(gone);
}

static bool real_gone(const struct rf_planted *p)
{
	return !is_listed(gone) && !gone->mkobj.kobj.state_in_sysfs;
}

/* Of those that were hidden above the code is to be found too. */
static int plant_unlisted_code(struct rf_planted *p)
{
	return at_code_of(p, unlisted);
}

static int plant_deleted_code(struct rf_planted *p)
{
	return at_code_of(p, deleted);
}

static int plant_nowhere_code(struct rf_planted *p)
{
	return at_code_of(p, nowhere);
}

static void undo_nothing(struct rf_planted *p) {}

/* --- taint -------------------------------------------------------------------------- */

#define MARKS (1ul << TAINT_OOT_MODULE | 1ul << TAINT_UNSIGNED_MODULE)

static unsigned long *mask, marks;

static int plant_taint(struct rf_planted *p)
{
	mask = rf_symbol("tainted_mask");
	if (!mask)
		return rf_cannot(p, "no tainted_mask");
	marks = *mask & MARKS;
	if (!marks)
		return rf_cannot(p, "the kernel is not tainted by this module");
	*mask &= ~MARKS;
	p->object = (unsigned long)THIS_MODULE;
	return 0;
}

static void undo_taint(struct rf_planted *p)
{
	*mask |= marks;
}

static bool real_taint(const struct rf_planted *p)
{
	return !test_taint(TAINT_UNSIGNED_MODULE);
}

const struct rf_plant rf_plants_modules[] = {
	{ "module_unlisted", "modules-hidden", plant_unlisted, undo_unlisted,
	  .real = real_unlisted },
	{ "module_deleted", "modules-hidden", plant_deleted, undo_deleted, .real = real_deleted },
	{ "module_nowhere", "modules-hidden", plant_nowhere, undo_nowhere, .real = real_nowhere },
	{ "module_unseen", "modules-hidden", plant_unseen, undo_unseen, .real = real_unseen },
	{ "module_gone", "code-of-nobody", plant_gone, undo_gone, .real = real_gone },
	{ "code_of_unlisted", "code-of-nobody", plant_unlisted_code, undo_nothing,
	  .real = real_unlisted },
	{ "code_of_deleted", "code-of-nobody", plant_deleted_code, undo_nothing,
	  .real = real_deleted },
	{ "code_of_nowhere", "code-of-nobody", plant_nowhere_code, undo_nothing,
	  .real = real_nowhere },
	{ "taint_cleared", "taint-cleared", plant_taint, undo_taint, .real = real_taint },
	{ 0 },
};
