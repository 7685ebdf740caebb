// SPDX-License-Identifier: LGPL-2.1-or-later
/* What each kind of record is in the words of others. tests/cli/export.py compares the kinds with
 * those that the monitor writes, and the classes and activities with the schema. */
#include <string.h>

#include "cli/export_impl.h"
#include "policy/audit.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Of several that fit the first one counts. */
static const struct rf_export_row rows[] = {
	/* clang-format off */
	/* Stores. */
	{ "decision", "write", 0, NULL, "store to sealed memory",
	  RF_OCSF_MEMORY, 8, "Write", RF_EXPORT_HIGH, false },
	{ "decision", "emulation", 0, NULL, "instruction with an operand in sealed memory",
	  RF_OCSF_MEMORY, 8, "Write", RF_EXPORT_HIGH, false },
	{ "decision", "delivery", 0, NULL, "event frame to sealed memory",
	  RF_OCSF_MEMORY, 8, "Write", RF_EXPORT_HIGH, false },
	{ "decision", "dma", 0, NULL, "device write to a sealed address",
	  RF_OCSF_MEMORY, 8, "Write", RF_EXPORT_HIGH, false },
	{ "decision", "patches", 0, NULL, "text patches of the kernel's own",
	  RF_OCSF_MEMORY, 8, "Write", RF_EXPORT_HIGH, true },
	{ "decision", "patch", RF_EXPORT_BARE, "patched before the seal", "text patched before the seal",
	  RF_OCSF_FINDING, 1, "Create", RF_EXPORT_MEDIUM, true },
	{ "decision", "patch", RF_EXPORT_BARE, NULL, "patch sites not known",
	  RF_OCSF_FINDING, 1, "Create", RF_EXPORT_MEDIUM, false },
	{ "decision", "patch", 0, NULL, "text patch left half way",
	  RF_OCSF_MEMORY, 8, "Write", RF_EXPORT_MEDIUM, false },
	/* Registers. */
	{ "decision", "msr", 0, NULL, "write to a model-specific register",
	  RF_OCSF_KERNEL, RF_OCSF_OTHER, "Load register", RF_EXPORT_HIGH, false },
	{ "decision", "control-register", 0, NULL, "pinned bit of a control register",
	  RF_OCSF_KERNEL, RF_OCSF_OTHER, "Load register", RF_EXPORT_HIGH, false },
	{ "decision", "table", RF_EXPORT_BARE, NULL, "descriptor tables not watched",
	  RF_OCSF_FINDING, 1, "Create", RF_EXPORT_HIGH, false },
	{ "decision", "table", 0, NULL, "descriptor table",
	  RF_OCSF_KERNEL, RF_OCSF_OTHER, "Load register", RF_EXPORT_HIGH, false },
	{ "decision", "kexec", 0, NULL, "start of another kernel",
	  RF_OCSF_KERNEL, 4, "Invoke", RF_EXPORT_HIGH, false },
	/* What was found. */
	{ "decision", "hook", 0, NULL, "handler outside the sealed kernel",
	  RF_OCSF_FINDING, 1, "Create", RF_EXPORT_MEDIUM, false },
	{ "decision", "check", 0, NULL, "finding of a check of the guest's memory",
	  RF_OCSF_FINDING, 1, "Create", RF_EXPORT_HIGH, false },
	{ "decision", "measure", 0, NULL, "measurement of sealed memory",
	  RF_OCSF_FINDING, 1, "Create", RF_EXPORT_HIGH, true },
	{ "decision", "endless", 0, NULL, "guest lists that do not end",
	  RF_OCSF_FINDING, 1, "Create", RF_EXPORT_MEDIUM, false },
	{ "decision", "unsealed", 0, NULL, "kernel runs without a seal",
	  RF_OCSF_FINDING, 1, "Create", RF_EXPORT_CRITICAL, false },
	/* The protection's life. */
	{ "decision", "kernel", RF_EXPORT_BARE, "found", "kernel found",
	  RF_OCSF_LIFECYCLE, RF_OCSF_OTHER, "Find kernel", RF_EXPORT_HIGH, true },
	{ "decision", "kernel", 0, NULL, "kernel not protected in time, or not at all",
	  RF_OCSF_FINDING, 1, "Create", RF_EXPORT_CRITICAL, false },
	{ "decision", "seal", 0, "nothing is sealed", "kernel not sealed",
	  RF_OCSF_FINDING, 1, "Create", RF_EXPORT_CRITICAL, false },
	{ "decision", "seal", 0, "not sealed", "kernel not sealed",
	  RF_OCSF_FINDING, 1, "Create", RF_EXPORT_CRITICAL, false },
	{ "decision", "seal", RF_EXPORT_DETAIL, NULL, "region sealed, with a remark",
	  RF_OCSF_LIFECYCLE, 6, "Enable", RF_EXPORT_MEDIUM, false },
	{ "decision", "seal", 0, NULL, "region sealed",
	  RF_OCSF_LIFECYCLE, 6, "Enable", RF_EXPORT_MEDIUM, true },
	{ "decision", "traps", 0, NULL, "traps planted",
	  RF_OCSF_LIFECYCLE, 6, "Enable", RF_EXPORT_MEDIUM, true },
	{ "decision", "reset", 0, NULL, "seals released",
	  RF_OCSF_LIFECYCLE, 7, "Disable", RF_EXPORT_MEDIUM, true },
	{ "decision", "load", 0, "still sealed", "state of the sealed kernel loaded",
	  RF_OCSF_LIFECYCLE, RF_OCSF_OTHER, "Load state", RF_EXPORT_MEDIUM, true },
	{ "decision", "load", 0, NULL, "what was loaded may not run",
	  RF_OCSF_FINDING, 1, "Create", RF_EXPORT_CRITICAL, false },
	{ "decision", "policy", 0, "taken", "another policy taken",
	  RF_OCSF_LIFECYCLE, 8, "Update", RF_EXPORT_HIGH, true },
	{ "decision", "policy", 0, "in force", "another policy than the first is in force",
	  RF_OCSF_LIFECYCLE, 8, "Update", RF_EXPORT_HIGH, true },
	{ "decision", "policy", 0, NULL, "another policy not taken, or not in force",
	  RF_OCSF_FINDING, 1, "Create", RF_EXPORT_HIGH, false },
	{ "decision", "sweeper", 0, "started again", "sweeper started again",
	  RF_OCSF_LIFECYCLE, 5, "Restart", RF_EXPORT_MEDIUM, false },
	{ "decision", "sweeper", 0, NULL, "sweeper not at work",
	  RF_OCSF_LIFECYCLE, RF_OCSF_OTHER, "Lose sweeper", RF_EXPORT_HIGH, false },
	{ "decision", "control-watch", 0, "back", "CR0 and CR4 watched again",
	  RF_OCSF_LIFECYCLE, 6, "Enable", RF_EXPORT_MEDIUM, true },
	{ "decision", "control-watch", 0, NULL, "CR0 and CR4 not watched any more",
	  RF_OCSF_LIFECYCLE, 7, "Disable", RF_EXPORT_HIGH, false },
	{ "decision", "monitor", 0, RF_OUTCOME_ENDED, "VM ended",
	  RF_OCSF_LIFECYCLE, 4, "Stop", RF_EXPORT_CRITICAL, false },
	{ "decision", "monitor", 0, "recorded twice", "a decision counted once more",
	  RF_OCSF_LIFECYCLE, RF_OCSF_OTHER, "Count again", RF_EXPORT_MEDIUM, true },
	{ "decision", "monitor", 0, NULL, "monitor's own trouble",
	  RF_OCSF_LIFECYCLE, RF_OCSF_OTHER, "Report trouble", RF_EXPORT_HIGH, false },
	/* Lines that are no decision. A folded one is its kind's, above. */
	{ "folded", "other", 0, NULL, "decisions of many kinds, counted alone",
	  RF_OCSF_FINDING, 1, "Create", RF_EXPORT_HIGH, false },
	{ "outcome", NULL, 0, "ok", "verdict carried out",
	  RF_OCSF_BASE, RF_OCSF_OTHER, "Outcome", RF_EXPORT_CRITICAL, true },
	{ "outcome", NULL, 0, NULL, "verdict not carried out",
	  RF_OCSF_FINDING, 1, "Create", RF_EXPORT_CRITICAL, false },
	{ "unwritten", NULL, 0, NULL, "log took no line for a time",
	  RF_OCSF_FINDING, 1, "Create", RF_EXPORT_HIGH, false },
	{ "gap", NULL, 0, NULL, "lines are missing from the log",
	  RF_OCSF_FINDING, 1, "Create", RF_EXPORT_CRITICAL, false },
	{ "rotated", NULL, 0, NULL, "the log goes on in another file",
	  RF_OCSF_BASE, RF_OCSF_OTHER, "Rotated", RF_EXPORT_INFO, true },
	{ "continued", NULL, 0, NULL, "the lines before it are in another file",
	  RF_OCSF_BASE, RF_OCSF_OTHER, "Continued", RF_EXPORT_INFO, true },
	{ "checkpoint", NULL, 0, NULL, "signature of the log until here",
	  RF_OCSF_BASE, RF_OCSF_OTHER, "Checkpoint", RF_EXPORT_INFO, true },
	{ "end", NULL, 0, NULL, "VM and monitor ended",
	  RF_OCSF_LIFECYCLE, 4, "Stop", RF_EXPORT_INFO, true },
	/* clang-format on */
};

/* What this release does not know may be an alert of a newer one. */
static const struct rf_export_row unknown = {
	.says = "record of a kind that this release does not know",
	.class = RF_OCSF_BASE,
	.activity = 0,
	.activity_name = "Unknown",
	.alert = RF_EXPORT_MEDIUM,
};

static bool fits(const struct rf_export_row *row, const json_t *record, const char *type)
{
	const char *kind = rf_export_text(record, "kind");
	const char *how =
		rf_export_text(record, strcmp(type, "outcome") != 0 ? "outcome" : "status");

	return !strcmp(row->type, type) && (!row->kind || (kind && !strcmp(row->kind, kind))) &&
	       (row->when == RF_EXPORT_ANY || !rf_export_text(record, "verdict")) &&
	       (row->when != RF_EXPORT_DETAIL || rf_export_text(record, "detail")) &&
	       (!row->begins || (how && !strncmp(how, row->begins, strlen(row->begins))));
}

static const struct rf_export_row *find(const json_t *record, const char *type)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		if (fits(&rows[i], record, type))
			return &rows[i];
	return NULL;
}

const struct rf_export_row *rf_export_row(const json_t *record)
{
	const char *type = rf_export_text(record, "type");
	const struct rf_export_row *row = type ? find(record, type) : NULL;

	if (!row && type && !strcmp(type, "folded"))
		row = find(record, "decision");
	return row ? row : &unknown;
}

const struct rf_export_level *rf_export_level(enum rf_export_severity s)
{
	static const struct rf_export_level levels[] = {
		[RF_EXPORT_INFO] = { 1, "Informational", 2, 6, "Informational" },
		[RF_EXPORT_MEDIUM] = { 3, "Medium", 5, 4, "Warning" },
		[RF_EXPORT_HIGH] = { 4, "High", 8, 3, "Error" },
		[RF_EXPORT_CRITICAL] = { 5, "Critical", 10, 2, "Critical" },
	};

	return &levels[s];
}

const struct rf_export_verdict *rf_export_verdict(const char *word)
{
	static const struct rf_export_verdict words[] = {
		{ "allowed", 1, "Allowed", 1, "Allowed", "allowed" },
		{ "blocked", 2, "Denied", 2, "Blocked", "denied" },
		/* Neither was it denied nor let be: it was set right. */
		{ "undone", 4, "Modified", 11, "Corrected", "info" },
		{ "detected", 3, "Observed", 15, "Detected", "info" },
	};
	/* "any", of what was counted without its verdict; or a newer release's. */
	static const struct rf_export_verdict other = { "other", 99, NULL, 99, NULL, "info" };

	for (size_t i = 0; word && i < COUNT(words); i++)
		if (!strcmp(words[i].word, word))
			return &words[i];
	return word ? &other : NULL;
}
