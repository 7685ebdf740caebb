/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a policy would decide about a record of the audit log. The judgement is
 * rf_policy_decide()'s, on the facts that the record's rule is about; here is only the way from one
 * to the other, and which keys have to be on for there to be an event at all. What a record does
 * not tell is left open.
 */
#ifndef RF_POLICY_REPLAY_H
#define RF_POLICY_REPLAY_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "policy/keys.h"

enum rf_replay_what {
	RF_REPLAY_NOTE = 1,  /* the record is about no decision of a policy's */
	RF_REPLAY_DECIDED,   /* would[] has what it would be; more than one: which, it does not tell
			      */
	RF_REPLAY_NO_EVENT,  /* with this policy nobody would see it: key says why */
	RF_REPLAY_ENDED,     /* the VM would be ended before it is asked: key says why */
	RF_REPLAY_NOT_KNOWN, /* the record makes no sense to this release: why says what */
};

/* What may depend on what no record holds. */
enum rf_replay_open {
	RF_OPEN_PATCHERS = 1 << 0, /* it may have been denied for the `patches` of then */
	RF_OPEN_REGISTER = 1 << 1, /* which register it was, and whether that one is pinned */
	RF_OPEN_APPLY = 1 << 2,	   /* whether it could be let through at all */
	RF_OPEN_ATTACHED = 1 << 3, /* which sites were in use at the seal, and may go on */
	RF_OPEN_SEEN = 1 << 4,	   /* whether this policy would see it at all */
};

#define RF_OPEN_BITS 5
#define RF_REPLAY_WOULD 6 /* different decisions of one record */

struct rf_replay {
	enum rf_replay_what what;
	const char *kind, *rule; /* the record's own strings, "" none */
	char was[32];		 /* "blocked, VM ended"; as much as is on record */
	struct rf_decision would[RF_REPLAY_WOULD];
	size_t count;
	const struct rf_key *key; /* NULL none */
	unsigned int open;	  /* enum rf_replay_open */
	const char *why;
	unsigned long long events;   /* that the record stands for */
	unsigned long long of_those; /* would[] is about: patches, of which a policy denies some */
};

/* record must outlive *out. `p` must be valid. */
void rf_replay(const json_t *record, const struct rf_policy *p, struct rf_replay *out);

/* Would it be as it was, for all that is known? */
bool rf_replay_same(const struct rf_replay *r);
/* "blocked", "detected, let be", "blocked or detected", "no event (pin.tables: false)". */
void rf_replay_text(const struct rf_replay *r, const struct rf_policy *p, char *out, size_t size);

/* Of a record that is decided: would another word of this key make it another decision? */
bool rf_replay_depends(const json_t *record, const struct rf_policy *p, const struct rf_key *k);

/* What a rule says, in words that follow a colon; NULL: there is no such rule. */
const char *rf_rule_says(const char *rule);
/* All that there are, by number; NULL behind the last one. */
const char *rf_rule_name(size_t i);
/* What is open, in a sentence. */
const char *rf_replay_open_text(enum rf_replay_open o);

#endif
