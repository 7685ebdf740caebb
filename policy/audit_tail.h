/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a restarted writer learns from the log its predecessor left: which events are decided
 * already. */
#ifndef RF_POLICY_AUDIT_TAIL_H
#define RF_POLICY_AUDIT_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/audit.h"
#include "policy/chain.h"

/* Ids below the highest one by this much or more are forgotten. A VM has fewer vCPUs, so fewer open
 * events. */
#define RF_AUDIT_WINDOW 65536u

/* Decisions that are kept. A question whose answer was lost with a monitor is among the last that
 * it decided, one for each vCPU at most, and RF_MAX_VCPUS (hv/vcpu.h) is as many. */
#define RF_AUDIT_KEPT 1024u

/*
 * Bits for the last RF_AUDIT_WINDOW event ids. A set and not only the highest id: vCPUs fault at
 * the same time, and the monitor may die after it has decided event 6 but not 5.
 */
struct rf_audit_seen {
	uint64_t highest; /* 0: none yet */
	uint64_t bits[RF_AUDIT_WINDOW / 64];
	uint64_t folded; /* the highest number of a line that counts */
	uint32_t next;	 /* where the next decision goes */
	struct rf_audit_decision kept[RF_AUDIT_KEPT];
};

void rf_audit_seen_add(struct rf_audit_seen *s, uint64_t event);
/* False for an id that has left the window: then it is recorded twice, which harms less than not at
 * all. */
bool rf_audit_seen_has(const struct rf_audit_seen *s, uint64_t event);

/* The same with what was decided. A second one for the same event that says something else leaves
 * the stricter of both, not exact. */
void rf_audit_seen_decision(struct rf_audit_seen *s, const struct rf_audit_decision *d);
/* NULL: it is not kept. */
const struct rf_audit_decision *rf_audit_seen_kept(const struct rf_audit_seen *s, uint64_t event);

/* Only this much of the end of a log is read back, and longer lines in it are not ours. */
#define RF_AUDIT_TAIL_BYTES (4u << 20)
#define RF_AUDIT_LINE_BYTES (64u << 10)

/* Of a decision line about an event, written for this VM instance; false for every other line,
 * whatever it holds. An answer that is not whole and within its bounds is none. */
bool rf_audit_line_decision(const char *line, size_t len, uint64_t instance,
			    struct rf_audit_decision *out);

/* The number of a line of type "folded" or "unwritten" of this instance; 0: it is none. */
uint64_t rf_audit_line_folded(const char *line, size_t len, uint64_t instance);

const char *rf_answered_text(enum rf_answered a); /* "allow" ..., NULL for no such answer */

/* What the tail has of the chain. Offsets are those behind a line's last byte but its newline, 0
 * where that line is not there. */
struct rf_audit_found {
	struct rf_chain_line last;   /* of this instance, whatever it says; seq 0: none */
	uint64_t highest;	     /* seq of what holds, none behind the chain's; 0 none */
	uint64_t now_end, ahead_end; /* of the chain's own last line, of the one that is ahead */
	bool noise;		     /* the last line of all is no record, whoever's */
};

/*
 * Adds the decisions of the chain's instance in the tail of the file to *seen, and says in *found,
 * which is zeros, what the tail has of the chain itself. 0 or -errno; on failure nothing is added.
 */
int rf_audit_tail(int fd, const struct rf_chain *chain, struct rf_audit_seen *seen,
		  struct rf_audit_found *found);

#endif
