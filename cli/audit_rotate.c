// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/audit_rotate.h"

#include <stdio.h>

#include "cli/control.h"
#include "cli/output.h"

#define PATIENCE_MS 10000 /* a disk that flushes slowly */

int rf_rotate_logs_of(const char *name, bool only_moved)
{
	char safe[2048];
	const char *error;
	struct rf_vm vm;
	json_t *o;
	int code = rf_vm_find(name, &vm), err;

	if (code)
		return code;
	err = rf_control_ask_within(&vm, only_moved ? "rotate-moved" : "rotate", PATIENCE_MS, &o);
	if (err)
		return rf_vm_silent(
			&vm, err,
			"whether its logs go on in new files is not known: every line is "
			"in the old or in the new one");
	error = json_string_value(json_object_get(o, "error"));
	rf_safe(safe, sizeof(safe), error ?: json_string_value(json_object_get(o, "told")) ?: "");
	json_decref(o);
	if (error)
		return rf_fail(RF_EXIT_NO, "its logs go on in their old files, and no line is lost",
			       "see to that, then ask again", "%s: %s", vm.name, safe);
	printf("%s: %s\n", vm.name, safe);
	return rf_flush();
}
