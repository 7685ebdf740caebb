// SPDX-License-Identifier: LGPL-2.1-or-later
/* Kinds of hooks by name, and which hook is no news. Pure. */
#include <string.h>

#include "introspection/patches/hooks.h"

const char *rf_hook_text(enum rf_hook_kind kind)
{
	static const char *const text[] = {
		[RF_HOOK_FTRACE] = "ftrace",	     [RF_HOOK_FPROBE] = "fprobe",
		[RF_HOOK_LIVEPATCH] = "livepatch",   [RF_HOOK_DIRECT] = "ftrace-direct",
		[RF_HOOK_KPROBE] = "kprobe",	     [RF_HOOK_KRETPROBE] = "kretprobe",
		[RF_HOOK_TRACEPOINT] = "tracepoint", [RF_HOOK_STATIC_CALL] = "static-call",
		[RF_HOOK_UNLISTED] = "unlisted",     [RF_HOOK_STRAY] = "stray-probe",
	};

	return (unsigned int)kind < RF_HOOK_KINDS ? text[kind] : NULL;
}

bool rf_hook_is_usual(const struct rf_hook *hook, const char *function, const char *module)
{
	static const char perf[] = "__SCK____perf_guest_"; /* _state, _get_ip, ... */

	return hook->kind == RF_HOOK_STATIC_CALL && !strcmp(module, "kvm") &&
	       !strncmp(function, perf, sizeof(perf) - 1);
}
