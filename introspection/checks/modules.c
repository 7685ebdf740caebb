// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Modules: the list that lsmod shows, and where else a loaded module leaves traces: sysfs
 * (kernel/module/sysfs.c), the tree by which the kernel finds whose an address is
 * (kernel/module/tree_lookup.c), the table of its BUG()s (lib/bug.c).
 */
#include <errno.h>
#include <stdio.h>

#include "introspection/checks/families.h"
#include "introspection/checks/inside.h"
#include "introspection/checks/set.h"

struct layout {
	uint64_t name, state, mod; /* mod: of struct module_kobject, or struct mod_tree_node */
};

struct gathered {
	struct layout l;
	struct rf_set listed, found;
	uint64_t owner; /* where an object of the walk has its module */
};

static int list_module(struct rf_run *run, const struct rf_module_claim *m, void *ctx)
{
	rf_run_saw(run);
	return rf_set_add(&((struct gathered *)ctx)->listed, m->at);
}

/* Objects that point to their module; those of built-in code to none. */
static int note_owner(struct rf_run *run, uint64_t object, void *ctx)
{
	struct gathered *g = ctx;
	uint64_t module;
	int err = rf_run_u64(run, object + g->owner, &module);

	return err || !module ? err : rf_set_add(&g->found, module);
}

static int note_module(struct rf_run *run, uint64_t module, void *ctx)
{
	return rf_set_add(&((struct gathered *)ctx)->found, module);
}

static int walk_sysfs(struct rf_run *run, struct gathered *g)
{
	uint64_t kset, list, entry, kobj;
	int err;

	if ((err = rf_run_symbol(run, "module_kset", &kset)) ||
	    (err = rf_run_member(run, "kset", "list", 16, &list)) ||
	    (err = rf_run_member(run, "kobject", "entry", 16, &entry)) ||
	    (err = rf_run_member(run, "module_kobject", "kobj", 0, &kobj)) ||
	    (err = rf_run_member(run, "module_kobject", "mod", 8, &g->owner)) ||
	    (err = rf_run_u64(run, kset, &kset)))
		return err;
	return rf_run_list(run, kset + list, kobj + entry, note_owner, g);
}

static int walk_tree(struct rf_run *run, struct gathered *g)
{
	uint64_t tree, root, roots, latch, node;
	int err;

	if ((err = rf_run_symbol(run, "mod_tree", &tree)) ||
	    (err = rf_run_member(run, "mod_tree_root", "root", 0, &root)) ||
	    (err = rf_run_member(run, "latch_tree_root", "tree", 0, &roots)) ||
	    (err = rf_run_member(run, "mod_tree_node", "node", 0, &latch)) ||
	    (err = rf_run_member(run, "latch_tree_node", "node", 0, &node)) ||
	    (err = rf_run_member(run, "mod_tree_node", "mod", 8, &g->owner)))
		return err;
	return rf_run_rbtree(run, tree + root + roots, latch + node, note_owner, g);
}

static int walk_bugs(struct rf_run *run, struct gathered *g)
{
	uint64_t head, link;
	int err;

	if ((err = rf_run_symbol(run, "module_bug_list", &head)) ||
	    (err = rf_run_member(run, "module", "bug_list", 16, &link)))
		return err;
	return rf_run_list(run, head, link, note_module, g);
}

static void name_module(struct rf_run *run, const struct layout *l, uint64_t module, char *out,
			size_t size)
{
	char name[57] = "?";

	rf_run_text(run, module + l->name, name, sizeof(name));
	snprintf(out, size, "module %s", name);
}

/* What that trace has, and the list has not. */
static int tell_unlisted(struct rf_run *run, struct gathered *g, const char *reason)
{
	uint64_t last = 0;
	char what[96];
	int err = 0;

	rf_set_sort(&g->found);
	for (size_t i = 0; !err && i < g->found.count; i++) {
		uint64_t module = g->found.v[i];

		if (module == last || rf_set_has(&g->listed, module))
			continue;
		last = module;
		name_module(run, &g->l, module, what, sizeof(what));
		err = rf_run_found(run, module, what, 0, reason);
	}
	g->found.count = 0;
	return err;
}

/* One that is being loaded or unloaded is not in sysfs. */
static int tell_unseen(struct rf_run *run, struct gathered *g)
{
	uint32_t state;
	char what[96];
	int err = 0;

	rf_set_sort(&g->found);
	for (size_t i = 0; !err && i < g->listed.count; i++) {
		uint64_t module = g->listed.v[i];

		if (rf_set_has(&g->found, module))
			continue;
		err = rf_run_u32(run, module + g->l.state, &state);
		if (err || state) /* MODULE_STATE_LIVE is 0 */
			continue;
		name_module(run, &g->l, module, what, sizeof(what));
		err = rf_run_found(run, module, what, 0, "it is on the list, and not in sysfs");
	}
	return err;
}

static int gather(struct rf_run *run, struct gathered *g)
{
	int err;

	if ((err = rf_run_member(run, "module", "name", 0, &g->l.name)) ||
	    (err = rf_run_member(run, "module", "state", 4, &g->l.state)) ||
	    (err = rf_run_modules(run, list_module, g)))
		return err;
	rf_set_sort(&g->listed);
	return 0;
}

/* A trace that this kernel does not keep is left out; one of them there is. */
static int compare(struct rf_run *run, struct gathered *g)
{
	static const struct {
		int (*walk)(struct rf_run *run, struct gathered *g);
		const char *reason;
	} traces[] = {
		{ walk_tree, "the kernel finds its code, and it is not on the list of modules" },
		{ walk_bugs, "its BUG()s are known, and it is not on the list of modules" },
		{ walk_sysfs, "it is in sysfs, and not on the list of modules" },
	};
	unsigned int looked = 0;
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(traces) / sizeof(traces[0]); i++) {
		err = traces[i].walk(run, g);
		if (!err && traces[i].walk == walk_sysfs)
			err = tell_unseen(run, g);
		if (!err)
			err = tell_unlisted(run, g, traces[i].reason);
		looked += !err;
		if (err == -ENOTSUP)
			err = 0;
	}
	return err ? err : looked ? 0 : -ENOTSUP;
}

static int look_for_hidden_modules(struct rf_run *run)
{
	struct gathered g = { 0 };
	int err = gather(run, &g);

	if (!err)
		err = compare(run, &g);
	rf_set_deinit(&g.listed);
	rf_set_deinit(&g.found);
	return err;
}

const struct rf_check rf_check_modules_hidden = {
	.name = "modules-hidden",
	.summary =
		"modules that sysfs, the address tree and the table of BUGs know are on the list",
	.reading = "a module took itself off the list that lsmod shows",
	.attack = "T1014",
	.severity = RF_SEVERITY_CRITICAL,
	.period_ms = 2000,
	.reads = 1 << 16,
	.run = look_for_hidden_modules,
};

/* --- taint -------------------------------------------------------------------------------- */

struct taint {
	uint64_t kernel, member;
};

static int look_at_taints(struct rf_run *run, const struct rf_module_claim *m, void *ctx)
{
	const struct taint *t = ctx;
	uint64_t taints;
	char what[96];
	int err = rf_run_u64(run, m->at + t->member, &taints);

	rf_run_saw(run);
	if (err || !(taints & ~t->kernel))
		return err;
	snprintf(what, sizeof(what), "module %s", m->name);
	return rf_run_found(run, m->at, what, 0,
			    "the kernel does not say that it is tainted by it");
}

static int look_for_cleared_taint(struct rf_run *run)
{
	struct taint t;
	uint64_t mask;
	int err;

	if ((err = rf_run_symbol(run, "tainted_mask", &mask)) ||
	    (err = rf_run_u64(run, mask, &t.kernel)) ||
	    (err = rf_run_member(run, "module", "taints", 8, &t.member)))
		return err;
	return rf_run_modules(run, look_at_taints, &t);
}

const struct rf_check rf_check_taint_cleared = {
	.name = "taint-cleared",
	.summary = "the kernel says of itself that it is tainted by each module that taints it",
	.reading = "somebody cleared the mark that an unsigned or foreign module leaves",
	.attack = "T1070",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 5000,
	.reads = 1 << 15,
	.run = look_for_cleared_taint,
};
