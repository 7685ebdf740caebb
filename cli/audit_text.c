// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/audit_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void rf_place_text(const json_t *o, char *out, size_t size)
{
	const char *symbol = json_string_value(json_object_get(o, "symbol"));
	const char *offset = json_string_value(json_object_get(o, "offset"));
	const char *addr = json_string_value(json_object_get(o, "addr"));
	const char *module = json_string_value(json_object_get(o, "module"));
	/* What has no symbol in a module is named "[module]" already. */
	bool tail = module && !(symbol && symbol[0] == '[');

	if (!symbol)
		symbol = addr ? addr : "-";
	else if (offset && !strcmp(offset, "0x0"))
		offset = NULL;
	if (symbol == addr)
		offset = NULL;
	snprintf(out, size, "%s%s%s%s%s%s", symbol, offset ? "+" : "", offset ? offset : "",
		 tail ? " [" : "", tail ? module : "", tail ? "]" : "");
}
