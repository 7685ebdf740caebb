/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records of the audit log in the formats of others. The log's own line is the record; what is made
 * of it here can be made again, by this release or a later one, and has no hash of its own.
 *
 * Each string in a record may come from a hostile guest, and the record itself from anybody: JSON
 * goes out as ASCII with escapes, text as printable ASCII alone with the format's own escapes.
 *
 * To add a format: a function and a row in export.c, its name in docs/ringfence.1.scd and
 * completions/ringfence.bash. To add a kind of record: a row in export_rows.c.
 */
#ifndef RF_CLI_EXPORT_H
#define RF_CLI_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

struct rf_export_format {
	const char *name;
	const struct rf_export_way *way; /* cli/export_impl.h */
};

extern const struct rf_export_format rf_export_formats[];
extern const size_t rf_export_formats_count;

/* NULL: there is none of this name. */
const struct rf_export_format *rf_export_find(const char *name);

/* Is a person to look at it? A verdict other than allowed, or a line that is no everyday one
 * (docs/ringfence.1.scd, AUDIT, says of which). */
bool rf_export_is_alert(const json_t *record);

/*
 * Writes one record, an object: exactly one line, of the journal's format one entry with the empty
 * line that ends it. record stays the caller's. 0, -ENOMEM, or -EIO: out took less.
 */
int rf_export(const struct rf_export_format *f, json_t *record, FILE *out);

#endif
