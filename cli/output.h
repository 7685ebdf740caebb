/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a person sees. Results go to stdout, everything else to stderr, or where `run` was told
 * to. What a guest, or a VMM, has made up is printed without its control bytes.
 */
#ifndef RF_CLI_OUTPUT_H
#define RF_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "cli/command.h"
#include "cli/exit.h"
#include "cli/options.h"

/* Where rf_say() and rf_fail() write from here on; stderr before. The descriptor is the
 * caller's. */
void rf_messages_to(int fd);
int rf_messages_fd(void);
/* From here on no line waits for longer than that for somebody to read: it is lost, and the next
 * one that is taken says how many are. A command that watches over something must not be kept from
 * it by a pipe or a terminal that stands still. */
void rf_messages_wait(int ms);
/* And a descriptor of its own for that, close-on-exec, where it is a pipe or a terminal that this
 * user may open (hv/outlet.h); else somebody who fills it meanwhile can keep a line for longer.
 */
void rf_messages_anew(void);

/* One line of progress. */
void rf_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* An error in three parts: what happened (the format), what it means, what to do. Returns code. */
int rf_fail(int code, const char *means, const char *todo, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Options of a command. Returns -1 to go on, else the code to exit with: help was asked for and
 * printed, or the usage error was (usage_code: `run` has its own).
 */
int rf_options(const struct rf_command *c, const struct rf_option *table, bool command,
	       int usage_code, int argc, char **argv, struct rf_operands *out);

/* Copies text with every byte that is not printable ASCII replaced by '?': names come from a
 * hostile guest. */
void rf_safe(char *out, size_t size, const char *text);
/* The same of each text in it, names of members too: what others answer goes through it before any
 * of it is looked at. A new reference; jansson bounds how deep an answer goes. */
json_t *rf_safe_json(const json_t *v);
/* The same of all of it; the caller frees. NULL: no memory. */
char *rf_safe_dup(const char *text);

/* Lines up columns as wide as their content; cells are copied and made safe. */
struct rf_listing;
struct rf_listing *rf_listing_create(const char *const *titles,
				     size_t columns); /* NULL: no memory */
void rf_listing_destroy(struct rf_listing *t);
/* As many cells as columns; a NULL cell is "-". */
int rf_listing_row(struct rf_listing *t, const char *const *cells);
void rf_listing_print(const struct rf_listing *t);

/* Prints as indented JSON, flushes, drops the reference. RF_EXIT_OK or an error that has been
 * reported. */
int rf_print_json(json_t *o);
/* Flushes stdout: a full disk or a closed pipe must not look like success. Same return. */
int rf_flush(void);

int64_t rf_now_ms(void); /* monotonic */
/* "2024-05-01T10:00:00Z" of seconds since 1970, "-" of what is no time of ours; returns out. */
#define RF_TIME_TEXT 32
const char *rf_time_text(long long seconds, char out[RF_TIME_TEXT]);

#endif
