/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Is what was exported well-formed, and one record alone, whatever stood in the record? */
#ifndef RF_TESTS_UNIT_EXPORT_CHECK_H
#define RF_TESTS_UNIT_EXPORT_CHECK_H

#include <stddef.h>

#include <jansson.h>

/* What is wrong with text, which rf_export() made of record in the format of that name; NULL:
 * nothing. text[len] is 0. */
const char *export_wrong(const char *format, json_t *record, const char *text, size_t len);

#endif
