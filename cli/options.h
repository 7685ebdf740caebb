/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options of a command out of one table: --name VALUE, --name=VALUE, -n VALUE; "--" ends them.
 * Nothing is printed. */
#ifndef RF_CLI_OPTIONS_H
#define RF_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rf_option_kind { RF_OPTION_FLAG = 1, RF_OPTION_TEXT, RF_OPTION_NUMBER, RF_OPTION_LIST };

/* What was given more than once. */
#define RF_OPTION_LIST_MAX 32
struct rf_option_list {
	const char *items[RF_OPTION_LIST_MAX];
	unsigned int count;
};

#define RF_OPTIONS_MAX 64 /* in a table; what stands behind them is no option */
struct rf_option {
	const char *name; /* without the dashes; NULL ends the table */
	char letter;	  /* short form, 0 none */
	enum rf_option_kind kind;
	void *value; /* bool *, const char **, uint32_t * or rf_option_list *: keeps its default
			when not given */
	uint32_t min, max; /* of a number, inclusive */
};

struct rf_operands {
	char **items; /* into argv, NULL-terminated */
	int count;
	bool help; /* --help or -h was there: nothing else counts then */
};

/*
 * Reads argv[1..argc). With `command` true the first operand ends the options, as what follows is
 * another program's command line; else options may stand behind operands, and argv is put in order.
 * A text or a number that is given twice is an error; a flag is not.
 * 0, or -EINVAL with `why` saying what is wrong; values of options read until then are set.
 */
int rf_options_parse(const struct rf_option *table, bool command, int argc, char **argv, char *why,
		     size_t why_size, struct rf_operands *out);

#endif
