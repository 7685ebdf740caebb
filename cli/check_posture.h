/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `ringfence check posture`: which protections of its own a kernel has, and which are on. */
#ifndef RF_CLI_CHECK_POSTURE_H
#define RF_CLI_CHECK_POSTURE_H

#include "cli/subject.h"
#include "introspection/posture/posture.h"

struct rf_posture_options {
	struct rf_subject_options how;
	bool json;
	const char *other; /* a second dump that FILE is compared with; NULL: none */
};

/* operands: those behind the word; c says what is wrong with them. An exit code. */
int rf_check_posture(const struct rf_command *c, const struct rf_operands *operands,
		     const struct rf_posture_options *options);
/* The rows themselves. */
int rf_check_posture_list(bool json);

/* Of one dump, or of each of two. */
struct rf_posture_report {
	char *name, *kernel, *format;
	struct rf_posture_fact *facts; /* of each row, in their order */
	size_t count;
	size_t states[RF_POSTURE_UNKNOWN + 1]; /* rows, by state */
};

/* posture_show.c: RF_EXIT_OK or an error that has been told. */
int rf_posture_print(const struct rf_posture_report *r, bool json);
/* *differ: rows that do. */
int rf_posture_print_diff(const struct rf_posture_report *a, const struct rf_posture_report *b,
			  bool json, size_t *differ);
int rf_posture_print_rows(bool json);

#endif
