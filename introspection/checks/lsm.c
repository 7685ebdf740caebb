// SPDX-License-Identifier: LGPL-2.1-or-later
/* Security modules (security/security.c): who is asked whether something may be done. All of them
 * are part of the image; BPF's are behind functions of the image too. */
#include <errno.h>

#include "introspection/checks/families.h"
#include "introspection/checks/inside.h"

struct hooks {
	uint64_t hook, link;		  /* of struct security_hook_list */
	uint64_t list, key, func, active; /* of struct lsm_static_call and its key */
	uint64_t enabled;		  /* of struct static_key */
};

static int look_at_target(struct rf_run *run, uint64_t at, const char *what)
{
	uint64_t target;
	int err = rf_run_u64(run, at, &target);

	return err ? err : rf_run_core_code(run, at, target, what);
}

static int look_at_hook(struct rf_run *run, uint64_t hook, void *ctx)
{
	return look_at_target(run, hook + ((const struct hooks *)ctx)->hook, "LSM hook");
}

/* To 6.11: struct security_hook_heads, a hlist_head for each hook. */
static int look_at_heads(struct rf_run *run, struct hooks *h)
{
	uint64_t heads, bytes;
	int err;

	if ((err = rf_run_symbol(run, "security_hook_heads", &heads)) ||
	    (err = rf_run_sizeof(run, "security_hook_heads", &bytes)) ||
	    (err = rf_run_member(run, "security_hook_list", "list", 16, &h->link)))
		return err;
	for (uint64_t at = 0; !err && at + 8 <= bytes; at += 8)
		err = rf_run_hlist(run, heads + at, h->link, look_at_hook, h);
	return err;
}

/* Each call has a static key, and is left out where that is off (security_init() sets them). */
static int look_at_key(struct rf_run *run, const struct hooks *h, uint64_t at, uint64_t hook)
{
	uint64_t active, target;
	uint32_t enabled;
	int err;

	if ((err = rf_run_u64(run, at + h->active, &active)) ||
	    (err = rf_run_u32(run, active + h->enabled, &enabled)) || enabled ||
	    (err = rf_run_u64(run, hook + h->hook, &target)))
		return err;
	return rf_run_found(run, active, "static key of an LSM hook", target,
			    "the hook is switched off, so nobody asks it");
}

static int look_at_call(struct rf_run *run, struct hooks *h, uint64_t at)
{
	uint64_t hook, key;
	int err = rf_run_u64(run, at + h->list, &hook);

	if (err || !hook) /* nobody has that one */
		return err;
	err = look_at_hook(run, hook, h);
	if (!err)
		err = rf_run_u64(run, at + h->key, &key);
	if (!err)
		err = look_at_target(run, key + h->func, "static call of an LSM hook");
	return err ? err : look_at_key(run, h, at, hook);
}

/* From 6.12 on: struct lsm_static_calls_table, an array of calls for each hook. */
static int look_at_calls(struct rf_run *run, uint64_t table, struct hooks *h)
{
	uint64_t each, bytes;
	int err;

	if ((err = rf_run_sizeof(run, "lsm_static_call", &each)) ||
	    (err = rf_run_sizeof(run, "lsm_static_calls_table", &bytes)) ||
	    (err = rf_run_member(run, "lsm_static_call", "hl", 8, &h->list)) ||
	    (err = rf_run_member(run, "lsm_static_call", "key", 8, &h->key)) ||
	    (err = rf_run_member(run, "lsm_static_call", "active", 8, &h->active)) ||
	    (err = rf_run_member(run, "static_key_false", "key.enabled", 4, &h->enabled)) ||
	    (err = rf_run_member(run, "static_call_key", "func", 8, &h->func)))
		return err;
	for (uint64_t at = 0; !err && each && at + each <= bytes; at += each)
		err = look_at_call(run, h, table + at);
	return err;
}

static int look_at_lsm_hooks(struct rf_run *run)
{
	struct hooks h = { 0 };
	uint64_t table;
	int err = rf_run_member(run, "security_hook_list", "hook", 8, &h.hook);

	if (err)
		return err;
	return rf_run_symbol(run, "static_calls_table", &table) ? look_at_heads(run, &h)
								: look_at_calls(run, table, &h);
}

const struct rf_check rf_check_lsm_hooks = {
	.name = "lsm-hooks",
	.summary = "hooks of security modules are switched on, and lie in the kernel's own text",
	.reading = "who decides what is allowed is somebody else's code, or is not asked",
	.attack = "T1562.001",
	.severity = RF_SEVERITY_CRITICAL,
	.front_door = true,
	.period_ms = 1000,
	.reads = 1 << 15,
	.run = look_at_lsm_hooks,
};
