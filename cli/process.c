// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/process.h"

#include <stdio.h>
#include <string.h>

bool rf_process_stat(pid_t pid, char *state, pid_t *parent)
{
	char path[32], text[512], letter, *end;
	int above;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	/* The name may hold anything, ')' included. */
	end = strrchr(text, ')');
	if (!end || sscanf(end + 1, " %c %d", &letter, &above) != 2)
		return false;
	if (state)
		*state = letter;
	if (parent)
		*parent = above;
	return true;
}
