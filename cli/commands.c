// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stddef.h>

#include "cli/command.h"

const struct rf_command *const rf_commands[] = {
	&rf_command_run,       &rf_command_list,    &rf_command_status,
	&rf_command_gadgets,   &rf_command_measure, &rf_command_audit,
	&rf_command_policy,    &rf_command_stop,    &rf_command_watch,
	&rf_command_check,     &rf_command_hooks,   &rf_command_ps,
	&rf_command_modules,   &rf_command_symbols, &rf_command_disas,
	&rf_command_pagetable, &rf_command_print,   &rf_command_dump,
	&rf_command_doctor,    &rf_command_demo,    NULL,
};
