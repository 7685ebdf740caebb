// SPDX-License-Identifier: LGPL-2.1-or-later
#include <ctype.h>
#include <string.h>

#include "policy/name.h"

bool rf_name_valid(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > RF_NAME_MAX || name[0] == '.' || name[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isascii(name[i]) ||
		    !(isalnum((unsigned char)name[i]) || strchr("_-.", name[i])))
			return false;
	return true;
}
