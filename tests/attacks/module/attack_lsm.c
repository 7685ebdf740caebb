// SPDX-License-Identifier: GPL-2.0-only
/*
 * A security module's hook taken out by the kernel's own interfaces: its key switched off, or its
 * call sent to a function of this module. The hook is the first that capable() asks.
 */
#include <linux/static_call.h>
#include <linux/string.h>

#include "poke.h"

#define HOOK "capable_0"
#define FUNCTION "security_capable"

/* Those that have static calls, as Kbuild sees, must show them. */
static bool in_lists(struct rf_report *r)
{
#ifdef RF_HAVE_LSM_STATIC_CALL
	return false;
#else
	rf_skip(r, "this kernel has its security hooks in lists");
	return true;
#endif
}

/* As where the text was not changed: the kernel believes that it was, and is told otherwise. */
static void judge(struct rf_report *r)
{
	r->outcome = memcmp(r->at, r->before, r->len) ? RF_LANDED : RF_UNCHANGED;
}

void attack_lsm_key_off(struct rf_report *r)
{
	struct static_key *key = rf_symbol("security_hook_active_" HOOK);

	if (in_lists(r) || !key || !rf_key_site(r, FUNCTION, key))
		return;
	static_key_disable(key);
	judge(r);
	if (r->outcome == RF_LANDED)
		static_key_enable(key);
	else
		atomic_set(&key->enabled, 1);
	if (memcmp(r->at, r->before, r->len))
		rf_kept(r, "text", false);
}

static int forged_capable(void)
{
	return 0;
}

void attack_lsm_call_moved(struct rf_report *r)
{
	struct static_call_key *key = rf_symbol("__SCK__lsm_static_call_" HOOK);
	void *trampoline = rf_symbol("__SCT__lsm_static_call_" HOOK), *before;

	if (in_lists(r) || !key || !trampoline)
		return;
	if (!rf_call_site(r, FUNCTION, "__SCK__lsm_static_call_" HOOK))
		return;
	before = key->func;
	__static_call_update(key, trampoline, forged_capable);
	judge(r);
	if (r->outcome == RF_LANDED)
		__static_call_update(key, trampoline, before);
	else
		WRITE_ONCE(key->func, before);
	if (memcmp(r->at, r->before, r->len))
		rf_kept(r, "text", false);
}
