// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Formats of text. Whatever goes out is printable ASCII first (rf_safe_dup(), "?" for all else), so
 * that no name can end a line or speak to a terminal; then the format's own characters are escaped.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/export_impl.h"
#include "cli/output.h"

/* With a backslash before each of `special`. text is printable ASCII already. */
static void put_escaped(FILE *out, const char *text, const char *special)
{
	for (; *text; text++) {
		if (strchr(special, *text))
			putc('\\', out);
		putc(*text, out);
	}
}

/* A member of the record, or nothing. */
static int put_member(FILE *out, const char *key, const struct rf_export_view *v, const char *name,
		      const char *special)
{
	const char *text = rf_export_text(v->record, name);
	char *safe;

	if (!text)
		return 0;
	safe = rf_safe_dup(text);
	if (!safe)
		return -ENOMEM;
	fputs(key, out);
	put_escaped(out, safe, special);
	free(safe);
	return 0;
}

static int end_line(FILE *out)
{
	putc('\n', out);
	return ferror(out) ? -EIO : 0;
}

/* --- CEF: "Implementing ArcSight Common Event Format", version 0 -------------- */

#define CEF_HEADER "\\|"
#define CEF_VALUE "\\="

static void put_number(FILE *out, const char *key, const json_t *number)
{
	if (number)
		fprintf(out, " %s=%lld", key, (long long)json_integer_value(number));
}

static void put_value(FILE *out, const char *key, const char *text)
{
	if (!*text)
		return;
	fprintf(out, " %s=", key);
	put_escaped(out, text, CEF_VALUE);
}

/* cs1 to cs6: what they are is said beside them. */
static void put_custom(FILE *out, int n, const char *label, const char *text)
{
	char key[8];

	if (!*text)
		return;
	snprintf(key, sizeof(key), "cs%d", n);
	fprintf(out, " %sLabel=%s", key, label);
	put_value(out, key, text);
}

static void put_time(FILE *out, const char *key, const struct rf_export_time *t)
{
	if (t->known)
		fprintf(out, " %s=%lld", key, (long long)rf_export_ms(t));
}

static int put_cef(const struct rf_export_view *v, FILE *out)
{
	struct rf_export_time first = rf_export_time(rf_export_text(v->record, "first"));
	struct rf_export_time last = rf_export_time(rf_export_text(v->record, "last"));
	int err;

	fprintf(out, "CEF:0|ringfence|ringfence|%s|", RF_VERSION);
	put_escaped(out, v->rule[0] ? v->rule : rf_export_code(v), CEF_HEADER);
	putc('|', out);
	put_escaped(out, v->row->says, CEF_HEADER);
	fprintf(out, "|%d|", v->level->cef);
	/* The extension has no space before its first key. */
	fprintf(out, "cat=");
	put_escaped(out, rf_export_code(v), CEF_VALUE);
	put_time(out, "rt", &v->time);
	put_value(out, "externalId", v->uid);
	put_value(out, "dhost", v->vm);
	put_value(out, "deviceExternalId", v->instance);
	err = put_member(out, " act=", v, "verdict", CEF_VALUE);
	if (rf_export_task(v, "pid"))
		put_value(out, "sproc", v->task);
	put_number(out, "spid", rf_export_task(v, "pid"));
	put_number(out, "suid", rf_export_task(v, "uid"));
	put_number(out, "cnt", rf_export_number(v, "count"));
	put_time(out, "start", &first);
	put_time(out, "end", &last);
	put_custom(out, 1, "rule", v->rule);
	put_custom(out, 2, "target", v->target);
	put_custom(out, 3, json_object_get(v->record, "handler") ? "handler" : "writer", v->by);
	err = err ?: put_member(out, " cs4Label=region cs4=", v, "region", CEF_VALUE);
	err = err ?: put_member(out, " cs5Label=boot_id cs5=", v, "boot_id", CEF_VALUE);
	err = err ?: put_member(out, " cs6Label=hash cs6=", v, "hash", CEF_VALUE);
	put_value(out, "msg", v->message);
	return err ?: end_line(out);
}

const struct rf_export_way rf_export_cef = { .put = put_cef };

/* --- syslog ------------------------------------------------------------------- */

#define FACILITY_AUDIT 13 /* RFC 5424, table 1 */
#define SD_VALUE "\"\\]"  /* 6.3.3 */
#define SD_NAME 32	  /* 6.3.2 */
/* The enterprise number is the one for examples (RFC 5612): there is none of the project's own. */
#define SD_ID "ringfence@32473"

/* HOSTNAME and MSGID: printable, no spaces, "-" where there is none. */
static void put_word(FILE *out, const char *text, size_t max)
{
	if (!*text)
		putc('-', out);
	for (size_t i = 0; i < max && text[i]; i++)
		putc(text[i] == ' ' ? '_' : text[i], out);
}

/* A name of letters, digits and `more`; what is none is "_". */
static void put_name(FILE *out, const char *name, size_t max, const char *more, bool upper)
{
	for (size_t i = 0; i < max && name[i]; i++) {
		int c = (unsigned char)name[i];
		bool good = isalnum(c) || strchr(more, c);

		putc(!good ? '_' : upper ? toupper(c) : c, out);
	}
}

static int put_param(void *out, const char *name, json_t *leaf)
{
	char *text = rf_export_leaf_text(leaf);

	if (!text)
		return -ENOMEM;
	putc(' ', out);
	/* A member may be called "", a parameter not. */
	put_name(out, *name ? name : "_", SD_NAME, "._-", false);
	fputs("=\"", out);
	put_escaped(out, text, SD_VALUE);
	putc('"', out);
	free(text);
	return 0;
}

static int put_syslog(const struct rf_export_view *v, FILE *out)
{
	char at[32] = "-";
	int err;

	if (v->time.known)
		rf_export_time_text(&v->time, 6, at);
	fprintf(out, "<%d>1 %s ", FACILITY_AUDIT * 8 + v->level->syslog, at);
	put_word(out, v->vm, 255);
	fputs(" ringfence - ", out);
	put_word(out, rf_export_code(v), 32);
	fputs(" [" SD_ID, out);
	err = rf_export_leaves(v->record, put_param, out);
	fprintf(out, "] %s", v->message);
	return err ?: end_line(out);
}

const struct rf_export_way rf_export_syslog = { .put = put_syslog };

/* --- the journal: systemd.io/JOURNAL_EXPORT_FORMATS ---------------------------- */

#define FIELD_NAME 64 /* the journal's own limit, prefix included */
#define FIELD_PREFIX "RINGFENCE_"

static int put_field(void *out, const char *name, json_t *leaf)
{
	char *text = rf_export_leaf_text(leaf);

	if (!text)
		return -ENOMEM;
	/* Without a newline in it, a value needs no length. */
	fputs(FIELD_PREFIX, out);
	put_name(out, name, FIELD_NAME - sizeof(FIELD_PREFIX) + 1, "_", true);
	fprintf(out, "=%s\n", text);
	free(text);
	return 0;
}

/* The run of the host and its clock; both, or neither makes sense. */
static void put_boot(const struct rf_export_view *v, FILE *out)
{
	const char *boot_id = rf_export_text(v->record, "boot_id");
	const json_t *mono = rf_export_number(v, "mono_ns");
	char id[33];
	size_t n = 0;

	for (; boot_id && *boot_id && n < 33; boot_id++)
		if (isxdigit((unsigned char)*boot_id))
			id[n++] = *boot_id;
		else if (*boot_id != '-')
			return;
	if (n != 32 || !mono || json_integer_value(mono) <= 0)
		return;
	fprintf(out, "__MONOTONIC_TIMESTAMP=%lld\n_BOOT_ID=%.32s\n",
		(long long)json_integer_value(mono) / 1000, id);
}

static int put_journal(const struct rf_export_view *v, FILE *out)
{
	int err;

	if (v->time.known)
		fprintf(out, "__REALTIME_TIMESTAMP=%lld\n",
			(long long)v->time.seconds * 1000000 + v->time.ns / 1000);
	put_boot(v, out);
	fprintf(out, "MESSAGE=%s\nPRIORITY=%d\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=ringfence\n",
		v->message, v->level->syslog, FACILITY_AUDIT);
	err = rf_export_leaves(v->record, put_field, out);
	return err ?: end_line(out);
}

const struct rf_export_way rf_export_journal = { .put = put_journal };
