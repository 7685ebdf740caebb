/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What `policy reload` says to `run`, by reload.sock of the state folder: one packet with the
 * file's bytes and its signature's. `run` answers with one packet of JSON: {"accepted", "signed",
 * "serial", "sha256", "why", "changes": [{"key", "from", "to", "change"}]}.
 */
#ifndef RF_CLI_RELOAD_REQUEST_H
#define RF_CLI_RELOAD_REQUEST_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/note.h"
#include "policy/policy.h"

#define RF_REQUEST_MAGIC 0x44524652u /* "RFRD" */
#define RF_REQUEST_REVISION 1u
/* One byte more than each may have: `run` tells who sends too much why. */
#define RF_REQUEST_TEXT (RF_POLICY_FILE_MAX + 1)
#define RF_REQUEST_NOTE RF_NOTE_BYTES

struct rf_request_head {
	uint32_t magic, revision;
	uint32_t profile;	     /* 1: name is a profile's, 0: a file's path */
	uint32_t text_len, note_len; /* bytes behind the head */
	char name[PATH_MAX];
};

#define RF_REQUEST_MAX (sizeof(struct rf_request_head) + RF_REQUEST_TEXT + RF_REQUEST_NOTE)
#define RF_ANSWER_MAX (64u << 10) /* bytes of JSON */

struct rf_request {
	bool profile;
	const char *name, *text, *note; /* into the packet; the name ends in a 0, the others not */
	size_t text_len, note_len;
};

/* 0, or -EBADMSG; -EPROTONOSUPPORT: it is another release's. */
int rf_request_parse(const void *packet, size_t len, struct rf_request *out);
/* Into packet, of RF_REQUEST_MAX bytes. Its length, or 0: it has no room for that. */
size_t rf_request_make(const struct rf_request *q, void *packet);

#endif
