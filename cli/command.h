/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of commands.
 *
 * To add a command: one file cli/NAME.c with a const struct rf_command, its line in cli/build.mk,
 * one row in cli/commands.c, one section in docs/ringfence.1.scd.
 */
#ifndef RF_CLI_COMMAND_H
#define RF_CLI_COMMAND_H

#define RF_VERSION "0.1.0"

struct rf_command {
	const char *name;
	const char *usage;   /* what follows the name on the usage line */
	const char *summary; /* one line for the overview */
	const char *help;    /* options and what they do, lines of at most 80 columns */
	int (*run)(int argc,
		   char **argv); /* argv[0] is the command's name; returns an enum rf_exit */
};

/* Ends with a NULL. */
extern const struct rf_command *const rf_commands[];
extern const struct rf_command rf_command_run, rf_command_list, rf_command_status,
	rf_command_gadgets, rf_command_measure, rf_command_audit, rf_command_doctor,
	rf_command_demo, rf_command_policy, rf_command_stop, rf_command_watch, rf_command_check,
	rf_command_ps, rf_command_modules, rf_command_symbols, rf_command_disas,
	rf_command_pagetable, rf_command_print, rf_command_hooks, rf_command_dump;

#endif
