// SPDX-License-Identifier: LGPL-2.1-or-later
/* Records that count the kernel's own patches, which were let: what a policy denies of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/replay_impl.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Kinds of site as records count them, the words that deny them, and how a denied one is judged.
 * monitor/patches.c has the same by number. */
static const struct patcher {
	const char *site;
	uint32_t words; /* bits 1 << enum rf_patch_word, as in denied_patches */
	enum rf_fact_patch patch;
} patchers[] = {
	{ "jump_label", 1u << RF_PATCH_WORD_JUMP_LABELS, RF_FACT_PATCH_ILLEGAL_STEP },
	{ "static_call", 1u << RF_PATCH_WORD_STATIC_CALLS, RF_FACT_PATCH_ILLEGAL_STEP },
	{ "static_call_trampoline", 1u << RF_PATCH_WORD_STATIC_CALLS, RF_FACT_PATCH_ILLEGAL_STEP },
	{ "ftrace", 1u << RF_PATCH_WORD_FTRACE, RF_FACT_PATCH_ILLEGAL_STEP },
	{ "ftrace_call", 1u << RF_PATCH_WORD_FTRACE, RF_FACT_PATCH_ILLEGAL_STEP },
	{ "kprobe", 1u << RF_PATCH_WORD_KPROBES, RF_FACT_PATCH_NOT_A_SITE },
	/* What runs a probe is an int3, whoever has put it there. */
	{ "kgdb", 1u << RF_PATCH_WORD_KPROBES | 1u << RF_PATCH_WORD_KGDB,
	  RF_FACT_PATCH_NOT_A_SITE },
};

/* How many of a kind a record counts: "ftrace 12, jump_label 3". */
static unsigned long long counted(const char *detail, const char *site)
{
	size_t len = strlen(site);

	for (const char *at = detail; *at; at += strcspn(at, ",")) {
		at += strspn(at, ", ");
		if (!strncmp(at, site, len) && at[len] == ' ')
			return strtoull(at + len + 1, NULL, 10);
	}
	return 0;
}

static unsigned long long counted_all(const char *detail)
{
	unsigned long long n = 0;

	for (const char *at = detail; *at; at += strcspn(at, ",")) {
		at += strspn(at, ", ");
		n += strtoull(at + strcspn(at, " ,"), NULL, 10);
	}
	return n;
}

/* The key of the first of these words. */
static const struct rf_key *denying(uint32_t patch_words)
{
	enum rf_patch_word w = 0;

	while (!(patch_words >> w & 1))
		w++;
	return rf_key_find("patches", rf_patch_word_text(w));
}

void rf_replay_patches(const json_t *record, const struct rf_policy *p, struct rf_replay *out)
{
	const struct rf_facts legal = { .kind = RF_FACT_WRITE,
					.region = RF_FACT_REGION_TEXT,
					.patch = RF_FACT_PATCH_DONE };
	const char *detail = rf_replay_member(record, "detail");
	unsigned long long all = counted_all(detail), denied = 0;
	struct rf_decision d;

	snprintf(out->was, sizeof(out->was), "%s", rf_replay_member(record, "verdict"));
	out->what = RF_REPLAY_DECIDED;
	out->key = rf_replay_off(p, "seal", "text");
	if (out->key) {
		out->what = RF_REPLAY_NO_EVENT;
		return;
	}
	for (size_t i = 0; i < COUNT(patchers); i++) {
		const struct rf_facts f = { .kind = RF_FACT_WRITE,
					    .region = RF_FACT_REGION_TEXT,
					    .patch = patchers[i].patch };
		unsigned long long n = counted(detail, patchers[i].site);

		if (!n || !(p->denied_patches & patchers[i].words) || rf_policy_decide(p, &f, &d))
			continue;
		rf_replay_add(out, &d);
		denied += n;
		out->key = denying(p->denied_patches & patchers[i].words);
		out->open |= RF_OPEN_ATTACHED;
	}
	out->events = all ?: 1;
	out->of_those = denied ?: out->events;
	if (!denied && !rf_policy_decide(p, &legal, &d))
		rf_replay_add(out, &d);
}
