// SPDX-License-Identifier: LGPL-2.1-or-later
/* What another user's monitor answers: of whatever is read as JSON, no text and no name has a byte
 * that a terminal obeys once it is made safe. */
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at_text(const char *text)
{
	for (; *text; text++)
		if (*text < 0x20 || *text > 0x7e)
			abort();
}

static void look_at(json_t *v)
{
	const char *name;
	json_t *member;
	size_t i;

	if (json_is_string(v))
		look_at_text(json_string_value(v));
	json_array_foreach(v, i, member) look_at(member);
	json_object_foreach(v, name, member)
	{
		look_at_text(name);
		look_at(member);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *v = json_loadb((const char *)data, size, 0, NULL), *safe;

	if (!v)
		return 0;
	safe = rf_safe_json(v);
	if (!safe || json_typeof(safe) != json_typeof(v))
		abort();
	look_at(safe);
	json_decref(safe);
	json_decref(v);
	return 0;
}
