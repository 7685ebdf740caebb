// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/audit_export.h"

#include <stdio.h>
#include <string.h>

#include "cli/audit_follow.h"
#include "cli/audit_log.h"
#include "cli/export.h"
#include "cli/output.h"

struct exporting {
	const struct rf_export_format *format;
	const char *path;
	/* Lines that are no records since the last one that is. */
	uint64_t first_broken, last_broken;
	bool damaged; /* and no next line said that a crash left them */
};

static void is_broken(void *ctx, uint64_t line)
{
	struct exporting *e = ctx;

	if (!e->first_broken)
		e->first_broken = line;
	e->last_broken = line;
}

static void tell(struct exporting *e, const char *what)
{
	unsigned long long first = e->first_broken, last = e->last_broken;

	fflush(stdout);
	if (first == last)
		rf_say("%s, line %llu: %s", e->path, first, what);
	else
		rf_say("%s, lines %llu to %llu: %s", e->path, first, last, what);
	e->first_broken = 0;
}

static void tell_damage(struct exporting *e)
{
	e->damaged = true;
	tell(e, "no record, and not exported");
}

static int print_exported(void *ctx, json_t *record)
{
	struct exporting *e = ctx;

	if (e->first_broken && json_is_true(json_object_get(record, "after_torn")))
		tell(e, "torn, as the next record says");
	else if (e->first_broken)
		tell_damage(e);
	return rf_export(e->format, record, stdout);
}

static int no_format(const char *format)
{
	char names[128] = "";

	for (size_t i = 0; i < rf_export_formats_count; i++)
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
			 i ? ", " : "", rf_export_formats[i].name);
	if (!format)
		return rf_fail(RF_EXIT_USAGE, "nothing was done",
			       "write `ringfence audit export --format ocsf NAME`",
			       "audit: `export` needs --format: %s", names);
	return rf_fail(RF_EXIT_USAGE, "nothing was done", "see `ringfence audit --help`",
		       "audit: \"%s\" is no format; there are %s", format, names);
}

/* The last line may be half a line, which is being written, or never will be. */
static int finish(struct exporting *e, struct rf_log *log, int *code)
{
	uint64_t before = log->unreadable;
	int err;

	log->broken = NULL;
	err = rf_log_finish(log, print_exported, e);
	if (e->first_broken)
		tell_damage(e);
	if (log->unreadable > before)
		rf_say("%s: the last line is not whole, and not exported: it is being written, or "
		       "was torn",
		       e->path);
	*code = e->damaged ? RF_EXIT_NO : log->unreadable > before ? RF_EXIT_OPEN_END : RF_EXIT_OK;
	return err;
}

int rf_audit_export(const char *path, uid_t owner, const char *format, bool following)
{
	struct exporting e = { .format = format ? rf_export_find(format) : NULL, .path = path };
	int err, code = RF_EXIT_OK;
	struct rf_follow follow;
	struct rf_log log;

	if (!e.format)
		return no_format(format);
	err = rf_log_open(path, owner, &log);
	if (err)
		return rf_fail(RF_EXIT_NOT_FOUND, "nothing was exported",
			       "give a VM's name (see `ringfence list`) or the path of a log",
			       "cannot read the log %s: %s", path, rf_log_problem(err));
	rf_log_whole(&log);
	log.broken = is_broken;
	if (following)
		rf_follow_begin(&follow, &log);
	err = rf_log_read(&log, print_exported, &e);
	if (!err && following)
		err = rf_audit_follow(&follow, print_exported, &e);
	else if (!err)
		err = finish(&e, &log, &code);
	if (following && (rf_follow_end(&follow) || e.damaged))
		code = RF_EXIT_NO;
	rf_log_close(&log);
	if (err)
		return rf_fail(RF_EXIT_INTERNAL, "what was printed is not complete", "run it again",
			       "exporting %s stopped: %s", path, strerror(-err));
	return rf_flush() ?: code;
}
