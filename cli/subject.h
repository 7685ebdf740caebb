/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is looked at by commands that only look: a kernel and the memory it lies in, of a dump or of
 * a VM that runs. Whoever makes one of something else fills in the same members, and the commands
 * stay as they are.
 */
#ifndef RF_CLI_SUBJECT_H
#define RF_CLI_SUBJECT_H

#include "cli/output.h"
#include "introspection/budget.h"
#include "introspection/checks/check.h"
#include "introspection/posture/posture.h"

struct rf_subject {
	const char *name;   /* as it was asked for */
	const char *format; /* "ELF core", "raw" ... */
	struct rf_kernel *kernel;
	struct rf_memory memory;     /* all of it is hostile */
	struct rf_paging paging;     /* the kernel's own page tables */
	struct rf_posture_cpu *cpus; /* their registers, where these are known */
	size_t cpu_count;
	struct rf_budget *places; /* of looking for whose an address is: rf_subject_place() */
#define RF_PLACE_READS (UINT64_C(1) << 22) /* of memory, for all answers of one command */
	bool live;			   /* it runs meanwhile */
	void *source;			   /* what memory reads from */
	void (*close)(void *source);
	/* May be NULL. RF_EXIT_OK, or the exit code of an error that ended it meanwhile, told. */
	int (*lost)(void *source);
};

/* How the operand is to be taken. */
struct rf_subject_options {
	bool raw;  /* whatever the file begins with */
	bool live; /* it is no file, but a VM that runs */
};

/* RF_EXIT_OK and *out (close it), or the exit code of an error that has been told. */
int rf_subject_open(const char *name, const struct rf_subject_options *options,
		    struct rf_subject *out);
void rf_subject_close(struct rf_subject *s);
/* The same of a VM that runs: its monitor and sweeper are asked for each page (subject_live.c). */
int rf_subject_open_live(const char *name, struct rf_subject *out);

/* -1: as many operands as there may be; else RF_EXIT_USAGE, and it has been told. */
int rf_subject_operands(const struct rf_command *c, const struct rf_operands *operands, int least,
			int most);
/* Of the operand the subject, and of it show(); operands: those behind. An exit code. */
typedef int (*rf_subject_fn)(const struct rf_subject *s, char **operands, void *ctx);
int rf_subject_show(const struct rf_operands *operands, const struct rf_subject_options *options,
		    rf_subject_fn show, void *ctx);
/* A command without options of its own: show()'s ctx is a bool, whether JSON is asked for. */
int rf_subject_command(const struct rf_command *c, int argc, char **argv, int least, int most,
		       rf_subject_fn show);
/* Prints the table, if err is 0, and destroys it; it may be NULL then. An exit code, told. */
int rf_subject_table(struct rf_listing *t, int err);
/*
 * "0xffffffff81000000", the same as kallsyms writes it, "init_task", "init_task+0x10",
 * "init_task+16". RF_EXIT_OK, or RF_EXIT_NO: no such symbol, or one without a place of its own; it
 * has been told.
 */
int rf_subject_address(const struct rf_subject *s, const char *text, rf_gva *out);
/* "init_task+0x10", "[veth]+0x10" of a module that is on the list, or "": also when
 * many have been asked for, and the guest's list is long. */
#define RF_PLACE_TEXT 160
const char *rf_subject_place(const struct rf_subject *s, rf_gva gva, char out[RF_PLACE_TEXT]);
/* What lists and checks are asked of; known may be NULL. RF_EXIT_OK and *out (rf_checks_destroy()),
 * or an exit code, told. */
int rf_subject_checks(const struct rf_subject *s, const struct rf_known *known,
		      struct rf_checks **out);
/* Behind a list that is printed. RF_EXIT_OK without err; else RF_EXIT_CANNOT_TELL, told. */
int rf_subject_complete(const char *what, int err, const char *why);
/* What every answer in JSON begins with: name and kernel. */
json_t *rf_subject_json(const struct rf_subject *s);
/* "0x..."; a new reference. */
json_t *rf_address_json(uint64_t address);

/* Says it, where somebody is at a terminal and it has said nothing for a second. */
struct rf_progress {
	int64_t since;
};
bool rf_progress_due(struct rf_progress *p);

#endif
