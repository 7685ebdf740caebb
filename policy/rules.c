// SPDX-License-Identifier: LGPL-2.1-or-later
/* What rules say, and what records leave open, in words. */
#include <string.h>

#include "policy/replay.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *rule, *says;
} rules[] = {
	{ "rodata-is-never-written", "nothing writes read-only data once it is sealed" },
	{ "idt-is-never-written", "nothing writes the page of the IDT once it is sealed" },
	{ "text-patch-legal-step", "the kernel patches one of its own sites" },
	{ "text-patch-legal-instruction", "the kernel patches one of its own sites" },
	{ "text-patch-legal", "the kernel has patched its own sites with what belongs there" },
	{ "text-not-a-patch-site",
	  "the kernel never patches there, or may not by the policy's patches" },
	{ "text-illegal-step",
	  "the site is patched out of order, or must stay as it was at the seal" },
	{ "text-illegal-instruction", "the instruction or its target does not belong there" },
	{ "text-store-no-patcher-uses", "no kernel patches with such an instruction" },
	{ "text-patch-abandoned", "a patch was begun and not finished in time" },
	{ "outside-sealed-memory", "nothing sealed is touched" },
	{ "msr-set-before-seal", "the kernel sets its registers up before the seal" },
	{ "msr-keeps-its-value", "the register keeps the value that it has" },
	{ "msr-is-pinned", "the register keeps the value that it had at the seal" },
	{ "msr-of-each-cpu", "each CPU has its own value, and this one belongs there" },
	{ "msr-points-into-sealed-memory", "the host would write to sealed memory" },
	{ "msr-points-elsewhere", "the host would write to what is not sealed" },
	{ "control-register-is-pinned", "a bit that was set at the seal stays set" },
	{ "table-of-the-kernel", "Linux itself loads that table" },
	{ "table-is-foreign", "Linux never loads such a table" },
	{ "table-entry-is-forged", "Linux never makes such an entry" },
	{ "kexec-is-denied", "no other kernel than the sealed one" },
	{ "kexec-is-awaited", "another kernel may come, and is sealed in its turn" },
	{ "dma-to-sealed-memory", "a device wrote to sealed memory, and never reached it" },
	{ "handler-outside-image",
	  "a hook of the kernel's calls code that was not sealed, of no owner" },
	{ "handler-of-an-owner", "a hook of the kernel's calls code of an owner" },
	{ "check-found", "the guest's memory is as a kernel leaves it, by each check of it" },
	{ "guest-lists-end", "a list in the guest's memory did not end in time" },
	{ "kernel-not-recognised", "nothing of a kernel that is not recognised is sealed" },
	{ "measurement-as-expected", "it is what run --expect says" },
	{ "measurement-differs", "it is not what run --expect says" },
	{ "undecided", "not enough is known to call it legal" },
};

const char *rf_rule_name(size_t i)
{
	return i < COUNT(rules) ? rules[i].rule : NULL;
}

const char *rf_rule_says(const char *rule)
{
	for (size_t i = 0; i < COUNT(rules); i++)
		if (!strcmp(rules[i].rule, rule))
			return rules[i].says;
	return NULL;
}

const char *rf_replay_open_text(enum rf_replay_open o)
{
	switch (o) {
	case RF_OPEN_PATCHERS:
		return "whether it was denied because of the `patches` of the policy then: such a "
		       "patch may be legal where they allow it";
	case RF_OPEN_REGISTER:
		return "which register or bit it was: one that this policy does not pin would be "
		       "let be";
	case RF_OPEN_APPLY:
		return "whether it could be let through: it was more than one store, or one of "
		       "something unreadable, which is blocked in mode observe as well";
	case RF_OPEN_ATTACHED:
		return "which of these sites were in use at the seal already: those may go on";
	case RF_OPEN_SEEN:
		return "whether it was found by a comparison, which this policy does not make";
	}
	return "";
}
