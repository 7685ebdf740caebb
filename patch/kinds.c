// SPDX-License-Identifier: LGPL-2.1-or-later
#include "patch/kinds.h"

const char *rf_site_kind_text(enum rf_site_kind kind)
{
	static const char *const names[RF_SITE_KINDS] = {
		[RF_SITE_JUMP_LABEL] = "jump_label",
		[RF_SITE_STATIC_CALL] = "static_call",
		[RF_SITE_STATIC_TRAMP] = "static_call_trampoline",
		[RF_SITE_FTRACE] = "ftrace",
		[RF_SITE_FTRACE_CALL] = "ftrace_call",
		[RF_SITE_KPROBE] = "kprobe",
		[RF_SITE_SMP_LOCK] = "smp_lock",
		[RF_SITE_KGDB] = "kgdb",
		[RF_SITE_CALL_THUNK] = "call_thunk",
	};

	return (unsigned int)kind < RF_SITE_KINDS && names[kind] ? names[kind] : "unknown";
}
