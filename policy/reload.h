/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A policy that is to take another one's place while its VM runs. It is judged twice, by
 * `ringfence run` and by the monitor, which believe neither each other nor the file: the same
 * function for both, whole or nothing.
 *
 * What only tightens is taken. What loosens any key needs a signature by the key that the VM was
 * started with: a signed note (policy/note.h) in FILE.sig, whose text is
 *
 *	ringfence/policy/<vm>
 *	<serial, decimal>
 *	<until: seconds since 1970, decimal>
 *	<SHA-256 of FILE, 64 digits>
 *
 * The name binds it to one VM, the digest to one file. The serial must be greater than that of the
 * last signed policy that this start of the VM has taken, so that none comes back; and after
 *`until` it is worth nothing, for a later start of a VM of that name. A checkpoint of the log is no
 * such note: its first line begins otherwise (policy/checkpoint.h).
 */
#ifndef RF_POLICY_RELOAD_H
#define RF_POLICY_RELOAD_H

#include "policy/note.h"
#include "policy/policy.h"

#define RF_RELOAD_TEXT 2048
#define RF_SHA256_TEXT 65

struct rf_reload {
	const char *vm;
	const struct rf_policy *now; /* in force */
	const char *text;	     /* of the other one, RF_POLICY_FILE_MAX bytes at most */
	size_t len;
	const char *note;	       /* what came as its signature */
	size_t note_len;	       /* 0: nothing did */
	const struct rf_note_key *key; /* NULL: the VM was started without one */
	uint64_t serial;	       /* of the last signed policy that was taken, 0 none */
	uint64_t time;		       /* seconds since 1970 */
};

struct rf_reloaded {
	bool accepted;
	bool is_signed;		/* by the key; without one nobody has looked */
	uint64_t serial;	/* the last one, from then on */
	uint64_t signed_serial; /* that of the key's own signature which came, 0 none did */
	char sha256[RF_SHA256_TEXT];
	struct rf_policy policy;  /* all zeros where the text is none */
	char why[RF_RELOAD_TEXT]; /* it was refused, "" it was not */
};

/* The answer, always. */
void rf_reload_judge(const struct rf_reload *q, struct rf_reloaded *out);

/* What a signature says. */
struct rf_policy_note {
	uint64_t serial; /* 1 or more */
	uint64_t until;	 /* seconds since 1970 */
	char sha256[RF_SHA256_TEXT];
};

/* 0, or -EINVAL (a name that is none, serial 0) or -EMSGSIZE. */
int rf_policy_note_sign(const struct rf_note_key *k, const char *vm, const struct rf_policy_note *n,
			char note[RF_NOTE_BYTES]);
/* 0, -EBADMSG: it is no note of a policy's; -ENOKEY, -EKEYREJECTED: as rf_note_open(); -ESRCH: it
 * is for another VM. */
int rf_policy_note_open(const struct rf_note_key *k, const char *vm, const char *note, size_t len,
			struct rf_policy_note *out);

void rf_policy_sha256(const char *text, size_t len, char out[RF_SHA256_TEXT]);

#endif
