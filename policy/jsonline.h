/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A writer of one JSON line into memory the caller owns. It never allocates and makes no system
 * call, so that a sandboxed process can use it between an exit and its verdict.
 *
 * Once the buffer is full every further call does nothing; rf_jsonline_end() then says so. The text
 * is plain ASCII: any other byte of a string becomes \u00XX, whatever encoding it was meant to be,
 * because names come out of a hostile guest.
 */
#ifndef RF_POLICY_JSONLINE_H
#define RF_POLICY_JSONLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_jsonline {
	char *buf;
	size_t cap, len; /* bytes; buf[len] is not terminated before the end */
	bool overflow;
	bool comma; /* the next member needs one before it */
};

/* Starts the object; buf stays the caller's and must outlive the line. */
void rf_jsonline_begin(struct rf_jsonline *j, char *buf, size_t cap);
/* Closes the object and adds the newline. 0, or -EMSGSIZE: the line is not complete and must not be
 * used. */
int rf_jsonline_end(struct rf_jsonline *j);

/* Members. name is constant ASCII text that needs no escape. */
void rf_jsonline_text(struct rf_jsonline *j, const char *name, const char *text, size_t max);
/* The same of our own text, which is UTF-8: what is not ASCII becomes one \uXXXX. */
void rf_jsonline_utf8(struct rf_jsonline *j, const char *name, const char *text, size_t max);
void rf_jsonline_number(struct rf_jsonline *j, const char *name, uint64_t value);
void rf_jsonline_signed(struct rf_jsonline *j, const char *name, int64_t value);
void rf_jsonline_bool(struct rf_jsonline *j, const char *name, bool value);
/* "0x..." as a string: 64-bit values do not survive JSON readers that keep numbers in a double. */
void rf_jsonline_address(struct rf_jsonline *j, const char *name, uint64_t value);
/* Lower-case hex string of len bytes. */
void rf_jsonline_hex(struct rf_jsonline *j, const char *name, const uint8_t *bytes, size_t len);

/* A nested object: members between open and close belong to it. */
void rf_jsonline_open(struct rf_jsonline *j, const char *name);
void rf_jsonline_close(struct rf_jsonline *j);

#endif
