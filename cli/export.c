// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/export.h"

#include <errno.h>
#include <string.h>

#include "cli/export_impl.h"

const struct rf_export_format rf_export_formats[] = {
	{ "ocsf", &rf_export_ocsf },	 { "ecs", &rf_export_ecs },
	{ "falco", &rf_export_falco },	 { "cef", &rf_export_cef },
	{ "syslog", &rf_export_syslog }, { "journal", &rf_export_journal },
};
const size_t rf_export_formats_count = sizeof(rf_export_formats) / sizeof(rf_export_formats[0]);

const struct rf_export_format *rf_export_find(const char *name)
{
	for (size_t i = 0; i < rf_export_formats_count; i++)
		if (!strcmp(rf_export_formats[i].name, name))
			return &rf_export_formats[i];
	return NULL;
}

/* JSON_ENSURE_ASCII leaves a DEL as it is. There is one only in strings. */
static int put_json(const char *text, size_t len, void *out)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == 0x7f)
			fputs("\\u007f", out);
		else
			putc(text[i], out);
	return ferror(out) ? -1 : 0;
}

int rf_export(const struct rf_export_format *f, json_t *record, FILE *out)
{
	struct rf_export_view v;
	json_t *made;
	int err;

	rf_export_look(record, &v);
	if (f->way->put)
		return f->way->put(&v, out);
	made = f->way->make(&v);
	if (!made)
		return -ENOMEM;
	err = json_dump_callback(made, put_json, out, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(made);
	if (!err && putc('\n', out) == EOF)
		err = -1;
	return !err ? 0 : ferror(out) ? -EIO : -ENOMEM;
}
